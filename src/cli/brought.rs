//! Certificates that a file brings: handed over part by part, and what became of them.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::exit::{Exit, Failure};
use crate::cli::house::House;
use crate::cli::print::{self, field};
use crate::control::{REQUEST_OCTETS, Request};
use crate::directory::Scope;

/// Lines that tell the same of different certificates.
const LINES: usize = 20;

/// A file of certificates of others.
pub struct Brought<'a> {
    /// The file.
    pub file: &'a Path,
    /// Somebody brings them for just these domains and mailboxes; else it is a table.
    pub by_operator: bool,
    /// In place of what is in use.
    pub replaces: bool,
    /// Certificates of authorities, in base64.
    pub issuers: Vec<String>,
}

/// What became of it.
pub struct Report<'a> {
    file: &'a Path,
    by_operator: bool,
    issuers: usize,
    taken: Vec<Value>,
    /// What could not be read: where, and why.
    pub faults: Vec<(String, String)>,
}

impl<'a> Brought<'a> {
    /// Brings certificates, as many at a time as go into one request.
    ///
    /// # Errors
    /// The refusal, as text and exit code.
    pub async fn take(self, house: &House, rows: Vec<(Scope, String)>) -> Result<Report<'a>, Failure> {
        let told_by = self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let asked = |rows, issuers| Request::CertificateTake {
            by_operator: self.by_operator,
            replaces: self.replaces,
            told_by: told_by.clone(),
            rows,
            issuers,
        };
        let (mut taken, issuers) = (Vec::new(), self.issuers.len());
        for part in parts(self.issuers.into_iter().map(|text| (None, text)).collect()) {
            house.ask(asked(Vec::new(), part.into_iter().map(|(_, text)| text).collect())).await?;
        }
        for part in parts(rows.into_iter().map(|(scope, text)| (Some(scope), text)).collect()) {
            let rows = part.into_iter().filter_map(|(scope, text)| Some((scope?, text))).collect();
            let answer = house.ask(asked(rows, Vec::new())).await?.value;
            taken.extend(answer.get("taken").and_then(Value::as_array).cloned().unwrap_or_default());
        }
        Ok(Report { file: self.file, by_operator: self.by_operator, issuers, taken, faults: Vec::new() })
    }
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

impl Report<'_> {
    fn count(&self, word: &str) -> usize {
        self.taken.iter().filter(|row| field(row, "outcome") == word).count()
    }

    /// Tells what became of what was brought, and what could not be read.
    ///
    /// # Errors
    /// Nothing was taken, or not all could be read; or one that an operator brought is not used, for another is.
    pub fn tell(&self, json: bool) -> Result<(), Failure> {
        if json {
            let fault = |(place, why): &(String, String)| json!({ "place": place, "why": why });
            let faults: Vec<Value> = self.faults.iter().map(fault).collect();
            print::json(&json!({ "taken": self.taken, "faults": faults }));
        } else {
            for (place, why) in &self.faults {
                print::fault(&format!("{place}: {why}"));
            }
            self.tell_rows();
        }
        let refuse = |why: String| Err(Failure::new(Exit::BadInput, format!("{}: {why}", self.file.display())));
        let lost = self.count("ours").saturating_add(self.count("too-many"));
        let is_nothing = self.taken.len() == lost && self.issuers == 0;
        if is_nothing {
            return refuse("nothing was taken".to_owned());
        }
        if !self.faults.is_empty() {
            return refuse(format!("{} rows could not be read; the others were taken", self.faults.len()));
        }
        match self.count("conflict") {
            waiting if waiting > 0 && self.by_operator => {
                refuse(format!("{waiting} kept and not used, until somebody decides"))
            }
            _ if lost > 0 && self.by_operator => refuse(format!("{lost} not taken")),
            _ => Ok(()),
        }
    }

    fn tell_rows(&self) {
        let mut told: Vec<(String, usize)> = Vec::new();
        for row in &self.taken {
            let Some((line, kind, hint)) = line_of(row, self.by_operator) else { continue };
            let times = match told.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, times)) => times,
                None => {
                    told.push((kind, 0));
                    let Some((_, times)) = told.last_mut() else { continue };
                    times
                }
            };
            *times = times.saturating_add(1);
            if *times <= LINES {
                print::line(&line);
            }
            if let Some(hint) = hint.filter(|_| *times == 1) {
                print::line(&format!("  hint: {hint}"));
            }
        }
        for (kind, times) in told.iter().filter(|(_, times)| *times > LINES) {
            let more = times.saturating_sub(LINES);
            print::line(&format!(
                "and {more} more ({kind}); `sealgate tunnel list` and `sealgate certificate list` show them"
            ));
        }
        let unusable = self.taken.iter().filter(|row| is_kept(row) && field(row, "why") != "-").count();
        let but = if unusable == 0 { String::new() } else { format!("; {unusable} of them cannot be used now") };
        let [new, renewed, known] = ["new", "renewed", "known"].map(|word| self.count(word));
        print::line(&format!(
            "{new} new, {renewed} renewed, {known} known, {} in conflict{but}",
            self.count("conflict")
        ));
        if self.issuers > 0 {
            let many = self.issuers;
            print::line(&format!("{many} of authorities, to build paths by: whom we believe stands in trust.roots"));
        }
    }
}

fn is_kept(row: &Value) -> bool {
    matches!(field(row, "outcome").as_str(), "new" | "renewed" | "known")
}

/// What is to be told of a row: the line, of what kind it is, and what to do.
fn line_of(row: &Value, by_operator: bool) -> Option<(String, String, Option<String>)> {
    let (scope, id) = (field(row, "for"), field(row, "fingerprint").chars().take(16).collect::<String>());
    let (outcome, why) = (field(row, "outcome"), field(row, "why"));
    let names: Vec<&str> =
        row.get("names").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let or_replace = if by_operator { ", and --replace takes it in place of those in use" } else { "" };
    let hint = row.get("hint").and_then(Value::as_str).map(str::to_owned);
    Some(match outcome.as_str() {
        "ours" => (format!("{scope}: not taken: {why}"), outcome, None),
        "conflict" => (
            format!(
                "{scope}: kept and not used: {why}; `sealgate certificate accept {id} --for {scope}` lets it be used{or_replace}"
            ),
            outcome,
            None,
        ),
        "asked" => (format!("{scope}: `sealgate certificate accept {id}` lets it be used"), outcome, None),
        "too-many" => {
            (format!("{scope}: not taken: there are too many certificates for it; remove some"), outcome, None)
        }
        _ if why == "-" && names.is_empty() => return None,
        _ => {
            let named = format!(
                "it names {}: `sealgate certificate refuse {id} --for {scope}` if that is wrong",
                names.join(", ")
            );
            match (why.as_str(), names.is_empty()) {
                ("-", _) => (format!("{scope}: used from now on, and {named}"), "it names others".to_owned(), None),
                (_, false) => (format!("{scope}: kept, and cannot be used: {why}; and {named}"), why, hint),
                (_, true) => (format!("{scope}: kept, and cannot be used: {why}"), why, hint),
            }
        }
    })
}
