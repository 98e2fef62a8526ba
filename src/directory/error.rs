//! Why the directory did not do what was asked.

use crate::store::StoreError;
use crate::vault::VaultError;

/// Why the directory did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// What was asked cannot be: why, and what to do.
    #[error("{0}")]
    Asked(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The library could not make a key or a signature.
    #[error("no key could be made")]
    NotMade,
}
