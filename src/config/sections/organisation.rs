//! `[organisation]`: whose gateway this is.

use std::fmt;
use std::str::FromStr;

use crate::fault::{At, Key, Keys, Place, Reader, Section, Setting, TextSetting, Url, Value, settings};
use crate::mail::Domain;
use crate::texts::{Language, Zone, ZoneFault};

settings! {
    /// Whose gateway this is: what notices, receipts and the portal show.
    pub struct Organisation {
        /// The name people know, shown in every notice and on every page.
        name: String,
        /// The mail domains that are ours. At least one. Mail from them may leave by the outbound door; mail to them goes to `delivery.mail_server`.
        domains: Vec<Domain>,
        /// Organisation number, CVR number or the like, shown so that recipients can check who writes.
        number: Option<String>,
        /// The language of notices and portal for those whose own is not known.
        language: Language = "sv",
        /// Whom a person can ask for help: a telephone number, an address.
        contact: Option<String>,
        /// The page on the organisation's own website that tells about secure messages.
        website: Option<Url>,
        /// The time zone in which people are told days and moments.
        timezone: TimeZone = "Europe/Stockholm",
    }
}

/// A time zone by its name in the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone {
    name: String,
    zone: Zone,
}

impl TimeZone {
    /// The zone itself.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }
}

impl FromStr for TimeZone {
    type Err = ZoneFault;

    fn from_str(text: &str) -> Result<Self, ZoneFault> {
        Ok(Self { name: text.to_owned(), zone: Zone::named(text)? })
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl TextSetting for TimeZone {
    const FORM: &'static str = "the name of a time zone such as \"Europe/Copenhagen\"";
}
