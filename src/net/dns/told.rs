//! What is told of a name, or why nothing is.

use std::fmt;
use std::time::Duration;

use hickory_resolver::proto::rr::Name;

use crate::mail::Domain;

/// How long one question may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Records of one answer that are read.
const RECORDS: usize = 100;
/// What is said of answers that are not what the zone's owner signed.
pub(crate) const BOGUS: &str = "DNSSEC validation failed";

/// What was told of a name. No records: the name exists, and has none of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<T> {
    /// In the order of the answer, at most a hundred.
    pub records: Vec<T>,
    /// DNSSEC proves all of it, aliases on the way included.
    pub is_proven: bool,
    /// DNSSEC proves the first alias at least: the name that was asked for lies in a signed zone, wherever it leads.
    pub alias_is_proven: bool,
    /// The name at the end of the aliases, if there are any (RFC 1034 §3.6.2).
    pub canonical: Option<Domain>,
}

/// Why nothing was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsFault {
    /// There is no such name (NXDOMAIN, RFC 2308 §2.1).
    #[error("{0} does not exist")]
    NoSuchName(String),
    /// No name server answers, or what it answers is not what the zone's owner signed.
    #[error("{0} cannot be looked up: {1}")]
    Unavailable(String, String),
    /// The name servers or the trust anchor cannot be read, or are not to be believed.
    #[error("{0}")]
    Settings(String),
}

/// A mail exchanger (RFC 5321 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The lower the better.
    pub preference: u16,
    /// `None` if what stands there is no host name.
    pub host: Option<Domain>,
    /// It is the root: the domain takes no mail (RFC 7505).
    pub is_null: bool,
}

/// What a TLS server's certificate is to match (RFC 6698 §2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// 2 is DANE-TA, 3 is DANE-EE.
    pub usage: u8,
    /// 0 is the whole certificate, 1 its public key.
    pub selector: u8,
    /// 0 is the octets themselves, 1 their SHA-256, 2 their SHA-512.
    pub matching: u8,
    /// What is to match.
    pub data: Vec<u8>,
}

/// As in a zone (RFC 6698 §2.2).
impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
    }
}

impl DnsFault {
    /// A name that cannot be looked up, and why.
    pub(crate) fn unavailable(name: &Name, why: impl ToString) -> Self {
        Self::Unavailable(name.to_ascii().trim_end_matches('.').to_owned(), why.to_string())
    }

    /// Whether somebody answered, and not what the zone's owner signed.
    #[must_use]
    pub fn is_forgery(&self) -> bool {
        matches!(self, Self::Unavailable(_, why) if why == BOGUS)
    }
}

/// What was told of a name, or that there is no such name.
pub(crate) struct Found<T> {
    pub told: Told<T>,
    pub exists: bool,
}

impl<T> Found<T> {
    pub(crate) fn if_it_exists(self, name: &Domain) -> Result<Told<T>, DnsFault> {
        if self.exists { Ok(self.told) } else { Err(DnsFault::NoSuchName(name.to_string())) }
    }

    /// The same with its records read; those that are not of the kind that was asked for fall out.
    pub(crate) fn read<U>(self, read: impl Fn(&T) -> Option<U>) -> Found<U> {
        let Told { records, is_proven, alias_is_proven, canonical } = self.told;
        let records = records.iter().filter_map(read).take(RECORDS).collect();
        Found { told: Told { records, is_proven, alias_is_proven, canonical }, exists: self.exists }
    }
}

pub(crate) fn domain_of(name: &Name) -> Option<Domain> {
    name.to_ascii().parse().ok()
}
