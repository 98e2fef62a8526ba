//! `sealgate message`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::Value;

use crate::cli::args::Message;
use crate::cli::exit::{Exit, Failure};
use crate::cli::house::request;
use crate::cli::print::{self, field};
use crate::control::Request;
use crate::fault::told;

pub async fn message(path: &Path, verb: &Message, json: bool) -> Result<(), Failure> {
    let asked = match verb {
        Message::List => Request::MessageList,
        Message::Show { id } => Request::MessageShow { id: *id },
        Message::Recall { id } => Request::MessageRecall { id: *id },
        Message::Expire { id } => Request::MessageExpire { id: *id },
        Message::Trace { which } => Request::MessageTrace { which: which.clone() },
        Message::Export { id, .. } => Request::MessageExport { id: *id },
    };
    let answer = request(path, asked).await?;
    if let Message::Export { locked, .. } = verb {
        write(locked, &answer.octets)?;
    }
    if json {
        print::json(&answer.value);
        return Ok(());
    }
    match verb {
        Message::List => list(&answer.value),
        Message::Show { .. } => show(&answer.value),
        Message::Recall { .. } => print::line("recalled; nobody can read it any more"),
        Message::Expire { .. } => print::line("expired"),
        Message::Trace { .. } => trace(&answer.value),
        Message::Export { locked, .. } => print::line(&format!(
            "wrote {} (epoch {}, sha256 {})",
            locked.display(),
            field(&answer.value, "epoch"),
            field(&answer.value, "sha256")
        )),
    }
    Ok(())
}

fn write(path: &Path, octets: &[u8]) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(octets));
    written.map_err(|fault| Failure::new(Exit::CannotCreate, told(path, &fault)))
}

fn list(value: &Value) {
    let messages = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() {
        return print::line("no messages");
    }
    let mut rows = Vec::new();
    for message in messages {
        for recipient in message.get("recipients").and_then(Value::as_array).into_iter().flatten() {
            rows.push(vec![
                field(message, "id"),
                field(message, "created"),
                field(recipient, "address"),
                field(recipient, "channel"),
                state(recipient),
                field(message, "expires"),
            ]);
        }
    }
    print::table(&["ID", "CREATED", "RECIPIENT", "CHANNEL", "STATE", "EXPIRES"], &rows);
}

/// How far a recipient's message has come; that nobody can read it, or that nobody was told of it.
fn state(recipient: &Value) -> String {
    let is_damaged = recipient.get("damaged") == Some(&Value::Bool(true));
    let state = field(recipient, "state");
    let has_failed = recipient.get("notice_failed").is_some_and(Value::is_string);
    match state.as_str() {
        _ if is_damaged => "damaged".to_owned(),
        "noticed" if has_failed => "notice-failed".to_owned(),
        _ => state,
    }
}

fn show(message: &Value) {
    for name in ["id", "message_id", "direction", "created", "expires"] {
        print::line(&format!("{name:<12}{}", field(message, name)));
    }
    let recipients = message.get("recipients").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let row = |r: &Value| {
        vec![
            field(r, "address"),
            field(r, "channel"),
            state(r),
            field(r, "noticed"),
            field(r, "opened"),
            field(r, "answered"),
        ]
    };
    print::table(
        &["RECIPIENT", "CHANNEL", "STATE", "NOTICED", "OPENED", "ANSWERED"],
        &recipients.iter().map(row).collect::<Vec<_>>(),
    );
}

fn trace(value: &Value) {
    print::line(&field(value, "id"));
    let events = value.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let row = |e: &Value| vec![field(e, "time"), field(e, "event"), field(e, "recipient"), field(e, "detail")];
    print::table(&["TIME", "EVENT", "RECIPIENT", "DETAIL"], &events.iter().map(row).collect::<Vec<_>>());
}
