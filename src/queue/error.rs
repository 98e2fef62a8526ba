//! What can go wrong while a message is kept.

use crate::mail::QueueId;
use crate::store::{LockedValueFault, StoreError};
use crate::vault::VaultError;

/// Why the queue did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The rows or bodies did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock could not be made or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A row is not what was written, or a newer sealgate wrote it.
    #[error("the queue row of {0} cannot be read")]
    RowIsUnreadable(String),
    /// No item with this id.
    #[error("no message {0} in the queue")]
    NoSuchItem(String),
    /// A kept message is longer than whoever reads it can take.
    #[error("the message is longer than {0} octets")]
    TooLong(u64),
}

impl QueueError {
    /// Whether trying again later can help: the medium or a key is away, and what is kept is whole.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Store(fault) => fault.is_temporary(),
            Self::Vault(fault) => fault.is_temporary(),
            Self::RowIsUnreadable(_) | Self::NoSuchItem(_) | Self::TooLong(_) => false,
        }
    }

    /// Whether what is kept is not what was written: nobody will ever read it.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        !self.is_temporary() && !matches!(self, Self::NoSuchItem(_) | Self::TooLong(_))
    }

    /// Whether what was to be changed was changed by somebody else first.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict(_)))
    }
}

impl QueueError {
    /// What a row of this item met when it was unlocked.
    pub(crate) fn of(fault: LockedValueFault, id: QueueId) -> Self {
        match fault {
            LockedValueFault::Vault(fault) => Self::Vault(fault),
            LockedValueFault::AnotherForm => Self::RowIsUnreadable(id.to_string()),
        }
    }
}
