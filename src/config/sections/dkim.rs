//! `[[dkim]]`: how what we send is signed.

use std::fmt;
use std::str::FromStr;

use crate::fault::{At, Key, Keys, Place, Reader, Secret, Section, Setting, TextSetting, Value, settings};
use crate::mail::{Domain, DomainFault};

settings! {
    /// A key that signs what leaves to the internet (RFC 6376): mail whose author is of this domain, or of one of ours
    /// below it that has no key of its own. All keys of a domain sign.
    pub struct Dkim named "domain" {
        /// The domain it signs for.
        domain: Domain,
        /// The selector its public half is published under.
        selector: Selector,
        /// The private key in PEM, RSA of 2048 bits or more, or Ed25519: a file nobody else may read, or `credential:NAME`.
        /// `sealgate key rotate dkim` makes new ones, which need no entry.
        key: Secret,
    }
}

/// A DKIM selector: one or more labels (RFC 6376 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(String);

impl Selector {
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Selector {
    type Err = DomainFault;

    fn from_str(text: &str) -> Result<Self, DomainFault> {
        text.parse::<Domain>().map(|labels| Self(labels.to_string()))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TextSetting for Selector {
    const FORM: &'static str = "a selector such as \"gw1\"";
}
