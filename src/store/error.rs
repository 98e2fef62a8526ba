//! What can go wrong below the rows and blobs.

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space left, or a quota reached.
    #[error("the disk is full")]
    DiskIsFull,
    /// The medium failed, or the store was closed.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What was read is not what was written.
    #[error("a stored row or blob is damaged: {0}")]
    Damaged(String),
    /// A newer sealgate wrote this store.
    #[error("the store has version {found}, this program knows versions up to {known}")]
    WrittenByNewerVersion {
        /// What the store says.
        found: u32,
        /// The newest this program can read.
        known: u32,
    },
    /// Another process has the store open.
    #[error(
        "it is open in another process: another sealgate runs with this `data_dir`; stop that one first, or give this one its own"
    )]
    OpenElsewhere,
    /// The change looked at the rows and found that it must not happen. Nothing of it was written.
    #[error("the change does not apply: {0}")]
    Conflict(&'static str),
    /// The change itself is at fault, and would be every time. Nothing of it was written.
    #[error("the change panicked")]
    Panicked,
}

/// What the operating system met, in our words.
pub(crate) fn io_fault(fault: &std::io::Error) -> StoreError {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    match fault.kind() {
        StorageFull | QuotaExceeded => StoreError::DiskIsFull,
        _ => StoreError::Unavailable(fault.to_string()),
    }
}

impl StoreError {
    /// Whether trying again later can help without anybody's doing.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::DiskIsFull | Self::Unavailable(_) | Self::OpenElsewhere | Self::Conflict(_) => true,
            Self::Damaged(_) | Self::WrittenByNewerVersion { .. } | Self::Panicked => false,
        }
    }
}
