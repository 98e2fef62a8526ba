//! The journal: makes entries outside a transaction, writes them inside, and reads them back.

use std::ops::Bound;

use crate::mail::QueueId;
use crate::net::{Clock, Time};
use crate::records::chain::{self, BY_MESSAGE, EVENTS, Head, Link};
use crate::records::event::{Event, EventKind, Record, Told};
use crate::store::{RowsHandle, StoreError, Transaction};
use crate::vault::{Epoch, Vault, VaultError};

/// Events of one message that `trace` reads at most.
const TRACE_EVENTS: usize = 10_000;

/// Makes entries: knows the time and the lock. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    pub(crate) rows: RowsHandle,
    pub(crate) vault: Vault,
    clock: Clock,
}

/// An event, locked and ready to be written in the transaction that makes it true.
pub struct Entry {
    clear: Vec<u8>,
    locked: Vec<u8>,
    message: Option<[u8; 16]>,
}

/// An event read back. `told` is `None` where the epoch's key is destroyed.
#[derive(Debug, Clone)]
pub struct Recalled {
    /// Its place in the chain, from zero.
    pub number: u64,
    /// When it happened.
    pub time: Time,
    /// What happened.
    pub kind: EventKind,
    /// The message it happened to.
    pub message: Option<QueueId>,
    /// Facts without personal data.
    pub detail: String,
    /// The personal part.
    pub told: Option<Told>,
}

impl Journal {
    /// A journal over these rows.
    #[must_use]
    pub fn new(rows: RowsHandle, vault: Vault, clock: Clock) -> Self {
        Self { rows, vault, clock }
    }

    /// Locks the personal part of an event. Nothing is written yet.
    ///
    /// # Errors
    /// [`VaultError`] if the lock cannot be made.
    pub fn entry(&self, event: Event) -> Result<Entry, VaultError> {
        let locker = self.vault.row_locker();
        let locked = if event.told.is_empty() {
            Vec::new()
        } else {
            let told = serde_json::to_vec(&event.told).unwrap_or_default();
            locker.lock(&told)?.into_bytes()
        };
        let record = Record {
            time: self.clock.now().unix_ms(),
            kind: event.kind,
            message: event.message.map(|id| id.to_string()),
            detail: event.detail,
            epoch: if locked.is_empty() { 0 } else { locker.epoch().number() },
        };
        let clear = serde_json::to_vec(&record).unwrap_or_default();
        Ok(Entry { clear, locked, message: event.message.map(|id| *id.as_bytes()) })
    }

    /// Writes one event on its own: for what changes no other row, such as a refused login.
    ///
    /// # Errors
    /// [`StoreError`]; a lock that cannot be made is [`StoreError::Unavailable`].
    pub async fn write(&self, event: Event) -> Result<(), StoreError> {
        let entry = self.entry(event).map_err(|fault| StoreError::Unavailable(fault.to_string()))?;
        self.rows.commit(Box::new(move |tx| entry.write(tx))).await
    }

    /// The newest event's place and hash.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn head(&self) -> Result<Head, StoreError> {
        chain::head(self.rows.as_ref())
    }

    /// Walks the whole chain: see [`chain::verify`].
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn verify(&self, known: Option<&[u8; 32]>) -> Result<chain::ChainReport, StoreError> {
        chain::verify(self.rows.as_ref(), known)
    }

    /// All events of one message, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails or a row is damaged.
    pub fn trace(&self, message: QueueId) -> Result<Vec<Recalled>, StoreError> {
        let from = [&message.as_bytes()[..], &[0; 8]].concat();
        let to = [&message.as_bytes()[..], &[255; 8]].concat();
        let index = self.rows.range(BY_MESSAGE, Bound::Included(&from), Bound::Included(&to), TRACE_EVENTS)?;
        let mut events = Vec::with_capacity(index.len());
        for (key, _) in index {
            let number = key.get(16..).unwrap_or_default();
            if let Some(row) = self.rows.get(EVENTS, number)? {
                events.push(self.recall(number, &row)?);
            }
        }
        Ok(events)
    }

    /// Up to `limit` events from a place in the chain on, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails or a row is damaged.
    pub fn from(&self, number: u64, limit: usize) -> Result<Vec<Recalled>, StoreError> {
        let rows = self.rows.range(EVENTS, Bound::Included(&number.to_be_bytes()), Bound::Unbounded, limit)?;
        rows.iter().map(|(key, row)| self.recall(key, row)).collect()
    }

    fn recall(&self, key: &[u8], row: &[u8]) -> Result<Recalled, StoreError> {
        let damaged = || StoreError::Damaged("an event".into());
        let link = Link::of(row).ok_or_else(damaged)?;
        let record = link.record().ok_or_else(damaged)?;
        let number = u64::from_be_bytes(key.try_into().map_err(|_| damaged())?);
        Ok(Recalled {
            number,
            time: record.at(),
            kind: record.kind,
            message: record.message.as_deref().and_then(|id| id.parse().ok()),
            told: self.told(&record, link.locked),
            detail: record.detail,
        })
    }

    fn told(&self, record: &Record, locked: &[u8]) -> Option<Told> {
        if locked.is_empty() {
            return Some(Told::default());
        }
        let plain = self.vault.unlock_row(Epoch::from_number(record.epoch), locked).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

impl Entry {
    /// Writes the event behind the newest one, in the transaction that makes it true.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn write(self, tx: &mut dyn Transaction) -> Result<(), StoreError> {
        chain::append(tx, &self.clear, &self.locked, self.message)
    }
}
