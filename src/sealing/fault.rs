//! Why something could not be sealed.

use crate::cms::{CmsError, SignFault};
use crate::store::StoreError;
use crate::vault::VaultError;

/// Why something could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealFault {
    /// The rows or bodies did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock could not be made or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Nobody can be sealed to, or the cipher failed.
    #[error("{0}")]
    Cms(#[from] CmsError),
    /// Our key did not sign.
    #[error("{0}")]
    Sign(#[from] SignFault),
    /// Its header is longer than any that is taken.
    #[error("the header is too long")]
    HeaderTooLong,
    /// The work broke off.
    #[error("sealing broke off")]
    BrokeOff,
}
