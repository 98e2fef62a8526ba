//! What can go wrong with a post box.

use crate::store::{LockedValueFault, StoreError};
use crate::vault::VaultError;

/// Why a post box did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// The rows did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock could not be made or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A row is not what was written, or a newer sealgate wrote it.
    #[error("a post box row cannot be read")]
    RowIsUnreadable,
}

impl From<LockedValueFault> for MailboxError {
    fn from(fault: LockedValueFault) -> Self {
        match fault {
            LockedValueFault::Vault(fault) => Self::Vault(fault),
            LockedValueFault::AnotherForm => Self::RowIsUnreadable,
        }
    }
}

impl MailboxError {
    /// Whether trying again later can help: the medium or a key is away, and what is kept is whole.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Store(fault) => fault.is_temporary(),
            Self::Vault(fault) => fault.is_temporary(),
            Self::RowIsUnreadable => false,
        }
    }
}
