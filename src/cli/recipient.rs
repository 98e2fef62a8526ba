//! `sealgate recipient`.

use std::path::Path;

use serde_json::Value;

use crate::cli::args::Recipient;
use crate::cli::exit::Failure;
use crate::cli::house::request;
use crate::cli::print::{self, field};
use crate::control::Request;

pub async fn recipient(path: &Path, verb: &Recipient, json: bool) -> Result<(), Failure> {
    let asked = match verb {
        Recipient::List => Request::RecipientList,
        Recipient::Show { address } => Request::RecipientShow { address: address.clone() },
        Recipient::Unbind { address } => Request::RecipientUnbind { address: address.clone() },
    };
    let answer = request(path, asked).await?;
    if json {
        print::json(&answer.value);
        return Ok(());
    }
    let row = |b: &Value| vec![field(b, "address"), field(b, "person"), field(b, "since")];
    match verb {
        Recipient::List => {
            let rows: Vec<_> = answer.value.as_array().into_iter().flatten().map(row).collect();
            print::table(&["ADDRESS", "PERSON", "SINCE"], &rows);
        }
        Recipient::Show { .. } => print::table(&["ADDRESS", "PERSON", "SINCE"], &[row(&answer.value)]),
        Recipient::Unbind { .. } => print::line("unbound: the next message to this address needs an invitation again"),
    }
    Ok(())
}
