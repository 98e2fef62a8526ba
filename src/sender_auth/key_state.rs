//! What operators see and do of the keys that sign: declared here, so that the door they come in by can ask for it.

use async_trait::async_trait;
use serde::Serialize;

use crate::mail::Domain;
use crate::sender_auth::signing_key::Algorithm;

/// What a key is used for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyUse {
    /// It signs.
    Signing,
    /// It signs as soon as its record is seen in the DNS.
    Pending,
    /// Another signs in its place; its record must stay for what was signed with it.
    Replaced,
    /// Its record can be removed.
    Removable,
    /// It cannot be read here, and signs nothing.
    Unreadable,
}

/// What was found at a key's name when it was last looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordSeen {
    /// The record of this key.
    Right,
    /// A record that does not fit the key.
    Wrong,
    /// No record.
    Absent,
    /// The name servers did not tell.
    Unknown,
}

/// A key that signs, has signed or will sign, as `sealgate key list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyState {
    /// The domain it speaks for.
    pub domain: Domain,
    /// Its selector.
    pub selector: String,
    /// What it signs by; unknown of a key that cannot be read.
    pub algorithm: Option<Algorithm>,
    /// How long it is.
    pub bits: Option<usize>,
    /// What it is used for.
    pub state: KeyUse,
    /// Why it cannot be read; else, why its record was not found right, or no other was made beside it.
    pub why: Option<String>,
    /// Until when the record of a replaced key must stay, RFC 3339.
    pub until: Option<String>,
    /// The name of its record.
    pub record_name: String,
    /// The TXT record to publish there.
    pub record: Option<String>,
    /// What was found there, if it was looked up.
    pub seen: Option<RecordSeen>,
    /// It stands in the configuration; else it was made by `sealgate key rotate dkim`.
    pub configured: bool,
}

/// What `sealgate key rotate dkim` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Keys of this domain alone.
    pub domain: Option<Domain>,
    /// Keys of this algorithm alone.
    pub algorithm: Option<Algorithm>,
    /// The operator says that the records of the waiting keys stand in the public DNS.
    pub is_published: bool,
}

/// Why the keys cannot be told of or rotated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysFault {
    /// What was asked for cannot be done, and why.
    #[error("{0}")]
    Asked(String),
    /// The store, the lock or the library failed.
    #[error("{0}")]
    Unavailable(String),
}

/// The keys that sign what leaves.
#[async_trait]
pub trait Keys: Send + Sync {
    /// All of them. With `looks_up` each record is looked up first, and a key whose record is there signs from now on.
    ///
    /// # Errors
    /// [`KeysFault`].
    async fn list(&self, looks_up: bool) -> Result<Vec<KeyState>, KeysFault>;

    /// Makes a new key for each that signs, or, where one was made and waits, looks whether its record is there. The answer
    /// has the new ones.
    ///
    /// # Errors
    /// [`KeysFault`].
    async fn rotate(&self, asked: &Rotation) -> Result<Vec<KeyState>, KeysFault>;
}
