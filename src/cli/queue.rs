//! `sealgate queue`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::cli::args::Queue;
use crate::cli::exit::{Exit, Failure};
use crate::cli::house::{House, request};
use crate::cli::print::{self, field};
use crate::control::Request;
use crate::mail::{Domain, QueueId};
use crate::queue::Stage;

/// Octets of a reply in the list; `queue show` has all of it.
const REPLY_OCTETS: usize = 70;

pub async fn queue(path: &Path, verb: &Queue, json: bool) -> Result<(), Failure> {
    let asked = match verb {
        Queue::List { to, stage, limit } => return list(path, to.as_ref(), *stage, *limit, json).await,
        Queue::Show { id } => Request::QueueShow { id: *id },
        Queue::Retry { id, to, .. } => Request::QueueRetry { id: *id, to: to.clone() },
        Queue::Hold { id } => Request::QueueHold { id: *id },
        Queue::Release { id } => Request::QueueRelease { id: *id },
        Queue::Drop { id, notify } => {
            if !notify {
                must_be_corrupt(path, *id).await?;
            }
            Request::QueueDrop { id: *id }
        }
    };
    let answer = request(path, asked).await?;
    if json {
        print::json(&answer.value);
        return Ok(());
    }
    match verb {
        Queue::Show { .. } => show(&answer.value),
        Queue::List { .. } | Queue::Retry { id: Some(_), .. } => print::line("due now"),
        Queue::Retry { to, .. } => print::line(&due_now(&field(&answer.value, "count"), to.as_ref())),
        Queue::Hold { .. } => print::line("held"),
        Queue::Release { .. } => print::line("released"),
        Queue::Drop { .. } => print::line(match answer.value.get("hears").and_then(Value::as_str) {
            Some("sender") => "dropped; its sender was told",
            Some("postmaster") => {
                "dropped; our postmaster was told, and not its sender: nobody vouches for the address it came from"
            }
            Some("damaged") => {
                "dropped; its sender was NOT told, for the message is damaged and nobody can read who that is"
            }
            _ => "dropped; nobody was told, for nobody waits for it",
        }),
    }
    Ok(())
}

/// Whose sender can be told is dropped only by who says that he is told.
async fn must_be_corrupt(path: &Path, id: QueueId) -> Result<(), Failure> {
    let shown = request(path, Request::QueueShow { id }).await?;
    if field(&shown.value, "stage") == Stage::Corrupt.as_str() {
        return Ok(());
    }
    let text = format!("its sender is told of it: say so, `sealgate queue drop {id} --notify`");
    Err(Failure::new(Exit::Usage, text))
}

/// How many messages were made due; where none was, where to look.
fn due_now(count: &str, to: Option<&Domain>) -> String {
    match to {
        Some(domain) if count == "0" => {
            format!(
                "0 due now: nothing that waits for its time goes to {domain}; `sealgate queue list` shows where mail goes"
            )
        }
        None if count == "0" => "0 due now: nothing waits for its time".to_owned(),
        Some(_) | None => format!("{count} due now"),
    }
}

/// Lists page by page: neither end holds more than one.
async fn list(
    path: &Path,
    to: Option<&Domain>,
    stage: Option<Stage>,
    limit: Option<usize>,
    json: bool,
) -> Result<(), Failure> {
    let house = House::find(path).await?;
    let (mut left, mut after, mut printed) = (limit.unwrap_or(usize::MAX), None, 0);
    if json {
        print::text("[");
    }
    while left > 0 {
        let asked = Request::QueueList { to: to.cloned(), stage, after, limit: Some(left) };
        let page = house.ask(asked).await?.value;
        let items = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if json {
            for (place, item) in items.iter().enumerate() {
                let comma = if printed + place == 0 { "" } else { "," };
                print::text(&format!("{comma}\n{}", print::indented(item)));
            }
        } else if !items.is_empty() {
            table(items, printed == 0);
        }
        printed += items.len();
        left = left.saturating_sub(items.len());
        after = page.get("next").and_then(Value::as_str).and_then(|id| id.parse::<QueueId>().ok());
        if after.is_none() {
            break;
        }
    }
    match (json, printed) {
        (true, 0) => print::line("]"),
        (true, _) => print::line("\n]"),
        (false, 0) if to.is_none() && stage.is_none() => print::line("the queue is empty"),
        (false, 0) => print::line("nothing in the queue is like that"),
        (false, _) => {}
    }
    Ok(())
}

fn table(items: &[Value], with_head: bool) {
    let row = |item: &Value| {
        let recipients = item.get("recipients").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        vec![
            field(item, "id"),
            field(item, "stage"),
            field(item, "created"),
            field(item, "size"),
            field(item, "sender"),
            recipients.len().to_string(),
            domains_of(recipients),
            last_reply_of(recipients),
        ]
    };
    let head = ["ID", "STAGE", "CREATED", "SIZE", "SENDER", "RECIPIENTS", "TO", "LAST REPLY"];
    print::part_of_table(&head, &items.iter().map(row).collect::<Vec<_>>(), with_head);
}

/// The recipients' domain, or how many there are.
fn domains_of(recipients: &[Value]) -> String {
    let addresses = recipients.iter().filter_map(|r| r.get("address").and_then(Value::as_str));
    let domains: BTreeSet<&str> = addresses.filter_map(|a| a.rsplit_once('@')).map(|(_, domain)| domain).collect();
    match (domains.first(), domains.len()) {
        (None, _) => "-".to_owned(),
        (Some(domain), 1) => (*domain).to_owned(),
        (Some(_), many) => format!("{many} domains"),
    }
}

/// The beginning of what was last said to the first recipient of whom anything was said.
fn last_reply_of(recipients: &[Value]) -> String {
    let said = recipients.iter().find_map(|r| r.get("last_reply").and_then(Value::as_str)).unwrap_or("-");
    let end = said.floor_char_boundary(REPLY_OCTETS);
    if end < said.len() { format!("{}…", said.get(..end).unwrap_or_default()) } else { said.to_owned() }
}

fn show(item: &Value) {
    for name in ["id", "stage", "direction", "sender", "created", "expires", "size"] {
        print::line(&format!("{name:<10}{}", field(item, name)));
    }
    let recipients = item.get("recipients").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let row = |r: &Value| {
        vec![
            field(r, "address"),
            field(r, "state"),
            field(r, "attempts"),
            field(r, "next_attempt"),
            field(r, "last_reply"),
        ]
    };
    print::table(
        &["RECIPIENT", "STATE", "ATTEMPTS", "NEXT", "LAST REPLY"],
        &recipients.iter().map(row).collect::<Vec<_>>(),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::queue::{REPLY_OCTETS, domains_of, last_reply_of};

    #[test]
    fn a_row_says_where_a_message_goes_and_what_was_last_said() {
        let to = |address: &str, said: Option<&str>| json!({ "address": address, "last_reply": said });
        let long = "å".repeat(REPLY_OCTETS);
        for (recipients, domains, said) in [
            (vec![], "-", "-"),
            (vec![to("a@one.example", None), to("\"b@\"@one.example", Some("4.4.1 no"))], "one.example", "4.4.1 no"),
            (vec![to("a@one.example", Some("first")), to("b@two.example", Some("second"))], "2 domains", "first"),
            (vec![to("a@one.example", Some(&long))], "one.example", &format!("{}…", "å".repeat(REPLY_OCTETS / 2))),
        ] {
            assert_eq!((domains_of(&recipients).as_str(), last_reply_of(&recipients).as_str()), (domains, said));
        }
    }
}
