//! Whom a certificate serves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cms::{Certificate, GeneralName};
use crate::mail::{Address, Domain};

/// The local part of whoever opens mail for a whole domain (RFC 3183 §4.1).
const CONFIDENTIALITY_AUTHORITY: &str = "domain-confidentiality-authority";
/// The local part of whoever signs for a whole domain (RFC 3183 §3.1.1).
const SIGNING_AUTHORITY: &str = "domain-signing-authority";

/// Whom a certificate serves: everybody at a domain, through the tunnel, or one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// A domain, and none below it.
    Domain(Domain),
    /// A mailbox: a person, a department.
    Mailbox(Address),
}

/// The text is neither a domain nor an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a domain nor an address")]
pub struct NoScope;

impl Scope {
    /// Whom a certificate names: mailboxes, and domains by the names of RFC 3183. Many name nobody.
    #[must_use]
    pub fn named_by(certificate: &Certificate) -> Vec<Self> {
        certificate.addresses().into_iter().map(Self::of_address).collect()
    }

    /// Whom a certificate names instead, where it names somebody, and not this. One for a whole domain names the domain's
    /// authority or a host of it; one that names mailboxes alone is those people's. Many name nobody, and serve.
    #[must_use]
    pub fn others_named_by(&self, certificate: &Certificate) -> Vec<String> {
        let named = Self::named_by(certificate);
        let alternatives = certificate.alternative_names().unwrap_or_default();
        let hosts: Vec<String> = alternatives
            .iter()
            .filter_map(|name| if let GeneralName::Dns(host) = name { Some(host.to_lowercase()) } else { None })
            .collect();
        let is_host = hosts.iter().any(|host| {
            let above = host.strip_suffix(self.domain().as_str());
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        });
        let fits = match self {
            Self::Domain(_) => named.contains(self) || is_host,
            Self::Mailbox(_) => named.iter().any(|it| it.key() == self.key()) || (named.is_empty() && is_host),
        };
        if fits { Vec::new() } else { named.iter().map(Self::to_string).chain(hosts).collect() }
    }

    /// The mailbox, or the domain if the address is that of its authority (RFC 3183 §4.1).
    #[must_use]
    pub fn of_address(address: Address) -> Self {
        let local = address.local().as_str();
        let is_authority =
            [CONFIDENTIALITY_AUTHORITY, SIGNING_AUTHORITY].iter().any(|name| local.eq_ignore_ascii_case(name));
        if is_authority { Self::Domain(address.domain().clone()) } else { Self::Mailbox(address) }
    }

    /// Its key in rows: letter case of the local part aside, as RFC 8550 §3 compares.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Domain(domain) => format!("@{domain}"),
            Self::Mailbox(address) => address.folded(),
        }
    }

    /// The domain, its own or the mailbox's.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        match self {
            Self::Domain(domain) => domain,
            Self::Mailbox(address) => address.domain(),
        }
    }

    /// Whether it is a domain.
    #[must_use]
    pub fn is_domain(&self) -> bool {
        matches!(self, Self::Domain(_))
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        match text.strip_prefix('@') {
            Some(domain) => domain.parse().map(Self::Domain).map_err(|_| NoScope),
            None if text.contains('@') => text.parse().map(Self::Mailbox).map_err(|_| NoScope),
            None => text.parse().map(Self::Domain).map_err(|_| NoScope),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = NoScope;

    fn try_from(text: String) -> Result<Self, NoScope> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "{domain}"),
            Self::Mailbox(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::directory::scope::Scope;

    #[test]
    fn a_domain_and_a_mailbox_are_told_apart() {
        let read = |text: &str| text.parse::<Scope>().map(|scope| scope.key()).ok();
        assert_eq!(read("Partner.Example").as_deref(), Some("@partner.example"));
        assert_eq!(read("@partner.example").as_deref(), Some("@partner.example"));
        assert_eq!(read("Eva@Live.example").as_deref(), Some("eva@live.example"));
        assert_eq!(read("not a domain"), None);
        let authority = |text: &str| Scope::of_address(text.parse().unwrap()).is_domain();
        assert!(authority("Domain-Confidentiality-Authority@bekb.example"));
        assert!(!authority("info@bekb.example"));
    }
}
