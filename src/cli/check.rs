//! `sealgate check`.

use std::path::Path;

use serde_json::Value;

use crate::cli::exit::{Exit, Failure};
use crate::cli::house::House;
use crate::cli::print::{self, field};
use crate::config::{self, Files, Loaded};
use crate::control::Request;
use crate::daemon::run_expectations;
use crate::fault::{Fault, Faults, Severity};

/// What [`crate::directory::OwnKey`] says of those that lie in the data folder.
const KEPT: &str = "kept here";

pub async fn check(path: &Path, no_files: bool, json: bool) -> Result<(), Failure> {
    let files = if no_files { Files::Skip } else { Files::Check };
    let faults = match config::load(path, files) {
        Err(faults) => faults,
        Ok(loaded) => {
            let expectations = run_expectations(&path.display().to_string(), &loaded.settings, files);
            let kept = if no_files { Vec::new() } else { kept(path, &loaded).await };
            let has_successor = |fault: &Fault| kept.iter().any(|(key, _)| key.as_ref() == Some(&fault.key));
            let is_outdone =
                |fault: &Fault| fault.cause.starts_with("the certificate expires ") && has_successor(fault);
            let read = loaded.warnings.iter().filter(|fault| !is_outdone(fault)).cloned();
            let told = kept.iter().filter_map(|(_, fault)| fault.clone());
            Faults::new(read.chain(expectations).chain(told).collect())
        }
    };
    if json {
        print::json(&serde_json::to_value(&faults).unwrap_or_default());
    } else if !faults.is_empty() {
        print::fault(faults.to_string().trim_end());
    }
    if !faults.is_sound() {
        return Err(Failure::new(Exit::Config, ""));
    }
    if !json {
        print::line(&format!("{} is sound", path.display()));
    }
    Ok(())
}

/// Of what is kept and never was written into the file: certificates of ours that end soon; and the keys of warnings about
/// named ones that have a successor there.
async fn kept(path: &Path, loaded: &Loaded) -> Vec<(Option<String>, Option<Fault>)> {
    // What was never run keeps nothing, and must not begin to for being checked.
    if !loaded.settings.data_dir.path.join("rows.redb").exists() {
        return Vec::new();
    }
    let warning = |cause: String, hint: String| Fault {
        file: path.display().to_string(),
        line: None,
        key: "data_dir".to_owned(),
        cause,
        hint,
        severity: Severity::Warning,
    };
    let asked = async { House::find(path).await?.ask(Request::CertificateList { after: None }).await };
    let answer = match asked.await {
        Ok(answer) => answer.value,
        Err(failure) => {
            let hint = "run it as the user the daemon runs as";
            return vec![(
                None,
                Some(warning(format!("what is kept cannot be looked at: {}", failure.text), hint.to_owned())),
            )];
        }
    };
    let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let days_left = |item: &Value| item.get("days_left").and_then(Value::as_i64);
    let mut told = Vec::new();
    for item in items.iter().filter(|item| field(item, "told_by") == KEPT) {
        let Some(left) = days_left(item) else { continue };
        let whom = field(item, "for");
        let is_later = |other: &Value| field(other, "for") == whom && days_left(other) > Some(left);
        if items.iter().any(is_later) {
            continue;
        }
        let named = loaded.settings.own_certificate.iter().filter(|own| own.r#for.0.to_string() == whom);
        told.extend(named.map(|own| (Some(own.place.of("certificate")), None)));
        let (id, ends) = (field(item, "id").chars().take(16).collect::<String>(), field(item, "not_after"));
        let cause = match [7, 30, 90].into_iter().find(|days| left < *days) {
            _ if left < 0 => format!("the certificate of {whom} that is kept expired at {ends}: {id}"),
            Some(days) => format!("the certificate of {whom} that is kept expires within {days} days, at {ends}: {id}"),
            None => continue,
        };
        let renew = format!(
            "`sealgate certificate request --for {whom}` makes a key and a request; `sealgate certificate import` takes up what comes back"
        );
        told.push((None, Some(warning(cause, renew))));
    }
    told
}
