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
        Key::List => {
            let answer = request(path, Request::KeyList).await?;
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
            let rows: Vec<_> = answer.value.as_array().into_iter().flatten().map(row).collect();
            print::table(&["KIND", "EPOCH", "CREATED", "CURRENT", "DESTROYED"], &rows);
            Ok(())
        }
        Key::Rotate { which } => match which.as_str() {
            "vault" => {
                let answer = request(path, Request::KeyRotateVault).await?;
                if json {
                    print::json(&answer.value);
                } else {
                    print::line(&format!("epoch {} has begun", field(&answer.value, "epoch")));
                }
                Ok(())
            }
            "dkim" => Err(Failure::new(Exit::Unavailable, "dkim keys are not served yet")),
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
