//! The tables of the post boxes and the clear part of their rows.

use serde::{Deserialize, Serialize};

use crate::mail::QueueId;
use crate::mailboxes::error::MailboxError;
use crate::mailboxes::person::PersonId;
use crate::mailboxes::stored::{Milestones, Stored, StoredId};
use crate::store::{BodyRef, Table, decode_row, unlock_value};
use crate::vault::Vault;

/// Id → [`StoredRow`].
pub(crate) const STORED: Table = Table("mailboxes.stored");
/// Keyed hash of a notice's token → id.
pub(crate) const BY_TOKEN: Table = Table("mailboxes.by_token");
/// Person and id → nothing: what is theirs.
pub(crate) const BY_PERSON: Table = Table("mailboxes.by_person");
/// Keyed hash of an address and id → nothing: what nobody has claimed yet.
pub(crate) const UNCLAIMED: Table = Table("mailboxes.unclaimed");
/// Keyed hash of what makes a person the same → person.
pub(crate) const PERSONS: Table = Table("mailboxes.persons");
/// Keyed hash of an address → [`BindingRow`].
pub(crate) const BINDINGS: Table = Table("mailboxes.bindings");
/// Time of expiry and id → nothing.
pub(crate) const EXPIRY: Table = Table("mailboxes.expiry");
/// When it was put in, and id → nothing: what nobody has read, and whose sender was not told so.
pub(crate) const UNREAD: Table = Table("mailboxes.unread");
/// Person and draft's id → draft, locked.
pub(crate) const DRAFTS: Table = Table("mailboxes.drafts");
/// Person and answer's id → answer, locked.
pub(crate) const SENT: Table = Table("mailboxes.sent");
/// Id and keyed hash of a form's token → answer's id: forms that were sent, as long as their message can be read.
pub(crate) const FORMS: Table = Table("mailboxes.forms");
/// Keyed hash of a `Message-ID` → id of the secured message in whose thread it stands.
pub(crate) const THREADS: Table = Table("mailboxes.threads");

/// A stored message's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredRow {
    pub milestones: Milestones,
    pub expires: i64,
    pub person: Option<PersonId>,
    /// `None` once it ended and the body was released.
    pub body: Option<BodyRef>,
    pub epoch: u32,
    /// The key in [`BY_TOKEN`].
    #[serde(with = "hash")]
    pub token: [u8; 32],
    /// The key in [`UNCLAIMED`].
    #[serde(with = "hash")]
    pub address: [u8; 32],
}

/// A person's row: the id, and whether a notice's link ever brought them here.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct PersonRow {
    pub person: PersonId,
    pub came_by_link: bool,
}

/// An address's tie to a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BindingRow {
    pub person: PersonId,
    pub since: i64,
    pub epoch: u32,
}

/// A stored message with its row.
pub(crate) fn open(vault: &Vault, row: &[u8]) -> Result<(StoredRow, Stored), MailboxError> {
    let (clear, locked): (StoredRow, _) = decode_row(row)?;
    let stored = unlock_value(vault, clear.epoch, locked)?;
    Ok((clear, stored))
}

pub(crate) fn expiry_key(expires: i64, id: StoredId) -> Vec<u8> {
    time_key(expires, id)
}

pub(crate) fn unread_key(noticed: i64, id: StoredId) -> Vec<u8> {
    time_key(noticed, id)
}

fn time_key(time: i64, id: StoredId) -> Vec<u8> {
    [&sortable(time)[..], &id.key()].concat()
}

/// A time such that keys in order are times in order.
pub(crate) fn sortable(time: i64) -> [u8; 8] {
    u64::try_from(time).unwrap_or(0).to_be_bytes()
}

pub(crate) fn person_key(person: PersonId, id: StoredId) -> Vec<u8> {
    [&person.as_bytes()[..], &id.key()].concat()
}

/// The key of an answer in an outbox.
pub(crate) fn sent_key(person: PersonId, answer: QueueId) -> Vec<u8> {
    [&person.as_bytes()[..], answer.as_bytes()].concat()
}

/// News of stored messages: id and kind → nothing, until their sender was told.
pub(crate) const NEWS: Table = Table("mailboxes.news");

pub(crate) fn unclaimed_key(address: &[u8; 32], id: StoredId) -> Vec<u8> {
    [&address[..], &id.key()].concat()
}

/// A hash as hexadecimal in JSON.
mod hash {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        let hex: String = hash.iter().map(|octet| format!("{octet:02x}")).collect();
        serializer.serialize_str(&hex)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let hex = String::deserialize(deserializer)?;
        let mut hash = [0; 32];
        for (place, slot) in hash.iter_mut().enumerate() {
            let pair = hex.get(place * 2..place * 2 + 2).ok_or_else(|| serde::de::Error::custom("a short hash"))?;
            *slot = u8::from_str_radix(pair, 16).map_err(serde::de::Error::custom)?;
        }
        Ok(hash)
    }
}
