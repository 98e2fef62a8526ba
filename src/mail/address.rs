//! Mailbox addresses and the reverse path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::mail::domain::{Domain, DomainFault};
use crate::mail::limits;

/// What stands before the `@` (RFC 5321 §4.1.2 Local-part, RFC 6531 §3.3), unquoted.
///
/// Letter case is kept, because only the receiving host may fold it; sealgate compares its own in [`Address::folded`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalPart(String);

/// A mailbox address (RFC 5321 §4.1.2 Mailbox).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    local: LocalPart,
    domain: Domain,
}

/// `MAIL FROM` (RFC 5321 §4.5.5): the null path is a case of its own, so that bounces are not bounced.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ReversePath {
    /// `<>`: reports about this message go nowhere.
    Null,
    /// Reports go here.
    Mailbox(Address),
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// No `@` outside quotes.
    #[error("the address has no @")]
    AtSignMissing,
    /// The local part is empty or over 64 octets.
    #[error("the part before the @ is empty or too long")]
    LocalPartLength,
    /// The local part is neither a dot-string nor a quoted string.
    #[error("the part before the @ has a character that needs quotes")]
    LocalPartForm,
    /// What follows the `@` is no domain.
    #[error(transparent)]
    Domain(#[from] DomainFault),
}

impl LocalPart {
    /// The local part without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The local part that is this text, quotes needed or not.
    ///
    /// # Errors
    /// [`AddressFault`]: it is empty, too long, or has a control character.
    pub fn plain(text: &str) -> Result<Self, AddressFault> {
        if text.is_empty() || text.len() > limits::LOCAL_PART_OCTETS {
            return Err(AddressFault::LocalPartLength);
        }
        if text.chars().any(char::is_control) {
            return Err(AddressFault::LocalPartForm);
        }
        Ok(Self(text.to_owned()))
    }

    fn needs_quotes(&self) -> bool {
        !is_dot_string(&self.0)
    }
}

impl Address {
    /// Puts an address together from parts that are already valid.
    #[must_use]
    pub fn new(local: LocalPart, domain: Domain) -> Self {
        Self { local, domain }
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local(&self) -> &LocalPart {
        &self.local
    }

    /// What stands after the `@`.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The whole address in lower case: the form to compare and to index by. Two mailboxes that differ in
    /// letter case alone are one person to us.
    #[must_use]
    pub fn folded(&self) -> String {
        self.to_string().to_lowercase()
    }

    /// Whether SMTPUTF8 is needed to carry this address (RFC 6531 §3.2).
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.0.is_ascii()
    }

    /// `a…@sundby.example`: enough for a log, too little for a stranger.
    #[must_use]
    pub fn masked(&self) -> String {
        let first: String = self.local.0.chars().take(1).collect();
        format!("{first}…@{}", self.domain)
    }
}

/// `postmaster@` a domain, which every domain with mail has (RFC 5321 §4.5.1).
#[must_use]
pub fn postmaster_of(domain: &Domain) -> Option<Address> {
    "postmaster".parse().ok().map(|local| Address::new(local, domain.clone()))
}

impl ReversePath {
    /// The mailbox, if the path is not null.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Mailbox(address) => Some(address),
        }
    }
}

impl FromStr for LocalPart {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        let plain = match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) if text.len() >= 2 => unquote(quoted)?,
            Some(_) | None if is_dot_string(text) => text.to_owned(),
            Some(_) | None => return Err(AddressFault::LocalPartForm),
        };
        Self::plain(&plain)
    }
}

impl FromStr for Address {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        let (local, domain) = text.rsplit_once('@').ok_or(AddressFault::AtSignMissing)?;
        if local.is_empty() {
            return Err(AddressFault::LocalPartLength);
        }
        Ok(Self { local: local.parse()?, domain: domain.parse()? })
    }
}

impl TryFrom<String> for Address {
    type Error = AddressFault;

    fn try_from(text: String) -> Result<Self, AddressFault> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.needs_quotes() {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl fmt::Debug for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(address) => write!(f, "<{address}>"),
        }
    }
}

/// RFC 5321 §4.1.2: `Dot-string = Atom *("." Atom)`, with RFC 6531's non-ASCII characters in the atom.
fn is_dot_string(text: &str) -> bool {
    let atom_char = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^' | '_' | '`' | '{' | '|' | '}'
        | '~' => true,
        c => !c.is_ascii() && !c.is_control(),
    };
    !text.is_empty() && text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atom_char))
}

/// RFC 5321 §4.1.2: `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, quotes already gone.
fn unquote(quoted: &str) -> Result<String, AddressFault> {
    let mut plain = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        let meant = match c {
            '"' => return Err(AddressFault::LocalPartForm),
            '\\' => chars.next().ok_or(AddressFault::LocalPartForm)?,
            c => c,
        };
        if meant.is_control() {
            return Err(AddressFault::LocalPartForm);
        }
        plain.push(meant);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use crate::mail::address::*;

    #[test]
    fn an_address_survives_the_way_there_and_back() {
        for text in [
            "anna.berg@sundby.example",
            "a+b@x.example",
            "\"a b\"@x.example",
            "\"a@b\\\"c\"@x.example",
            "åsa@växjö.example",
        ] {
            let address: Address = text.parse().unwrap();
            let again: Address = address.to_string().parse().unwrap();
            assert_eq!(address, again, "{text}");
        }
    }

    #[test]
    fn a_quoted_local_part_that_needs_no_quotes_loses_them() {
        let address: Address = "\"anna\"@x.example".parse().unwrap();
        assert_eq!(address.to_string(), "anna@x.example");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "a@",
            "@x.example",
            "a b@x.example",
            "a..b@x.example",
            ".a@x.example",
            "\"@x.example",
            "a\n@x.example",
            "\"a\u{1}\"@x.example",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
        assert!(format!("{}@x.example", "a".repeat(65)).parse::<Address>().is_err());
    }

    #[test]
    fn a_log_never_shows_the_whole_address() {
        let address: Address = "eva.ratt@live.example".parse().unwrap();
        assert_eq!(format!("{address:?}"), "e…@live.example");
    }
}
