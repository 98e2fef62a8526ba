//! Who reads: a person as an e-ID tells it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A person's id: random, kept for good, tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PersonId([u8; 16]);

impl PersonId {
    /// The person with these octets as id.
    #[must_use]
    pub const fn from_bytes(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// What an e-ID told about who is there. Does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// The provider's id from the configuration.
    pub provider: String,
    /// The provider's issuer: subjects of two issuers are never the same person by themselves.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The name, for people.
    pub name: String,
    /// The level of assurance: the `acr` value.
    pub level: String,
    /// The national number in its normal form with its type, such as `se-personnummer 198501012382`.
    pub number: Option<String>,
}

impl Identified {
    /// What makes this person the same next time: the national number if there is one, else the issuer's subject.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.number {
            Some(number) => format!("number\0{number}"),
            None => format!("subject\0{}\0{}", self.issuer, self.subject),
        }
    }
}

impl fmt::Debug for Identified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identified by {}", self.provider)
    }
}

/// An address and the person it is tied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The address, folded.
    pub address: String,
    /// The person.
    pub person: PersonId,
    /// When it was tied, milliseconds since 1970.
    pub since: i64,
}
