//! Tables of domains and their certificates, as they are handed round: CSV, JSON, LDIF (RFC 2849), or the certificates
//! alone.
//!
//! No form of such a table is standardised. What tells a domain or an address and a certificate is read, whatever else
//! stands beside it; a row that does not is told, with its line, and stops none of the others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::cms::{Certificate, ImportFault, Imported, Password, is_pem};
use crate::directory::scope::Scope;

/// Rows of one table.
const ROWS: usize = 500_000;
/// Columns of a row.
const COLUMNS: usize = 200;
/// What a column of domains or addresses is called.
const SCOPE_NAMES: [&str; 9] =
    ["domain", "domæne", "domän", "domene", "address", "mail", "e-mail", "email", "associateddomain"];
/// What a column of certificates is called.
const CERTIFICATE_NAMES: [&str; 6] =
    ["certificate", "certifikat", "sertifikat", "cert", "usercertificate", "usersmimecertificate"];

/// What was read of a table.
#[derive(Default)]
pub struct TableFile {
    /// Domains and mailboxes, each with a certificate.
    pub rows: Vec<(Scope, Certificate)>,
    /// Certificates of authorities, which are for nobody.
    pub issuers: Vec<Certificate>,
    /// What could not be read: where, and why.
    pub faults: Vec<(String, String)>,
}

impl TableFile {
    /// Reads a table, in whichever form it is.
    ///
    /// # Errors
    /// The file is none of these, or locked.
    pub fn read(octets: &[u8], password: Option<&Password>) -> Result<Self, ImportFault> {
        let mut table = Self::default();
        let text = std::str::from_utf8(octets).ok().map(|text| text.trim_start_matches('\u{feff}'));
        match text {
            Some(text) if text.trim_start().starts_with(['{', '[']) => table.take_json(text)?,
            Some(text) if is_ldif(text) => table.take_ldif(text),
            Some(text) if !text.trim_start().starts_with("-----BEGIN") && is_csv(text) => table.take_csv(text)?,
            _ => {
                let read = Imported::read(octets, password)?;
                if read.certificates.is_empty() {
                    table.fault("the file", nothing_in(&read));
                }
                table.take_certificates("the file", None, read.certificates);
            }
        }
        Ok(table)
    }

    fn fault(&mut self, place: &str, why: impl ToString) {
        // A file that is something else altogether must not fill the screen.
        if self.faults.len() < ROWS {
            self.faults.push((place.to_owned(), why.to_string()));
        }
    }

    /// Takes what is for one domain or mailbox, or else for those whom the certificates name.
    fn take_certificates(&mut self, place: &str, scope: Option<&Scope>, certificates: Vec<Certificate>) {
        for certificate in certificates {
            let is_authority = certificate.basic_constraints().ok().flatten().is_some_and(|it| it.ca);
            if is_authority && !(scope.is_some() && certificate.is_self_issued()) {
                self.issuers.push(certificate);
                continue;
            }
            let scopes = scope.map_or_else(|| Scope::named_by(&certificate), |scope| vec![scope.clone()]);
            if scopes.is_empty() {
                let subject = certificate.subject().to_string();
                self.fault(place, format!("the certificate of {subject} names no domain and no address: `sealgate tunnel add DOMAIN --certificate FILE` says whose it is"));
            }
            self.rows.extend(scopes.into_iter().map(|scope| (scope, certificate.clone())));
        }
    }

