//! Octets on their way in: locked as they come, kept before anything is promised.

use std::sync::Arc;

use crate::queue::error::QueueError;
use crate::queue::warm::{Warm, WarmMessage};
use crate::store::{Bodies, PreparedBody};
use crate::vault::{Epoch, LockingStream, Vault};

/// Where drafts are begun. Cheap to clone.
#[derive(Clone)]
pub struct Spool {
    bodies: Arc<Bodies>,
    vault: Vault,
    warm: Warm,
}

/// A message being received: its octets go through the lock into the store. Dropped, it leaves nothing behind.
pub struct Draft {
    epoch: Epoch,
    lock: LockingStream,
    writer: crate::store::BodyWriter,
    length: u64,
    warm: Option<WarmMessage>,
}

impl Spool {
    /// A spool over these bodies.
    #[must_use]
    pub fn new(bodies: Arc<Bodies>, vault: Vault) -> Self {
        Self { bodies, vault, warm: Warm::default() }
    }

    /// Begins a draft.
    ///
    /// # Errors
    /// [`QueueError`] if the lock cannot be made.
    pub fn begin(&self) -> Result<Draft, QueueError> {
        self.vault.files_are_there()?;
        let locker = self.vault.locker();
        let (lock, writer) = (locker.stream()?, self.bodies.writer());
        Ok(Draft { epoch: locker.epoch(), lock, writer, length: 0, warm: None })
    }

    /// Begins a draft that may leave as soon as it is promised: it stays in memory until then, if there is room.
    ///
    /// # Errors
    /// [`QueueError`] if the lock cannot be made.
    pub fn begin_warm(&self) -> Result<Draft, QueueError> {
        Ok(Draft { warm: Some(self.warm.begin()), ..self.begin()? })
    }

    /// Keeps octets that are already whole: a letter of our own.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn keep(&self, octets: &[u8]) -> Result<PreparedBody, QueueError> {
        let mut draft = self.begin_warm()?;
        draft.write(octets).await?;
        let (body, warm) = draft.finish_warm().await?;
        if let Some(warm) = warm {
            self.warm.put(body.body_ref().id, warm, 1);
        }
        Ok(body)
    }

    /// What leaves soon and is still in memory.
    #[must_use]
    pub fn warm(&self) -> &Warm {
        &self.warm
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
        if self.warm.as_mut().is_some_and(|warm| !warm.push(octets)) {
            self.warm = None;
        }
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
    pub async fn finish(self) -> Result<PreparedBody, QueueError> {
        self.finish_warm().await.map(|(body, _)| body)
    }

    /// The same, and the message as it is in memory, if it was [begun warm](Spool::begin_warm) and found room.
    ///
    /// # Errors
    /// As [`Draft::finish`].
    pub async fn finish_warm(mut self) -> Result<(PreparedBody, Option<WarmMessage>), QueueError> {
        let (chunk, digest) = self.lock.finish()?;
        self.writer.write(chunk).await?;
        Ok((self.writer.finish(self.epoch, digest, self.length).await?, self.warm))
    }
}
