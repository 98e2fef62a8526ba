//! Octets on their way in: locked as they come, kept before anything is promised.

use std::sync::Arc;

use crate::queue::error::QueueError;
use crate::store::{Bodies, PreparedBody};
use crate::vault::{Epoch, LockingStream, Vault};

/// Where drafts are begun. Cheap to clone.
#[derive(Clone)]
pub struct Spool {
    bodies: Arc<Bodies>,
    vault: Vault,
}

/// A message being received: its octets go through the lock into the store. Dropped, it leaves nothing behind.
pub struct Draft {
    epoch: Epoch,
    lock: LockingStream,
    writer: crate::store::BodyWriter,
    length: u64,
}

impl Spool {
    /// A spool over these bodies.
    #[must_use]
    pub fn new(bodies: Arc<Bodies>, vault: Vault) -> Self {
        Self { bodies, vault }
    }

    /// Begins a draft.
    ///
    /// # Errors
    /// [`QueueError`] if the lock cannot be made.
    pub fn begin(&self) -> Result<Draft, QueueError> {
        self.vault.files_are_there()?;
        let locker = self.vault.locker();
        Ok(Draft { epoch: locker.epoch(), lock: locker.stream()?, writer: self.bodies.writer(), length: 0 })
    }

    /// Keeps octets that are already whole: a letter of our own.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn keep(&self, octets: &[u8]) -> Result<PreparedBody, QueueError> {
        let mut draft = self.begin()?;
        draft.write(octets).await?;
        draft.finish().await
    }

    /// The bodies below.
    #[must_use]
    pub fn bodies(&self) -> &Arc<Bodies> {
        &self.bodies
    }
}

impl Draft {
    /// Locks and keeps the next octets.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), QueueError> {
        let chunk = self.lock.write(octets)?;
        self.length += octets.len() as u64;
        Ok(self.writer.write(chunk).await?)
    }

    /// Octets taken so far, before the lock.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Ends the draft: what is too large for a row is a synced file now. Nothing is promised yet.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn finish(mut self) -> Result<PreparedBody, QueueError> {
        let (chunk, digest) = self.lock.finish()?;
        self.writer.write(chunk).await?;
        Ok(self.writer.finish(self.epoch, digest, self.length).await?)
    }
}
