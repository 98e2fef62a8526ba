//! One message for one recipient.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::mail::{Address, QueueId};
use crate::mailboxes::person::PersonId;
use crate::net::Time;
use crate::store::BodyRef;
use crate::texts::Language;

/// Which message, for which of its recipients.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoredId {
    /// The message.
    pub message: QueueId,
    /// The recipient's place in its envelope, from zero.
    pub place: u16,
}

/// The text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a message")]
pub struct StoredIdFault;

/// What is put into a post box.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// Which message, for which recipient.
    pub id: StoredId,
    /// When it can be read from.
    pub now: Time,
    /// When it cannot be read any more.
    pub expires: Time,
    /// The one person it is for, where that is known already: a secure thread.
    pub person: Option<PersonId>,
    /// What is locked.
    pub stored: Stored,
}

/// What is known of a stored message: all of it locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The recipient's address.
    pub address: Address,
    /// Who sent it and is told what becomes of it.
    pub sender: Option<Address>,
    /// The sender's name, for people.
    pub author: String,
    /// The return mailbox: where an answer goes.
    pub return_mailbox: Address,
    /// The return mailbox's name, for people.
    pub department: Option<String>,
    /// Subject, tags and directives gone.
    pub subject: String,
    /// `Message-ID` with its angle brackets.
    pub message_id: Option<String>,
    /// `References`, oldest first.
    pub references: Vec<String>,
    /// The language of its notice.
    pub language: Language,
    /// The national number its reader must have, normal form with its type.
    pub number: Option<String>,
    /// Octets that stand before the kept body: the header without what nobody else may see.
    #[serde(with = "octets")]
    pub head: Vec<u8>,
    /// Octets of the kept body that the head replaces.
    pub skip: u64,
    /// The kept message.
    pub body: BodyRef,
}

/// How far a stored message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The recipient was told.
    Noticed,
    /// It was read.
    Opened,
    /// It was answered.
    Answered,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Recalled,
}

/// When a stored message came how far, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestones {
    /// Put into the post box, its recipient told.
    pub noticed: i64,
    /// First read.
    pub opened: Option<i64>,
    /// Last answered.
    pub answered: Option<i64>,
    /// The sender was told that it is unread.
    pub reminded: Option<i64>,
    /// Ended: expired or recalled.
    pub ended: Option<i64>,
    /// It was taken back.
    pub recalled: bool,
}

/// An answer that was sent, as the outbox shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The answer's own id.
    pub id: QueueId,
    /// The message it answers.
    pub answers: StoredId,
    /// When, milliseconds since 1970.
    pub sent: i64,
    /// When it is erased, milliseconds since 1970.
    pub expires: i64,
    /// To whom, for people.
    pub to: String,
    /// Subject.
    pub subject: String,
    /// Text.
    pub text: String,
    /// Names of the files that went with it.
    pub files: Vec<String>,
}

impl Stored {
    /// Who wrote it, for people: name, department, organisation.
    #[must_use]
    pub fn from_whom(&self, organisation: &str) -> String {
        joined(&[Some(&self.author), self.department.as_deref(), Some(organisation)])
    }

    /// To whom an answer goes, for people: department or name, organisation.
    #[must_use]
    pub fn to_whom(&self, organisation: &str) -> String {
        joined(&[Some(self.department.as_deref().unwrap_or(&self.author)), Some(organisation)])
    }
}

/// None of them twice: a function mailbox often bears the organisation's name.
fn joined(names: &[Option<&str>]) -> String {
    let mut told: Vec<&str> = Vec::new();
    for name in names.iter().flatten() {
        if !told.contains(name) {
            told.push(name);
        }
    }
    told.join(", ")
}

impl Milestones {
    /// The state these amount to.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self { recalled: true, .. } => State::Recalled,
            Self { ended: Some(_), .. } => State::Expired,
            Self { answered: Some(_), .. } => State::Answered,
            Self { opened: Some(_), .. } => State::Opened,
            Self { .. } => State::Noticed,
        }
    }
}

impl StoredId {
    /// The key of its row.
    #[must_use]
    pub(crate) fn key(self) -> Vec<u8> {
        [&self.message.as_bytes()[..], &self.place.to_be_bytes()].concat()
    }

    /// The id in a key.
    pub(crate) fn of_key(key: &[u8]) -> Option<Self> {
        let (message, place) = key.split_first_chunk::<16>()?;
        Some(Self { message: QueueId::from_bytes(*message), place: u16::from_be_bytes(place.try_into().ok()?) })
    }
}

impl fmt::Display for StoredId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.message, self.place)
    }
}

impl fmt::Debug for StoredId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StoredId {
    type Err = StoredIdFault;

    fn from_str(text: &str) -> Result<Self, StoredIdFault> {
        let (message, place) = text.split_once('-').ok_or(StoredIdFault)?;
        Ok(Self {
            message: message.parse().map_err(|_| StoredIdFault)?,
            place: place.parse().map_err(|_| StoredIdFault)?,
        })
    }
}

/// Octets as base 64 in JSON.
mod octets {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(octets))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
