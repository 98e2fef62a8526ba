//! `sealgate tunnel`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::cli::args::Tunnel;
use crate::cli::brought::Brought;
use crate::cli::certificate::{pages, read, read_password, refused, show};
use crate::cli::exit::{Exit, Failure};
use crate::cli::house::House;
use crate::cli::print::{self, field};
use crate::cms::{Certificate, Imported};
use crate::control::Request;
use crate::directory::{Scope, TableFile, nothing_in};
use crate::mail::Domain;

pub async fn tunnel(path: &Path, verb: &Tunnel, json: bool) -> Result<(), Failure> {
    let house = House::find(path).await?;
    match verb {
        Tunnel::List => list(&house, json).await,
        Tunnel::Show { domain } => {
            let answer = house.ask(Request::TunnelShow { domain: domain.clone() }).await?.value;
            if json {
                print::json(&answer);
                return Ok(());
            }
            print::line(&format!("{:<12} {}", "domain", field(&answer, "domain")));
            print::line(&format!("{:<12} {}", "trust", field(&answer, "trust")));
            print::line(&format!("{:<12} {}", "last success", field(&answer, "last_success")));
            for certificate in answer.get("certificates").and_then(Value::as_array).into_iter().flatten() {
                print::line("");
                show(certificate);
            }
            Ok(())
        }
        Tunnel::Import { file, password_file } => import(&house, file, password_file.as_deref(), json).await,
        Tunnel::Add { domain, certificate, replace } => add(&house, domain, certificate, *replace, json).await,
        Tunnel::Remove { domain } => {
            let answer = house.ask(Request::TunnelRemove { domain: domain.clone() }).await?.value;
            if json {
                print::json(&answer);
            } else {
                let removed = answer.get("removed").and_then(Value::as_u64).unwrap_or_default();
                let noun = if removed == 1 { "certificate" } else { "certificates" };
                print::line(&format!("{removed} {noun} of {domain} removed"));
            }
            Ok(())
        }
    }
}

async fn list(house: &House, json: bool) -> Result<(), Failure> {
    let row = |item: &Value| {
        let certificates = item.get("certificates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let usable = certificates.iter().filter(|it| it.get("usable").and_then(Value::as_bool) == Some(true)).count();
        let last = certificates.iter().map(|it| field(it, "not_after")).max().unwrap_or_default();
        vec![
            field(item, "domain"),
            format!("{usable} of {}", certificates.len()),
            last,
            field(item, "source"),
            field(item, "trust"),
            field(item, "last_success"),
        ]
    };
    let head = ["DOMAIN", "USABLE", "NOT AFTER", "SOURCE", "TRUST", "LAST SUCCESS"];
    pages(house, |after| Request::TunnelList { after }, json, &head, row, "no tunnel is known").await
}

async fn import(house: &House, file: &Path, password: Option<&Path>, json: bool) -> Result<(), Failure> {
    let octets = read(file)?;
    let password = password.map(read_password).transpose()?;
    let table = TableFile::read(&octets, password.as_ref()).map_err(|fault| refused(file, &fault))?;
    let encoded = |certificate: &Certificate| STANDARD.encode(certificate.as_der());
    let rows: Vec<_> = table.rows.into_iter().map(|(scope, certificate)| (scope, encoded(&certificate))).collect();
    let issuers = table.issuers.iter().map(encoded).collect();
    let mut report = Brought { file, by_operator: false, replaces: false, issuers }.take(house, rows).await?;
    report.faults = table.faults;
    report.tell(json)
}

async fn add(house: &House, domain: &Domain, file: &Path, replaces: bool, json: bool) -> Result<(), Failure> {
    let read = Imported::read(&read(file)?, None).map_err(|fault| refused(file, &fault))?;
    if read.certificates.is_empty() {
        return Err(Failure::new(Exit::BadInput, format!("{}: {}", file.display(), nothing_in(&read))));
    }
    let is_authority = |it: &Certificate| it.basic_constraints().ok().flatten().is_some_and(|it| it.ca);
    let (issuers, leaves): (Vec<_>, Vec<_>) = read.certificates.into_iter().partition(is_authority);
    if leaves.is_empty() {
        let text = format!("{}: no certificate of a partner in it, only of authorities or none", file.display());
        return Err(Failure::new(Exit::BadInput, text));
    }
    let encoded = |certificate: &Certificate| STANDARD.encode(certificate.as_der());
    let rows = leaves.iter().map(|leaf| (Scope::Domain(domain.clone()), encoded(leaf))).collect();
    let issuers = issuers.iter().map(encoded).collect();
    Brought { file, by_operator: true, replaces, issuers }.take(house, rows).await?.tell(json)
}
