//! The right to work on an item or consignment. The embedded store has one process, so a lease lives in memory and
//! ends with whoever holds it: a crash gives every lease back (docs/decisions/0003-leases-in-memory.md).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::mail::QueueId;
use crate::net::Time;
use crate::queue::item::{Consignment, Failure, Item};
use crate::queue::table::{ConsignmentRow, Delay, ItemRow};
use crate::queue::untold::Untold;
use crate::store::BodyRef;

/// Leases whose work has panicked and that are remembered at most. With more of them something else is wrong.
const SUSPECTS: usize = 10_000;

/// What is worked on now, and a bell for those who wait.
#[derive(Default)]
pub(crate) struct Leases {
    held: Mutex<HashSet<(QueueId, u16)>>,
    suspects: Mutex<HashMap<(QueueId, u16), u32>>,
    pub(crate) bell: Notify,
}

/// Gives the lease back when dropped.
pub(crate) struct Guard {
    key: (QueueId, u16),
    leases: Arc<Leases>,
}

/// A second hand on a lease: as long as anybody has one, nobody else gets the lease, even if the work on it broke off.
#[derive(Clone)]
pub struct Grip {
    number: Option<u16>,
    due: i64,
    guard: Arc<Guard>,
}

/// How long there is time for what is worked on.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// When the message was taken.
    pub created: Time,
    /// When to give up.
    pub expires: Time,
    /// Attempts before this one.
    pub attempts: u32,
}

/// The right to serve an incoming item.
pub struct IncomingLease {
    /// The item's id.
    pub id: QueueId,
    /// The item.
    pub item: Item,
    pub(crate) row: ItemRow,
    /// Since when and until when it waits.
    pub term: Term,
    /// The hand on it; a clone is a second one.
    pub grip: Grip,
}

/// The right to attempt a consignment.
pub struct ConsignmentLease {
    /// The item's id.
    pub id: QueueId,
    /// The consignment's number within the item.
    pub number: u16,
    /// The consignment.
    pub consignment: Consignment,
    pub(crate) row: ConsignmentRow,
    /// Since when and until when it waits.
    pub term: Term,
    /// The hand on it; a clone is a second one.
    pub grip: Grip,
}

/// The right to tell a sender what came of a message.
pub struct TellingLease {
    /// The item's id.
    pub id: QueueId,
    /// The item.
    pub item: Item,
    /// What came of it.
    pub untold: Untold,
    /// Who still waits; empty unless that is to be told.
    pub delayed: Vec<Failure>,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) row: ItemRow,
    /// Since when and until when it waits.
    pub term: Term,
    /// The hand on it; a clone is a second one.
    pub grip: Grip,
}

impl Leases {
    /// The lease on an item (number 0 in its own set) or consignment, unless somebody has it.
    pub(crate) fn take(self: &Arc<Self>, id: QueueId, number: u16) -> Option<Guard> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert((id, number)).then(|| Guard { key: (id, number), leases: Arc::clone(self) })
    }

    pub(crate) fn count(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn is_held(&self, id: QueueId, number: u16) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).contains(&(id, number))
    }
}

impl Grip {
    /// A lease that was taken: the consignment's number, if it is one, and the time in its key.
    pub(crate) fn new(guard: Guard, number: Option<u16>, due: Time) -> Self {
        Self { number, due: due.unix_ms(), guard: Arc::new(guard) }
    }

    /// The item's id.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.guard.key.0
    }

    pub(crate) fn number(&self) -> Option<u16> {
        self.number
    }

    pub(crate) fn due(&self) -> i64 {
        self.due
    }

    /// The work on it panicked: how often it has by now, one after another.
    pub(crate) fn suspect(&self) -> u32 {
        let mut suspects = self.guard.leases.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.len() >= SUSPECTS && !suspects.contains_key(&self.guard.key) {
            return u32::MAX;
        }
        let count = suspects.entry(self.guard.key).or_default();
        *count += 1;
        *count
    }

    /// The work on it came to an end, or what it was about is set aside.
    pub(crate) fn clear(&self) {
        self.guard.leases.suspects.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.guard.key);
    }
}

impl From<&ItemRow> for Term {
    fn from(row: &ItemRow) -> Self {
        Self::new(row.created, row.expires, row.attempts)
    }
}

impl From<&ConsignmentRow> for Term {
    fn from(row: &ConsignmentRow) -> Self {
        Self::new(row.created, row.expires, row.attempts)
    }
}

impl Term {
    fn new(created: i64, expires: i64, attempts: u32) -> Self {
        Self { created: Time::from_unix_ms(created), expires: Time::from_unix_ms(expires), attempts }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.leases.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.leases.bell.notify_one();
    }
}

impl IncomingLease {
    /// The kept octets.
    #[must_use]
    pub fn body(&self) -> &BodyRef {
        &self.row.body
    }
}

impl TellingLease {
    /// Whether it is to be told that the message is late.
    pub(crate) fn is_late(&self) -> bool {
        self.row.delay == Delay::Due
    }
}
