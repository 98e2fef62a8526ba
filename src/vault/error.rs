//! What can go wrong with locks and keys.

use std::path::PathBuf;

/// Why something was not locked or unlocked.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The cryptographic library failed: no randomness, or an internal fault.
    #[error("the cryptographic library failed")]
    CryptographyFailed,
    /// The octets do not begin with a header of the age format (version 1).
    #[error("this is not an age file: {0}")]
    NotAnAgeFile(&'static str),
    /// The text is no armored age file.
    #[error("this is not an armored age file: {0}")]
    NotArmored(&'static str),
    /// No identity at hand opens it.
    #[error("no identity at hand opens this")]
    NoIdentityMatches,
    /// The header's or a chunk's tag is wrong: changed, cut off, or continued.
    #[error("what was locked was changed: {0}")]
    TagIsWrong(&'static str),
    /// The epoch's identity was destroyed: what was locked to it is erased.
    #[error("the identity of epoch {0} is destroyed")]
    EpochIsDestroyed(u32),
    /// The vault has no such epoch.
    #[error("the vault has no epoch {0}")]
    NoSuchEpoch(u32),
    /// The newest epoch's identity is in use.
    #[error("epoch {0} is the newest: begin another before it is destroyed")]
    EpochIsCurrent(u32),
    /// An epoch that is to be brought in is destroyed here, or another identity lies in its place.
    #[error("epoch {0} cannot be brought in: it was destroyed here, or is another")]
    EpochIsTaken(u32),
    /// A key file that others can read is no secret.
    #[error("{0} can be read by others; make it private: chmod 600 {0}")]
    KeyFileIsReadableByOthers(PathBuf),
    /// A key file of another user's can be exchanged by that user.
    #[error("{0} is another user's; give it to root or to the user this runs as")]
    KeyFileIsAnothers(PathBuf),
    /// A key file cannot be read or written.
    #[error("{path}: {fault}")]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// What the system says.
        fault: String,
    },
    /// A key file that something here was locked to is gone.
    #[error(
        "{0} is missing: bring it back from where `sealgate key export` put it; if an epoch's is lost for good, so is what it opens, and an empty file of its number with the ending .destroyed says that you know"
    )]
    KeyFileIsMissing(PathBuf),
    /// A key file is not what was written, or not for this vault's identity.
    #[error(
        "{path}: {fault}; bring it back from where `sealgate key export` put it, or name the vault.identity it was locked to"
    )]
    KeyFileDoesNotOpen {
        /// Which.
        path: PathBuf,
        /// Why.
        fault: Box<VaultError>,
    },
    /// A key file holds no identity.
    #[error("{0} holds no age identity (a line that begins with AGE-SECRET-KEY-)")]
    NoIdentityInFile(PathBuf),
}

impl VaultError {
    /// Whether trying again later can help: what is locked is whole, but for now it cannot be opened. Key files can be
    /// brought back.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::CryptographyFailed
            | Self::KeyFile { .. }
            | Self::KeyFileIsReadableByOthers(_)
            | Self::KeyFileIsAnothers(_)
            | Self::KeyFileIsMissing(_)
            | Self::KeyFileDoesNotOpen { .. }
            | Self::NoIdentityInFile(_) => true,
            Self::NotAnAgeFile(_)
            | Self::NotArmored(_)
            | Self::NoIdentityMatches
            | Self::TagIsWrong(_)
            | Self::EpochIsDestroyed(_)
            | Self::NoSuchEpoch(_)
            | Self::EpochIsCurrent(_)
            | Self::EpochIsTaken(_) => false,
        }
    }
}

impl From<aws_lc_rs::error::Unspecified> for VaultError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::CryptographyFailed
    }
}
