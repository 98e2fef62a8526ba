//! `[notify]`: telling people.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::config::sections::smtpd::HeaderField;
use crate::fault::{
    At, Key, Keys, Place, Reader, Section, Setting, TextSetting, UnknownWord, Url, Value, settings, words,
};
use crate::mail::{Address, AddressFault};

settings! {
    /// Notices to recipients and receipts to senders.
    pub struct Notify {
        /// From whom notices and receipts come; the organisation's name and `noreply@` at `hostname` unless written.
        from: Option<Sender>,
        /// Whether a notice may name the department, which can itself be a secret, or the organisation alone.
        reveal: Reveal = "organisation",
        /// After how long the sender is told that a message was not opened.
        remind_after: Duration = "7d",
        /// How short messages are sent.
        sms: Option<Sms>,
    }

    /// A service that sends short messages: POST with a JSON object. Not served yet.
    pub struct Sms {
        /// Where to post to.
        url: Url,
        /// Header fields to send with it, each `Name: value`.
        headers: Vec<HeaderField>,
        /// The JSON field for the recipient's number.
        to_field: String = "to",
        /// The JSON field for the text.
        text_field: String = "text",
    }
}

words! {
    /// `notify.reveal`.
    pub enum Reveal {
        /// The organisation alone.
        Organisation = "organisation",
        /// The department too.
        Department = "department",
    }
}

/// A name and a mail address, `Sundby kommun <noreply@sundby.example>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The name, if any.
    pub name: Option<String>,
    /// The address.
    pub address: Address,
}

impl FromStr for Sender {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        let Some((name, rest)) = text.rsplit_once('<') else {
            return Ok(Self { name: None, address: text.trim().parse()? });
        };
        let address = rest.trim_end().strip_suffix('>').ok_or(AddressFault::AtSignMissing)?.parse()?;
        let name: String = name.chars().filter(|c| !c.is_control() && *c != '"').collect();
        let name = name.trim();
        Ok(Self { name: (!name.is_empty()).then(|| name.to_owned()), address })
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

impl TextSetting for Sender {
    const FORM: &'static str = "a name and a mail address such as \"Sundby kommun <noreply@sundby.example>\"";
}
