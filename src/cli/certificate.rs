//! `sealgate certificate`.

use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::args::Certificates;
use crate::cli::brought::Brought;
use crate::cli::exit::{Exit, Failure};
use crate::cli::house::House;
use crate::cli::print::{self, field};
use crate::cms::{self, IMPORT_OCTETS, ImportFault, Imported, Password};
use crate::control::{Request, SecretText};
use crate::directory::{Scope, nothing_in};
use crate::fault::told;

pub async fn certificate(path: &Path, verb: &Certificates, json: bool) -> Result<(), Failure> {
    let house = House::find(path).await?;
    let asked = match verb {
        Certificates::List => return list(&house, json).await,
        Certificates::Import { file, scope, password_file, replace } => {
            let password = password_file.as_deref().map(read_password).transpose()?;
            return import(&house, file, scope.as_ref(), password.as_ref(), *replace, json).await;
        }
        Certificates::Show { id } => Request::CertificateShow { id: id.clone() },
        Certificates::Accept { id, scope } => {
            Request::CertificateDecide { id: id.clone(), scope: scope.clone(), accepted: true }
        }
        Certificates::Refuse { id, scope } => {
            Request::CertificateDecide { id: id.clone(), scope: scope.clone(), accepted: false }
        }
        Certificates::Remove { id, scope } => Request::CertificateRemove { id: id.clone(), scope: scope.clone() },
        Certificates::Request { scope, algorithm } => {
            Request::CertificateRequest { scope: scope.clone(), algorithm: (*algorithm).into() }
        }
        Certificates::Authority { name } => Request::CertificateAuthority { name: name.clone() },
        Certificates::Issue { scope, algorithm } => {
            Request::CertificateIssue { scope: scope.clone(), algorithm: (*algorithm).into() }
        }
    };
    let answer = house.ask(asked).await?.value;
    if json {
        print::json(&answer);
        return Ok(());
    }
    match verb {
        Certificates::Request { scope, .. } => {
            print::line(field(&answer, "request").trim_end());
            print::fault(&format!(
                "give this to an authority; `sealgate certificate import FILE` takes up the certificate for {scope}"
            ));
        }
        Certificates::Authority { .. } | Certificates::Issue { .. } => print::line(field(&answer, "pem").trim_end()),
        Certificates::Accept { .. } | Certificates::Refuse { .. } => {
            answer.as_array().into_iter().flatten().for_each(decided);
        }
        Certificates::Remove { .. } => {
            for whom in answer.get("removed").and_then(Value::as_array).into_iter().flatten() {
                print::line(&format!("removed, for {}", whom.as_str().unwrap_or("nobody")));
            }
            if answer.get("own").is_some_and(|own| !own.is_null()) {
                print::line(&format!("it stays as a certificate of ours, for {}", field(&answer, "own")));
            }
        }
        _ => answer.as_array().into_iter().flatten().for_each(show),
    }
    Ok(())
}

/// What a decision comes to, in a line.
fn decided(item: &Value) {
    let whom = field(item, "for");
    match (field(item, "trust").as_str(), item.get("usable").and_then(Value::as_bool)) {
        ("refused", _) => print::line(&format!("{whom}: refused")),
        (_, Some(true)) => print::line(&format!("{whom}: accepted, and used from now on")),
        _ => print::line(&format!("{whom}: accepted, and cannot be used: {}", field(item, "why"))),
    }
}

async fn list(house: &House, json: bool) -> Result<(), Failure> {
    let row = |item: &Value| {
        let fields = ["id", "for", "not_after", "source", "trust", "usable", "why"].map(|name| field(item, name));
        fields.map(|text| text.chars().take(64).collect::<String>()).to_vec()
    };
    let head = ["ID", "FOR", "NOT AFTER", "SOURCE", "TRUST", "USABLE", "WHY NOT"];
    pages(house, |after| Request::CertificateList { after }, json, &head, row, "no certificate is kept").await
}

