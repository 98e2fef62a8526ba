//! `sealgate audit`.

use std::path::Path;

use serde_json::Value;

use crate::cli::args::Audit;
use crate::cli::exit::{Exit, Failure};
use crate::cli::house::request;
use crate::cli::print::{self, field};
use crate::control::Request;

pub async fn audit(path: &Path, verb: &Audit, json: bool) -> Result<(), Failure> {
    match verb {
        Audit::Verify { head } => {
            let answer = request(path, Request::AuditVerify { head: head.clone() }).await?.value;
            if json {
                print::json(&answer);
            }
            if answer.get("sound") == Some(&Value::Bool(true)) {
                if !json {
                    print::line(&format!(
                        "sound: {} events, head {}",
                        field(&answer, "events"),
                        field(&answer, "head")
                    ));
                }
                return Ok(());
            }
            let text = format!(
                "the chain is NOT sound: event {} is not what it was, or is missing",
                field(&answer, "first_fault")
            );
            Err(Failure::new(Exit::BadInput, text))
        }
        Audit::Head => {
            let answer = request(path, Request::AuditHead).await?.value;
            if json {
                print::json(&answer);
            } else {
                print::line(&field(&answer, "head"));
            }
            Ok(())
        }
        Audit::Export { since, format } => {
            if format != "jsonl" {
                return Err(Failure::new(Exit::Usage, format!("no format is called {format}; there is jsonl")));
            }
            let since = since.as_ref().map(|text| time(text)).transpose()?;
            let answer = request(path, Request::AuditExport { since }).await?.value;
            if json {
                print::json(&answer);
                return Ok(());
            }
            answer.as_array().into_iter().flatten().for_each(|event| print::line(&event.to_string()));
            Ok(())
        }
    }
}

fn time(text: &str) -> Result<i64, Failure> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|_| Failure::new(Exit::Usage, format!("--since {text}: a time is written like 2026-11-24T10:00:00Z")))
}
