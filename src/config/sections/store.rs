//! `[store]`: where rows and bodies are kept.

use std::fmt;
use std::str::FromStr;

use crate::fault::{At, Key, Keys, Place, Reader, Section, Setting, Size, TextSetting, Url, UrlFault, Value, settings};

settings! {
    /// Where what we keep is kept. All of it is locked first.
    pub struct Store {
        /// Rows: `embedded` in `data_dir`, or a `postgres://` address.
        rows: RowStore = "embedded",
        /// Large bodies: `files` in `data_dir`, or `s3://bucket/prefix?endpoint=…`.
        blobs: BlobStore = "files",
        /// Room that is left free where `data_dir` lies: with less, no mail is taken, `452`, until there is a quarter more.
        min_free: Size = "1 GiB",
    }
}

/// `store.rows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowStore {
    /// In `data_dir`.
    Embedded,
    /// In a PostgreSQL server.
    Postgres(Url),
}

/// `store.blobs`.
#[derive(Clone, PartialEq, Eq)]
pub enum BlobStore {
    /// Files in `data_dir`.
    Files,
    /// A bucket, as the address names it.
    S3(String),
}

/// The text names no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreNameFault {
    /// Neither word nor known scheme.
    #[error("no store has this name")]
    Unknown,
    /// The address is none.
    #[error(transparent)]
    Url(#[from] UrlFault),
}

impl FromStr for RowStore {
    type Err = StoreNameFault;

    fn from_str(text: &str) -> Result<Self, StoreNameFault> {
        match text {
            "embedded" => Ok(Self::Embedded),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Ok(Self::Postgres(url.parse()?))
            }
            _ => Err(StoreNameFault::Unknown),
        }
    }
}

impl FromStr for BlobStore {
    type Err = StoreNameFault;

    fn from_str(text: &str) -> Result<Self, StoreNameFault> {
        match text.strip_prefix("s3://") {
            Some(bucket) if !bucket.is_empty() => Ok(Self::S3(text.to_owned())),
            None if text == "files" => Ok(Self::Files),
            Some(_) | None => Err(StoreNameFault::Unknown),
        }
    }
}

impl fmt::Display for RowStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}

impl fmt::Display for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files => f.write_str("files"),
            // Its address may name an access key.
            Self::S3(_) => f.write_str("s3://…"),
        }
    }
}

impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TextSetting for RowStore {
    const FORM: &'static str = "\"embedded\" or \"postgres://…\"";
}

impl TextSetting for BlobStore {
    const SECRET: bool = true;
    const FORM: &'static str = "\"files\" or \"s3://bucket/prefix?endpoint=…\"";
}
