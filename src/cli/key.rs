//! `sealgate key`.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::cli::args::Key;
use crate::cli::exit::{Exit, Failure};
use crate::cli::house::request;
use crate::cli::print::{self, field};
use crate::control::Request;
use crate::fault::told;

pub async fn key(path: &Path, verb: &Key, json: bool) -> Result<(), Failure> {
    match verb {
        Key::List { dns } => {
            let answer = request(path, Request::KeyList { dns: *dns }).await?;
            if json {
                print::json(&answer.value);
                return Ok(());
            }
            let row = |e: &Value| {
                vec![
                    field(e, "kind"),
                    field(e, "epoch"),
                    field(e, "created"),
                    field(e, "current"),
                    field(e, "destroyed"),
                ]
            };
            let (signing, vault): (Vec<&Value>, Vec<&Value>) =
                answer.value.as_array().into_iter().flatten().partition(|key| field(key, "kind") == "dkim");
            let rows: Vec<_> = vault.into_iter().map(row).collect();
            print::table(&["KIND", "EPOCH", "CREATED", "CURRENT", "DESTROYED"], &rows);
            if !signing.is_empty() {
                print::line("");
                print_signing(&signing);
            }
            Ok(())
        }
        Key::Rotate { which, domain, algorithm, published } => match which.as_str() {
            "vault" if domain.is_some() || algorithm.is_some() || *published => {
                Err(Failure::new(Exit::Usage, "--domain, --algorithm and --published are for dkim"))
            }
            "vault" => {
                let answer = request(path, Request::KeyRotateVault).await?;
                if json {
                    print::json(&answer.value);
                } else {
                    print::line(&format!("epoch {} has begun", field(&answer.value, "epoch")));
                }
                Ok(())
            }
            "dkim" => {
                let asked =
                    Request::KeyRotateDkim { domain: domain.clone(), algorithm: *algorithm, published: *published };
                let answer = request(path, asked).await?;
                if json {
                    print::json(&answer.value);
                } else {
                    print_signing(&answer.value.as_array().into_iter().flatten().collect::<Vec<_>>());
                }
                Ok(())
            }
            other => Err(Failure::new(Exit::Usage, format!("no key is called {other}; there are vault and dkim"))),
        },
        Key::Export { dir } => {
            let answer = request(path, Request::KeyExport).await?;
            let files = answer.value.as_array().map(Vec::as_slice).unwrap_or_default();
            for file in files {
                write(dir, file)?;
            }
            if json {
                let names: Vec<String> = files.iter().map(|file| field(file, "name")).collect();
                print::json(&serde_json::json!({ "files": names }));
                return Ok(());
            }
            print::line(&format!(
                "wrote {} locked files to {}: keep them apart from backups",
                files.len(),
                dir.display()
            ));
            Ok(())
        }
    }
}

/// The keys that sign, and below them what is to be done about each.
fn print_signing(keys: &[&Value]) {
    let row = |key: &&Value| {
        let fields = ["kind", "domain", "selector", "algorithm", "bits", "state", "seen"];
        fields.map(|name| field(key, name)).to_vec()
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    print::table(&["KIND", "DOMAIN", "SELECTOR", "ALGORITHM", "BITS", "STATE", "IN THE DNS"], &rows);
    for key in keys {
        let (name, until) = (field(key, "record_name"), field(key, "until"));
        let configured = key.get("configured").and_then(Value::as_bool).unwrap_or_default();
        let state = field(key, "state");
        match state.as_str() {
            "pending" => print::line(&format!(
                "\npublish this; the key signs once it is seen (where the public DNS cannot be seen from here, say so by \
                 `sealgate key rotate dkim --domain {} --published`):\n{}",
                field(key, "domain"),
                record(key)
            )),
            "signing" => print::line(&format!("\nmust be published:\n{}", record(key))),
            "replaced" => print::line(&format!("\n{name} must stay published until {until}")),
            "removable" => {
                let more = if configured { ", and its [[dkim]] entry" } else { "" };
                print::line(&format!("\n{name} can be removed from the DNS{more}"));
            }
            _ if configured => print::line(&format!("\n{name}: its key cannot be read here: {}", field(key, "why"))),
            _ => print::line(&format!(
                "\n{name} signs nothing: {}\nput the file back from a backup and restart, or make another key by `sealgate key \
                 rotate dkim --domain {}`",
                field(key, "why"),
                field(key, "domain")
            )),
        }
        if let Some(why) = key.get("why").and_then(Value::as_str).filter(|_| state != "unreadable") {
            print::line(&format!("{name}: {why}"));
        }
    }
}

/// A record as it stands in a zone file: strings of at most 255 octets (RFC 1035 §3.3.14).
fn record(key: &Value) -> String {
    let text = field(key, "record");
    let strings: Vec<String> =
        text.as_bytes().chunks(250).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
    format!("{}. IN TXT ( {} )", field(key, "record_name"), strings.join(" "))
}

fn write(dir: &Path, file: &Value) -> Result<(), Failure> {
    let fault = |text: String| Failure::new(Exit::CannotCreate, text);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|f| fault(told(dir, &f)))?;
    let name = field(file, "name");
    // The daemon names them; a name that would leave the directory is none of its.
    let is_plain =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.') && !name.starts_with('.');
    let octets = STANDARD.decode(field(file, "octets")).ok().filter(|_| is_plain);
    let octets = octets.ok_or_else(|| fault("the daemon's answer cannot be read".to_owned()))?;
    let path = dir.join(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(&octets));
    written.map_err(|f| fault(told(&path, &f)))
}