/// Lists page by page: neither end holds more than one.
pub async fn pages(
    house: &House,
    asked: impl Fn(Option<String>) -> Request,
    json: bool,
    head: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
    none: &str,
) -> Result<(), Failure> {
    let (mut after, mut printed) = (None, 0_usize);
    if json {
        print::text("[");
    }
    loop {
        let page = house.ask(asked(after)).await?.value;
        let items = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if json {
            for (place, item) in items.iter().enumerate() {
                let comma = if printed.saturating_add(place) == 0 { "" } else { "," };
                print::text(&format!("{comma}\n{}", print::indented(item)));
            }
        } else if !items.is_empty() {
            print::part_of_table(head, &items.iter().map(&row).collect::<Vec<_>>(), printed == 0);
        }
        printed = printed.saturating_add(items.len());
        after = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    match (json, printed) {
        (true, 0) => print::line("]"),
        (true, _) => print::line("\n]"),
        (false, 0) => print::line(none),
        (false, _) => {}
    }
    Ok(())
}

pub fn show(item: &Value) {
    if item.get("fingerprint").is_none() {
        print::line(&format!("{:<12} {}", "id", field(item, "id")));
    }
    let lines = [
        ("fingerprint", "fingerprint"),
        ("for", "for"),
        ("subject", "subject"),
        ("issuer", "issuer"),
        ("serial", "serial"),
        ("not before", "not_before"),
        ("not after", "not_after"),
        ("source", "source"),
        ("told by", "told_by"),
        ("first seen", "first_seen"),
        ("trust", "trust"),
        ("usable", "usable"),
        ("why not", "why"),
    ];
    for (label, name) in lines {
        if item.get(name).is_some_and(|value| !value.is_null()) {
            print::line(&format!("{label:<12} {}", field(item, name)));
        }
    }
    if item.get("pem").is_some() {
        print::line(field(item, "pem").trim_end());
    }
}

async fn import(
    house: &House,
    file: &Path,
    scope: Option<&Scope>,
    password: Option<&Password>,
    replaces: bool,
    json: bool,
) -> Result<(), Failure> {
    let refuse = |why: String| Failure::new(Exit::BadInput, format!("{}: {why}", file.display()));
    let mut imported = Imported::read(&read(file)?, password).map_err(|fault| refused(file, &fault))?;
    if imported.certificates.is_empty() {
        return Err(refuse(nothing_in(&imported).to_owned()));
    }
    let keys = std::mem::take(&mut imported.keys);
    let is_authority = |it: &cms::Certificate| it.basic_constraints().ok().flatten().is_some_and(|it| it.ca);
    let (issuers, leaves): (Vec<_>, Vec<_>) = imported.certificates.into_iter().partition(is_authority);
    if keys.iter().any(|key| !leaves.iter().any(|leaf| key.belongs_to(leaf))) {
        return Err(refuse("the key belongs to no certificate in the file".to_owned()));
    }
    let encoded = |certificate: &cms::Certificate| STANDARD.encode(certificate.as_der());
    let (mut rows, mut ours) = (Vec::new(), Vec::new());
    for leaf in &leaves {
        let named = || scope.map_or_else(|| Scope::named_by(leaf), |scope| vec![scope.clone()]);
        let key = keys.iter().find(|key| key.belongs_to(leaf));
        let key = key.map(|key| SecretText(STANDARD.encode(key.as_der())));
        let for_whom = if key.is_some() { named().into_iter().next() } else { None };
        // Without a key too: the certificate that one of our keys waits for is no stranger's.
        let chain = std::iter::once(leaf).chain(&issuers).map(encoded).collect();
        let answer = house.ask(Request::CertificateOwn { scope: for_whom, key, chain }).await?.value;
        if answer.get("own").is_some_and(|own| !own.is_null()) {
            ours.push(answer);
            continue;
        }
        if named().is_empty() {
            let subject = leaf.subject();
            return Err(refuse(format!(
                "the certificate of {subject} names no domain and no address\n  hint: say whose it is by --for"
            )));
        }
        rows.extend(named().into_iter().map(|scope| (scope, encoded(leaf))));
    }
    if rows.is_empty() && !ours.is_empty() {
        ours.iter().for_each(|own| done(own, json));
        return Ok(());
    }
    let brought = Brought { file, by_operator: true, replaces, issuers: issuers.iter().map(encoded).collect() };
    let report = brought.take(house, rows).await?;
    if !json {
        ours.iter().for_each(|own| done(own, json));
    }
    report.tell(json)
}

fn done(answer: &Value, json: bool) {
    if json {
        print::json(answer);
        return;
    }
    let known = if field(answer, "outcome") == "known" { " (it was here already)" } else { "" };
    print::line(&format!("a certificate of ours: {}{known}", field(answer, "own")));
}

/// A file, or standard input.
pub fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unread = |fault: io::Error| Failure::new(Exit::BadInput, told(file, &fault));
    let mut octets = Zeroizing::new(Vec::new());
    let most = u64::try_from(IMPORT_OCTETS).unwrap_or(u64::MAX).saturating_add(1);
    if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut octets).map_err(unread)?;
    } else {
        std::fs::File::open(file).and_then(|open| open.take(most).read_to_end(&mut octets)).map_err(unread)?;
    }
    Ok(octets)
}

/// The password in a file, or on standard input.
pub fn read_password(file: &Path) -> Result<Password, Failure> {
    let octets = read(file)?;
    let text = std::str::from_utf8(&octets).map(|text| Zeroizing::new(text.to_owned()));
    let text =
        text.map_err(|_| Failure::new(Exit::BadInput, format!("{}: the password is no UTF-8", file.display())))?;
    Password::new(text).map_err(|fault| refused(file, &fault))
}

/// What is wrong with a file, and what to do.
pub fn refused(file: &Path, fault: &ImportFault) -> Failure {
    Failure::new(Exit::BadInput, format!("{}: {fault}\n  hint: {}", file.display(), fault.hint()))
}
