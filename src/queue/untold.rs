//! What senders are still to be told. Each way a message goes out ends at its own time; what its sender hears of them is
//! gathered, so that one report names all who failed at about the same time.

use std::ops::Bound;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mail::QueueId;
use crate::net::Time;
use crate::queue::error::QueueError;
use crate::queue::item::Failure;
use crate::queue::table::{Delay, ItemRow, incoming_key};
use crate::store::{
    LockedValue, Rows, StoreError, Table, Transaction, decode_row, encode_row, lock_value, unlock_value,
};
use crate::vault::{Epoch, Vault};

/// Id, number and attempt of a consignment → [`UntoldRow`] and, locked, [`Untold`].
pub(crate) const UNTOLD: Table = Table("queue.untold");
/// Time and id → nothing: whose sender is told when.
pub(crate) const TELLING: Table = Table("queue.telling");
/// Rows of one message at most: each tells of a recipient that is told of once.
const MOST: usize = 65_536;

/// What came of attempts, and its sender is to hear.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untold {
    /// Who will not get the message.
    pub failed: Vec<Failure>,
    /// Who has it.
    pub stored: Vec<Failure>,
    /// For whom it went to somebody who reports no further.
    pub relayed: Vec<Failure>,
}

/// What is to be told of one attempt, and when.
#[derive(Debug, Default)]
pub struct Telling {
    /// What came of it.
    pub untold: Untold,
    /// The message is late: that is told once.
    pub is_late: bool,
    /// How long to wait for what comes of the message's other ways.
    pub gather: Duration,
}

/// The clear part of a row.
#[derive(Serialize, Deserialize)]
pub(crate) struct UntoldRow {
    pub epoch: u32,
}

impl Untold {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.failed.is_empty() && self.stored.is_empty() && self.relayed.is_empty()
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.failed.extend(other.failed);
        self.stored.extend(other.stored);
        self.relayed.extend(other.relayed);
    }
}

impl Telling {
    /// Locks what is to be told; `None` if that is nothing.
    pub(crate) fn lock(&self, vault: &Vault, id: QueueId) -> Result<Option<LockedValue>, QueueError> {
        if self.untold.is_empty() {
            return Ok(None);
        }
        lock_value(vault, &self.untold).map(Some).map_err(|fault| QueueError::of(fault, id))
    }
}

/// Something is to be told of an attempt, whose item is about to be written.
pub(crate) fn note(
    tx: &mut dyn Transaction,
    id: QueueId,
    attempt: (u16, u32),
    locked: &LockedValue,
    item: &mut ItemRow,
) -> Result<(), StoreError> {
    let (number, attempts) = attempt;
    let key = [&id.as_bytes()[..], &number.to_be_bytes(), &attempts.to_be_bytes()].concat();
    item.untold = item.untold.saturating_add(1);
    tx.put(UNTOLD, &key, &encode_row(&UntoldRow { epoch: locked.epoch }, &locked.octets)?)
}

/// The sender is told then, or before if that is planned already.
pub(crate) fn plan(tx: &mut dyn Transaction, id: QueueId, item: &mut ItemRow, at: Time) -> Result<(), StoreError> {
    let at = at.unix_ms();
    if item.tell_at.is_some_and(|planned| planned <= at) {
        return Ok(());
    }
    unplan(tx, id, item)?;
    item.tell_at = Some(at);
    tx.put(TELLING, &incoming_key(at, id), &[])
}

/// Nothing is planned any more.
pub(crate) fn unplan(tx: &mut dyn Transaction, id: QueueId, item: &mut ItemRow) -> Result<(), StoreError> {
    match item.tell_at.take() {
        Some(planned) => tx.delete(TELLING, &incoming_key(planned, id)),
        None => Ok(()),
    }
}

/// Nobody is to be told any more.
pub(crate) fn forget(tx: &mut dyn Transaction, id: QueueId, item: &mut ItemRow) -> Result<(), StoreError> {
    let (first, last) = around(id);
    let rows = tx.range(UNTOLD, Bound::Included(&first), Bound::Included(&last), MOST)?;
    rows.iter().try_for_each(|(key, _)| tx.delete(UNTOLD, key))?;
    (item.untold, item.delay) = (0, Delay::Told);
    unplan(tx, id, item)
}

/// What is to be told of an item, with the keys under which it stands.
pub(crate) fn of(rows: &dyn Rows, vault: &Vault, id: QueueId) -> Result<(Vec<Vec<u8>>, Untold), QueueError> {
    let (first, last) = around(id);
    let (mut keys, mut untold) = (Vec::new(), Untold::default());
    for (key, row) in rows.range(UNTOLD, Bound::Included(&first), Bound::Included(&last), MOST)? {
        let (clear, locked): (UntoldRow, _) = decode_row(&row)?;
        untold.join(unlock_value(vault, clear.epoch, locked).map_err(|fault| QueueError::of(fault, id))?);
        keys.push(key);
    }
    Ok((keys, untold))
}

/// The epoch that a row is locked to.
pub(crate) fn epoch_of(row: &[u8]) -> Result<Epoch, StoreError> {
    Ok(Epoch::from_number(decode_row::<UntoldRow>(row)?.0.epoch))
}

/// The keys between which an item's stand.
fn around(id: QueueId) -> (Vec<u8>, Vec<u8>) {
    let prefix = &id.as_bytes()[..];
    ([prefix, &[0; 6]].concat(), [prefix, &[u8::MAX; 6]].concat())
}
