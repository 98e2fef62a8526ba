//! A message's octets as delivery reads them: in chunks, from the front, as often as there are attempts.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// Why a message's octets cannot be read now. The text is for the log; the message waits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot be read: {0}")]
pub struct Unreadable(pub String);

/// One reading of a message, RFC 5322 in lines ended by CRLF, no dots stuffed.
#[async_trait]
pub trait Octets: Send {
    /// The next octets, of any length; `None` at the end. 64 KiB at a time serve well.
    ///
    /// # Errors
    /// The store cannot be read, or what it has is not what was locked.
    async fn next(&mut self) -> Result<Option<Bytes>, Unreadable>;
}

/// Where a message's octets come from: each attempt opens them anew.
#[async_trait]
pub trait Contents: Send + Sync {
    /// Begins a reading at the first octet.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn open(&self) -> Result<Box<dyn Octets>, Unreadable>;
}

/// A message that lies in memory: reports, notices, tests.
#[derive(Debug, Clone)]
pub struct InMemory(pub Bytes);

impl InMemory {
    /// These octets, to be sent as they stand.
    #[must_use]
    pub fn contents(octets: impl Into<Bytes>) -> Arc<dyn Contents> {
        Arc::new(Self(octets.into()))
    }
}

#[async_trait]
impl Contents for InMemory {
    async fn open(&self) -> Result<Box<dyn Octets>, Unreadable> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Octets for InMemory {
    async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        let octets = std::mem::take(&mut self.0);
        Ok((!octets.is_empty()).then_some(octets))
    }
}
