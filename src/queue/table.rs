//! The queue's tables and the clear part of their rows.

use serde::{Deserialize, Serialize};

use crate::mail::QueueId;
use crate::net::Time;
use crate::queue::error::QueueError;
use crate::queue::item::{Consignment, Item};
use crate::sealing::NextHop;
use crate::store::{BodyRef, Table, decode_row, unlock_value};
use crate::vault::Vault;

/// Id → [`ItemRow`].
pub(crate) const ITEMS: Table = Table("queue.items");
/// Id and number → [`ConsignmentRow`].
pub(crate) const CONSIGNMENTS: Table = Table("queue.consignments");
/// Due time and id → nothing: what waits for the carrier.
pub(crate) const INCOMING: Table = Table("queue.incoming");
/// Due time, id and number → nothing: what waits for an attempt towards the internet.
pub(crate) const DUE: Table = Table("queue.due");
/// The same towards our own mail server: neither waits behind the other.
pub(crate) const DUE_INSIDE: Table = Table("queue.due_inside");
/// Keyed hash of a `Message-ID` → id: what lets the help desk and a bounce find a message.
pub(crate) const BY_MESSAGE_ID: Table = Table("queue.by_message_id");

/// Where an item stands (Postfix's words).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Promised, not served yet.
    Incoming,
    /// On its way out.
    Active,
    /// Attempted without success; will be attempted again.
    Deferred,
    /// Waits for a person.
    Held,
    /// Could not be read and was set aside.
    Corrupt,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Incoming, Self::Active, Self::Deferred, Self::Held, Self::Corrupt];

    /// The word for it, as in listings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Active => "active",
            Self::Deferred => "deferred",
            Self::Held => "held",
            Self::Corrupt => "corrupt",
        }
    }
}

/// An item's row: what a listing needs in the clear, the rest locked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ItemRow {
    pub stage: Stage,
    pub created: i64,
    pub expires: i64,
    pub size: u64,
    pub attempts: u32,
    /// When the carrier is due, while incoming: the key in [`INCOMING`].
    pub due: Option<i64>,
    /// Recipients that are not served yet.
    pub waiting: u16,
    /// Consignments that have not ended.
    pub open: u16,
    /// Consignments ever made.
    pub made: u16,
    /// Recipients held.
    pub held: u16,
    /// Rows that say what its sender is to be told: its keys in [`UNTOLD`](crate::queue::untold::UNTOLD).
    #[serde(default)]
    pub untold: u16,
    /// When its sender is told: the key in [`TELLING`](crate::queue::untold::TELLING).
    #[serde(default)]
    pub tell_at: Option<i64>,
    /// Whether its sender knows that it is late.
    #[serde(default)]
    pub delay: Delay,
    /// Keyed hashes of the recipients' domains, each once: its keys in [`BY_DOMAIN`](crate::queue::index::BY_DOMAIN).
    pub domains: Vec<u64>,
    pub body: BodyRef,
    /// Bodies that were sealed for some of its recipients: they go out with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed: Vec<BodyRef>,
    pub epoch: u32,
}

/// Whether the sender of a message knows that it is late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Delay {
    #[default]
    NotYet,
    /// To be told with the next report.
    Due,
    Told,
}

impl ItemRow {
    /// What others wrote into the row while this was worked on.
    pub(crate) fn take_over(&mut self, current: &Self) {
        (self.open, self.untold, self.tell_at, self.delay) =
            (current.open, current.untold, current.tell_at, current.delay);
    }
}

/// A consignment's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ConsignmentRow {
    pub created: i64,
    pub expires: i64,
    /// Where it goes next.
    pub hop: NextHop,
    /// The key in the table of those due there, unless ended or stopped by hand.
    pub due: Option<i64>,
    pub attempts: u32,
    pub ended: bool,
    pub epoch: u32,
}

impl ConsignmentRow {
    /// The table in which it is due.
    pub(crate) fn line(&self) -> Table {
        line(self.hop)
    }
}

/// The table of what is due towards a next hop.
pub(crate) fn line(hop: NextHop) -> Table {
    match hop {
        NextHop::Internet => DUE,
        NextHop::MailServer => DUE_INSIDE,
    }
}

/// An item with its row.
pub(crate) fn open_item(vault: &Vault, id: QueueId, row: &[u8]) -> Result<(ItemRow, Item), QueueError> {
    let (clear, locked): (ItemRow, _) = decode_row(row)?;
    let item = unlock_value(vault, clear.epoch, locked).map_err(|fault| QueueError::of(fault, id))?;
    Ok((clear, item))
}

/// A consignment with its row.
pub(crate) fn open_consignment(
    vault: &Vault,
    id: QueueId,
    row: &[u8],
) -> Result<(ConsignmentRow, Consignment), QueueError> {
    let (clear, locked): (ConsignmentRow, _) = decode_row(row)?;
    let consignment = unlock_value(vault, clear.epoch, locked).map_err(|fault| QueueError::of(fault, id))?;
    Ok((clear, consignment))
}

pub(crate) fn consignment_key(id: QueueId, number: u16) -> Vec<u8> {
    [&id.as_bytes()[..], &number.to_be_bytes()].concat()
}

pub(crate) fn incoming_key(due: i64, id: QueueId) -> Vec<u8> {
    [&sortable(due)[..], id.as_bytes()].concat()
}

pub(crate) fn due_key(due: i64, id: QueueId, number: u16) -> Vec<u8> {
    [&sortable(due)[..], id.as_bytes(), &number.to_be_bytes()].concat()
}

/// The due time and id (and number) in a key of [`INCOMING`], [`DUE`] or [`DUE_INSIDE`].
pub(crate) fn parse_due(key: &[u8]) -> Option<(Time, QueueId, u16)> {
    let (due, rest) = key.split_first_chunk::<8>()?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let number = rest.first_chunk::<2>().map_or(0, |n| u16::from_be_bytes(*n));
    let due = i64::try_from(u64::from_be_bytes(*due)).ok()?;
    Some((Time::from_unix_ms(due), QueueId::from_bytes(*id), number))
}

fn sortable(due: i64) -> [u8; 8] {
    u64::try_from(due).unwrap_or(0).to_be_bytes()
}
