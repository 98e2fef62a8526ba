//! `sealgate queue`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::cli::args::Queue;
use crate::cli::exit::{Exit, Failure};
use crate::cli::house::House;
use crate::cli::print::{self, field};
use crate::control::Request;
use crate::mail::{Domain, QueueId};
use crate::queue::Stage;

/// Octets of a reply in the list; `queue show` has all of it.
const REPLY_OCTETS: usize = 70;

pub async fn queue(path: &Path, verb: &Queue, json: bool) -> Result<(), Failure> {
    let house = House::find(path).await?;
    let asked = match verb {
        Queue::List { to, stage, limit } => return list(&house, to.as_ref(), *stage, *limit, json).await,
        Queue::Show { id } => Request::QueueShow { id: *id },
        Queue::Retry { id, to, .. } => Request::QueueRetry { id: *id, to: to.clone() },
        Queue::Hold { id } => Request::QueueHold { id: *id },
        Queue::Release { id } => Request::QueueRelease { id: *id },
        Queue::Drop { id, notify } => {
            if !notify {
                nobody_hears_of_it(&house, *id).await?;
            }
            Request::QueueDrop { id: *id }
        }
    };
    let answer = house.ask(asked).await?;
    if json {
        print::json(&answer.value);
        return Ok(());
    }
    match verb {
        Queue::Show { .. } => show(&answer.value),
        Queue::List { .. } | Queue::Retry { id: Some(_), .. } => print::line("due now"),
        Queue::Retry { to, .. } => {
            let number = |name: &str| answer.value.get(name).and_then(Value::as_u64).unwrap_or_default();
            print::line(&due_now(number("count"), number("held"), to.as_ref()));
        }
        Queue::Hold { .. } if answer.value.get("already") == Some(&Value::Bool(true)) => print::line("held already"),
        Queue::Hold { .. } => print::line("held"),
        Queue::Release { .. } => print::line("released"),
        Queue::Drop { .. } => {
            // What tells anybody is mail, and leaves with the rest of it.
            let leaves = if matches!(house, House::Kept(_)) { "leaves when the daemon runs" } else { "is on its way" };
            print::line(&match answer.value.get("hears").and_then(Value::as_str) {
                Some("sender") => format!("dropped; the report to its sender {leaves}"),
                Some("postmaster") => format!(
                    "dropped; the report {leaves}, to our postmaster and not to its sender: nobody vouches for the address it \
                     came from"
                ),
                Some("damaged") => {
                    "dropped; its sender was NOT told, for the message is damaged and nobody can read who that is"
                        .to_owned()
                }
                _ => "dropped; nobody is told, for nobody waits for it".to_owned(),
            });
        }
    }
    Ok(())
}

/// That somebody is told, who drops has to say.
async fn nobody_hears_of_it(house: &House, id: QueueId) -> Result<(), Failure> {
    let shown = house.ask(Request::QueueShow { id }).await?.value;
    let who = match shown.get("hears").and_then(Value::as_str) {
        Some("sender") => "its sender a report that it did not arrive",
        Some("postmaster") => {
            "our postmaster a report that it did not arrive (nobody vouches for its sender's address)"
        }
        Some(_) | None => return Ok(()),
    };
    let text = format!(
        "nothing was dropped: that gives {id} up, and sends {who}; if this is meant, `sealgate queue drop {id} --notify`"
    );
    Err(Failure::new(Exit::Usage, text))
}

/// How many messages were made due; where none was, where to look.
fn due_now(count: u64, held: u64, to: Option<&Domain>) -> String {
    let where_to = to.map(|domain| format!(" to {domain}")).unwrap_or_default();
    match (count, held, to) {
        (0, 0, Some(domain)) => {
            format!(
                "0 due now: nothing that waits for its time goes to {domain}; `sealgate queue list` shows where mail goes"
            )
        }
        (0, 0, None) => "0 due now: nothing waits for its time".to_owned(),
        (_, 0, _) => format!("{count} due now"),
        (_, held, _) => format!(
            "{count} due now, {held} held{where_to}: a person decides about those, `sealgate queue release ID` lets one go"
        ),
    }
}

/// Lists page by page: neither end holds more than one.
async fn list(
    house: &House,
    to: Option<&Domain>,
    stage: Option<Stage>,
    limit: Option<usize>,
    json: bool,
) -> Result<(), Failure> {
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
            sender_of(item),
            recipients.len().to_string(),
            domains_of(recipients),
            last_reply_of(recipients),
        ]
    };
    let head = ["ID", "STAGE", "CREATED", "SIZE", "SENDER", "RECIPIENTS", "TO", "LAST REPLY"];
    print::part_of_table(&head, &items.iter().map(row).collect::<Vec<_>>(), with_head);
}

/// The envelope's sender; the null path as it is written (RFC 5321 §4.5.5), or a dash where nobody can read it.
fn sender_of(item: &Value) -> String {
    match field(item, "sender").as_str() {
        "" if field(item, "stage") == Stage::Corrupt.as_str() => "-".to_owned(),
        "" => "<>".to_owned(),
        sender => sender.to_owned(),
    }
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
        let value = if name == "sender" { sender_of(item) } else { field(item, name) };
        print::line(&format!("{name:<10}{value}"));
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

    use crate::cli::queue::{REPLY_OCTETS, domains_of, due_now, last_reply_of, sender_of};

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

    #[test]
    fn the_null_path_is_shown_and_what_is_held_is_counted() {
        for (sender, stage, shown) in
            [("", "held", "<>"), ("", "corrupt", "-"), ("a@one.example", "held", "a@one.example")]
        {
            assert_eq!(sender_of(&json!({ "sender": sender, "stage": stage })), shown);
        }
        let to = "one.example".parse().unwrap();
        for (count, held, to, said) in [
            (3, 0, Some(&to), "3 due now"),
            (0, 2, Some(&to), "0 due now, 2 held to one.example: a person"),
            (0, 0, Some(&to), "0 due now: nothing that waits for its time goes to one.example"),
            (1, 1, None, "1 due now, 1 held: a person"),
            (0, 0, None, "0 due now: nothing waits"),
        ] {
            assert!(due_now(count, held, to).starts_with(said), "{}", due_now(count, held, to));
        }
    }
}
