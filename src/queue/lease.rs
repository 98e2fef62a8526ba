//! The right to work on an item or consignment. The embedded store has one process, so a lease lives in memory and
//! ends with whoever holds it: a crash gives every lease back (docs/decisions/0003-leases-in-memory.md).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::mail::QueueId;
use crate::net::Time;
use crate::queue::item::{Consignment, Item};
use crate::queue::table::{ConsignmentRow, ItemRow};
use crate::store::BodyRef;

/// What is worked on now, and a bell for those who wait.
#[derive(Default)]
pub(crate) struct Leases {
    held: Mutex<HashSet<(QueueId, u16)>>,
    pub(crate) bell: Notify,
}

/// Gives the lease back when dropped.
pub(crate) struct Guard {
    key: (QueueId, u16),
    leases: Arc<Leases>,
}

/// The right to serve an incoming item.
pub struct IncomingLease {
    /// The item's id.
    pub id: QueueId,
    /// The item.
    pub item: Item,
    pub(crate) row: ItemRow,
    pub(crate) _guard: Guard,
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
    pub(crate) _guard: Guard,
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

    /// When the message was taken.
    #[must_use]
    pub fn created(&self) -> Time {
        Time::from_unix_ms(self.row.created)
    }

    /// When to give up.
    #[must_use]
    pub fn expires(&self) -> Time {
        Time::from_unix_ms(self.row.expires)
    }

    /// How often it was tried to serve it.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.row.attempts
    }
}

impl ConsignmentLease {
    /// When the message was taken.
    #[must_use]
    pub fn created(&self) -> Time {
        Time::from_unix_ms(self.row.created)
    }

    /// When to give up.
    #[must_use]
    pub fn expires(&self) -> Time {
        Time::from_unix_ms(self.row.expires)
    }

    /// Attempts before this one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.row.attempts
    }
}