    /// A row: whom it is for, and a certificate in PEM or in base64.
    fn take_row(&mut self, place: &str, scope: Option<&str>, certificate: &str) {
        let scope = match scope.map(str::trim).filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => match text.parse::<Scope>() {
                // RFC 3183 §4.1: the address of whoever opens mail for all.
                Ok(Scope::Mailbox(address)) => Some(Scope::of_address(address)),
                Ok(scope) => Some(scope),
                Err(fault) => return self.fault(place, format!("{text}: {fault}")),
            },
        };
        if certificate.trim().is_empty() {
            return self.fault(place, "no certificate");
        }
        let read = if is_pem(certificate.as_bytes()) {
            Imported::read(certificate.as_bytes(), None)
        } else {
            let bare: String = certificate.chars().filter(|letter| !letter.is_whitespace()).collect();
            STANDARD.decode(bare).map_err(|_| ImportFault::NoKnownForm).and_then(|der| Imported::read(&der, None))
        };
        match read {
            Ok(read) if read.certificates.is_empty() => self.fault(place, "no certificate"),
            Ok(read) => self.take_certificates(place, scope.as_ref(), read.certificates),
            Err(fault) => self.fault(place, fault),
        }
    }

    /// A list of objects, or an object whose names are the domains.
    fn take_json(&mut self, text: &str) -> Result<(), ImportFault> {
        let value: Value = serde_json::from_str(text).map_err(|_| ImportFault::NoKnownForm)?;
        match value {
            Value::Array(rows) => {
                for (number, row) in rows.iter().take(ROWS).enumerate() {
                    let named = |names: &[&str]| {
                        let row = row.as_object()?;
                        row.iter().find(|(name, _)| names.contains(&name.to_lowercase().as_str())).map(|(_, it)| it)
                    };
                    let place = format!("entry {}", number.saturating_add(1));
                    let scope = named(&SCOPE_NAMES).and_then(Value::as_str);
                    let value = named(&CERTIFICATE_NAMES).or_else(|| row.get("certificates"));
                    self.take_values(&place, scope, value.unwrap_or(&Value::Null));
                }
            }
            Value::Object(rows) => {
                for (scope, value) in rows.iter().take(ROWS) {
                    self.take_values(scope, Some(scope), value);
                }
            }
            _ => return Err(ImportFault::NoKnownForm),
        }
        Ok(())
    }

    fn take_values(&mut self, place: &str, scope: Option<&str>, value: &Value) {
        match value {
            Value::String(text) => self.take_row(place, scope, text),
            Value::Array(all) if !all.is_empty() => {
                for text in all {
                    self.take_row(place, scope, text.as_str().unwrap_or_default());
                }
            }
            _ => self.fault(place, "no certificate"),
        }
    }

    /// RFC 4180, and what Excel makes of it where the comma is taken: semicolons, or tabs.
    fn take_csv(&mut self, text: &str) -> Result<(), ImportFault> {
        let rows = records(text)?;
        let mut rows = rows.into_iter().peekable();
        let (mut scope, mut certificate) = (0, usize::MAX);
        if let Some((_, head)) = rows.peek() {
            let place =
                |names: &[&str]| head.iter().position(|name| names.contains(&name.trim().to_lowercase().as_str()));
            if let Some(found) = place(&CERTIFICATE_NAMES) {
                (scope, certificate) = (place(&SCOPE_NAMES).unwrap_or(usize::MAX), found);
                rows.next();
            }
        }
        for (line, row) in rows {
            if row.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            let cell = if certificate == usize::MAX { row.last() } else { row.get(certificate) };
            let text = cell.map(String::as_str).unwrap_or_default();
            self.take_row(&format!("line {line}"), row.get(scope).map(String::as_str), text);
        }
        Ok(())
    }

    /// Entries of a directory of people or organisations. A domain is told before an address.
    fn take_ldif(&mut self, text: &str) {
        let unfolded = text.replace("\r\n", "\n").replace("\n ", "");
        let (mut domain, mut mail) = (None::<String>, None::<String>);
        let mut found: Vec<String> = Vec::new();
        let mut begins = 1;
        for (number, line) in unfolded.lines().chain([""]).enumerate() {
            if line.is_empty() {
                for certificate in found.drain(..) {
                    let scope = domain.as_deref().or(mail.as_deref());
                    self.take_row(&format!("entry at line {begins}"), scope, &certificate);
                }
                (domain, mail, begins) = (None, None, number.saturating_add(2));
                continue;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            let name = name.split(';').next().unwrap_or_default().to_lowercase();
            // Behind two colons stands base64 (RFC 2849 §2).
            let (value, is_base64) =
                value.strip_prefix(':').map_or((value.trim(), false), |value| (value.trim(), true));
            let plain = || {
                let decoded = is_base64.then(|| STANDARD.decode(value).ok().and_then(|it| String::from_utf8(it).ok()));
                decoded.unwrap_or_else(|| Some(value.to_owned()))
            };
            match name.as_str() {
                "associateddomain" | "domain" => domain = plain(),
                "mail" | "rfc822mailbox" => mail = mail.or_else(plain),
                name if CERTIFICATE_NAMES.contains(&name) && found.len() < COLUMNS => found.push(value.to_owned()),
                _ => {}
            }
        }
    }
}

/// What a file has in place of a certificate.
#[must_use]
pub fn nothing_in(read: &Imported) -> &'static str {
    if !read.keys.is_empty() {
        "a private key, and no certificate: bring both in one file"
    } else if !read.lists.is_empty() {
        "a revocation list, and no certificate: name it in trust.crls"
    } else {
        "no certificate; a request goes to an authority, and what comes back is taken up"
    }
}

fn is_ldif(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.next().is_some_and(|line| line.starts_with("version:") || line.starts_with("dn:"))
}

fn is_csv(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.contains([',', ';', '\t']))
}

/// The rows of a CSV file, each with the line that it begins in.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, ImportFault> {
    let first = text.lines().next().unwrap_or_default();
    let separator = ['\t', ';', ','].into_iter().find(|it| first.contains(*it)).unwrap_or(',');
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begins, mut is_quoted) = (1_usize, 1, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\n' {
            line = line.saturating_add(1);
        }
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => cell.push(letters.next().unwrap_or('"')),
            '"' if is_quoted => is_quoted = false,
            '"' if cell.trim().is_empty() => is_quoted = true,
            _ if is_quoted => cell.push(letter),
            '\n' => {
                record.push(std::mem::take(&mut cell));
                records.push((begins, std::mem::take(&mut record)));
                begins = line;
            }
            _ if letter == separator => record.push(std::mem::take(&mut cell)),
            _ => cell.push(letter),
        }
        if records.len() > ROWS || record.len() > COLUMNS {
            return Err(ImportFault::TooMany { what: "rows or columns in the table", limit: ROWS });
        }
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        records.push((begins, record));
    }
    Ok(records)
}
