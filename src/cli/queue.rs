//! `sealgate queue`.

use std::path::Path;

use serde_json::Value;

use crate::cli::args::Queue;
use crate::cli::exit::Failure;
use crate::cli::house::request;
use crate::cli::print::{self, field};
use crate::control::Request;

pub async fn queue(path: &Path, verb: &Queue, json: bool) -> Result<(), Failure> {
    let asked = match verb {
        Queue::List => Request::QueueList,
        Queue::Show { id } => Request::QueueShow { id: *id },
        Queue::Retry { id, .. } => Request::QueueRetry { id: *id },
        Queue::Hold { id } => Request::QueueHold { id: *id },
        Queue::Release { id } => Request::QueueRelease { id: *id },
        Queue::Drop { id, .. } => Request::QueueDrop { id: *id },
    };
    let answer = request(path, asked).await?;
    if json {
        print::json(&answer.value);
        return Ok(());
    }
    match verb {
        Queue::List => list(&answer.value),
        Queue::Show { .. } => show(&answer.value),
        Queue::Retry { .. } => print::line("due now"),
        Queue::Hold { .. } => print::line("held"),
        Queue::Release { .. } => print::line("released"),
        Queue::Drop { .. } if answer.value.get("told") == Some(&Value::Bool(false)) => {
            print::line("dropped; its sender was NOT told, for the message is damaged and nobody can read who that is");
        }
        Queue::Drop { .. } => print::line("dropped; its sender was told"),
    }
    Ok(())
}

fn list(value: &Value) {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return print::line("the queue is empty");
    }
    let row = |item: &Value| {
        let recipients = item.get("recipients").and_then(Value::as_array).map_or(0, Vec::len);
        vec![
            field(item, "id"),
            field(item, "stage"),
            field(item, "created"),
            field(item, "size"),
            field(item, "sender"),
            recipients.to_string(),
        ]
    };
    print::table(
        &["ID", "STAGE", "CREATED", "SIZE", "SENDER", "RECIPIENTS"],
        &items.iter().map(row).collect::<Vec<_>>(),
    );
}

fn show(item: &Value) {
    for name in ["id", "stage", "sender", "created", "expires", "size"] {
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
