//! `sealgate certificate`.

use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::args::Certificates;
use crate::cli::exit::{Exit, Failure};
use crate::cli::house::House;
use crate::cli::print::{self, field};
use crate::cms::{self, IMPORT_OCTETS, ImportFault, Imported, Password};
use crate::control::{REQUEST_OCTETS, Request, SecretText};
use crate::directory::Scope;
use crate::fault::told;

pub async fn certificate(path: &Path, verb: &Certificates, json: bool) -> Result<(), Failure> {
    let house = House::find(path).await?;
    let asked = match verb {
        Certificates::List => return list(&house, json).await,
        Certificates::Import { file, scope, password_file } => {
            return import(&house, file, scope.as_ref(), password_file.as_deref(), json).await;
        }
        Certificates::Show { id } => Request::CertificateShow { id: id.clone() },
        Certificates::Accept { id } => Request::CertificateDecide { id: id.clone(), accepted: true },
        Certificates::Refuse { id } => Request::CertificateDecide { id: id.clone(), accepted: false },
        Certificates::Remove { id } => Request::CertificateRemove { id: id.clone() },
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
        Certificates::Remove { .. } => print::line("removed"),
        _ => answer.as_array().into_iter().flatten().for_each(show),
    }
    Ok(())
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
    password_file: Option<&Path>,
    json: bool,
) -> Result<(), Failure> {
    let octets = read(file)?;
    let password = password_file.map(read_password).transpose()?;
    let mut imported = Imported::read(&octets, password.as_ref()).map_err(|fault| refused(file, &fault))?;
    let is_authority = |it: &cms::Certificate| it.basic_constraints().ok().flatten().is_some_and(|it| it.ca);
    let (issuers, leaves): (Vec<_>, Vec<_>) = imported.certificates.into_iter().partition(is_authority);
    let encoded = |certificate: &cms::Certificate| STANDARD.encode(certificate.as_der());
    if let Some(key) = imported.keys.pop() {
        let leaf = leaves.iter().find(|leaf| key.belongs_to(leaf)).ok_or_else(|| {
            Failure::new(Exit::BadInput, format!("{}: the key belongs to no certificate in the file", file.display()))
        })?;
        let chain = std::iter::once(leaf).chain(&issuers).map(encoded).collect();
        let named = scope.cloned().or_else(|| Scope::named_by(leaf).into_iter().next());
        let key = Some(SecretText(STANDARD.encode(key.as_der())));
        let answer = house.ask(Request::CertificateOwn { scope: named, key, chain }).await?.value;
        return done(&answer, json);
    }
    let (mut rows, mut ours) = (Vec::new(), Vec::new());
    for leaf in &leaves {
        // The certificate that one of our keys waits for is no stranger's.
        let chain = std::iter::once(leaf).chain(&issuers).map(encoded).collect();
        let answer = house.ask(Request::CertificateOwn { scope: None, key: None, chain }).await?.value;
        if !answer.get("own").is_none_or(Value::is_null) {
            ours.push(answer);
            continue;
        }
        let scopes = scope.map_or_else(|| Scope::named_by(leaf), |scope| vec![scope.clone()]);
        if scopes.is_empty() {
            return Err(Failure::new(
                Exit::BadInput,
                format!(
                    "{}: the certificate of {} names no domain and no address\n  hint: say whose it is by --for",
                    file.display(),
                    leaf.subject()
                ),
            ));
        }
        rows.extend(scopes.into_iter().map(|scope| (scope, encoded(leaf))));
    }
    if let Some(own) = ours.first().filter(|_| rows.is_empty()) {
        return done(own, json);
    }
    let issuers: Vec<String> = issuers.iter().map(encoded).collect();
    let taken = take(house, true, file, rows, issuers).await?;
    report(&taken, &[], json);
    Ok(())
}

fn done(answer: &Value, json: bool) -> Result<(), Failure> {
    if json {
        print::json(answer);
    } else {
        print::line(&format!("a certificate of ours: {}", field(answer, "own")));
    }
    Ok(())
}

/// Brings certificates, as many at a time as go into one request; what became of each.
pub async fn take(
    house: &House,
    by_operator: bool,
    file: &Path,
    rows: Vec<(Scope, String)>,
    issuers: Vec<String>,
) -> Result<Vec<Value>, Failure> {
    let told_by = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut taken = Vec::new();
    for part in parts(issuers.into_iter().map(|text| (None, text)).collect()) {
        let issuers = part.into_iter().map(|(_, text)| text).collect();
        let told_by = told_by.clone();
        house.ask(Request::CertificateTake { by_operator, told_by, rows: Vec::new(), issuers }).await?;
    }
    for part in parts(rows.into_iter().map(|(scope, text)| (Some(scope), text)).collect()) {
        let rows = part.into_iter().filter_map(|(scope, text)| Some((scope?, text))).collect();
        let asked = Request::CertificateTake { by_operator, told_by: told_by.clone(), rows, issuers: Vec::new() };
        let answer = house.ask(asked).await?.value;
        taken.extend(answer.get("taken").and_then(Value::as_array).cloned().unwrap_or_default());
    }
    Ok(taken)
}

/// Parts that fit into a request. What is for one domain stays together, so that its generations come together.
fn parts(mut rows: Vec<(Option<Scope>, String)>) -> Vec<Vec<(Option<Scope>, String)>> {
    const ROOM: usize = REQUEST_OCTETS / 2;
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let (mut parts, mut part, mut size) = (Vec::new(), Vec::new(), 0_usize);
    for (scope, text) in rows {
        let continues = scope.is_some() && part.last().is_some_and(|(last, _)| *last == scope);
        if size.saturating_add(text.len()) > ROOM && !continues && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            size = 0;
        }
        size = size.saturating_add(text.len()).saturating_add(400);
        part.push((scope, text));
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Tells what became of what was brought, and what could not be read.
pub fn report(taken: &[Value], faults: &[(String, String)], json: bool) {
    if json {
        let faults: Vec<Value> = faults.iter().map(|(place, why)| json!({ "place": place, "why": why })).collect();
        print::json(&json!({ "taken": taken, "faults": faults }));
        return;
    }
    for (place, why) in faults {
        print::fault(&format!("{place}: {why}"));
    }
    let count = |word: &str| taken.iter().filter(|row| field(row, "outcome") == word).count();
    for row in taken.iter().filter(|row| matches!(field(row, "outcome").as_str(), "conflict" | "asked" | "too-many")) {
        let (scope, id) = (field(row, "for"), field(row, "fingerprint").chars().take(16).collect::<String>());
        let why = match field(row, "outcome").as_str() {
            "conflict" => {
                format!("another certificate is in use; `sealgate certificate accept {id}` takes this one too")
            }
            "asked" => format!("`sealgate certificate accept {id}` lets it be used"),
            _ => "there are too many certificates for it; remove some".to_owned(),
        };
        print::line(&format!("{scope}: {why}"));
    }
    print::line(&format!(
        "{} new, {} renewed, {} known, {} in conflict",
        count("new"),
        count("renewed"),
        count("known"),
        count("conflict")
    ));
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
