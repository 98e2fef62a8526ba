//! The octets of a stored message, unlocked as they are read; and the octets of a file on its way in, locked as they come.

use crate::mailboxes::error::MailboxError;
use crate::mailboxes::post_box::PostBox;
use crate::mailboxes::stored::Stored;
use crate::store::{BodyReader, BodyWriter, PreparedBody};
use crate::vault::{Epoch, LockingStream, UnlockingStream};

/// A stored message being read from its first octet to its last: its head, then the kept body without what the head
/// replaces. At most one chunk is in memory.
pub struct Octets {
    head: Vec<u8>,
    skip: u64,
    reader: BodyReader,
    unlocking: Option<UnlockingStream>,
}

/// A file that is kept whole and belongs to nobody until a draft names it. Dropped before, it leaves nothing behind.
pub type KeptFile = PreparedBody;

/// A file being kept: its octets go through the lock into the store. Dropped, it leaves nothing behind.
pub struct Upload {
    epoch: Epoch,
    lock: LockingStream,
    writer: BodyWriter,
    length: u64,
}

impl PostBox {
    /// Begins to read a stored message.
    ///
    /// # Errors
    /// [`MailboxError`] if the body is gone, its epoch destroyed, or the medium fails.
    pub async fn octets(&self, stored: &Stored) -> Result<Octets, MailboxError> {
        let unlocking = self.vault.unlocking(stored.body.epoch)?;
        let reader = self.bodies.read(&stored.body).await?;
        Ok(Octets { head: stored.head.clone(), skip: stored.skip, reader, unlocking: Some(unlocking) })
    }

    /// Begins to read a file that no draft names yet.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub async fn octets_of(&self, file: &KeptFile) -> Result<Octets, MailboxError> {
        let unlocking = self.vault.unlocking(file.body_ref().epoch)?;
        let reader = self.bodies.read_prepared(file).await?;
        Ok(Octets { head: Vec::new(), skip: 0, reader, unlocking: Some(unlocking) })
    }

    /// Begins to keep a file.
    ///
    /// # Errors
    /// [`MailboxError`] if the lock cannot be made.
    pub fn upload(&self) -> Result<Upload, MailboxError> {
        let locker = self.vault.locker();
        Ok(Upload { epoch: locker.epoch(), lock: locker.stream()?, writer: self.bodies.writer(), length: 0 })
    }
}

impl Octets {
    /// The next octets, never none; `None` at the end, when the whole has been found as it was written.
    ///
    /// # Errors
    /// [`MailboxError`] if the body is damaged or the medium fails.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, MailboxError> {
        if !self.head.is_empty() {
            return Ok(Some(std::mem::take(&mut self.head)));
        }
        while let Some(unlocking) = &mut self.unlocking {
            let mut plain = Vec::new();
            match self.reader.next().await? {
                Some(locked) => unlocking.write(&locked, &mut plain)?,
                None => {
                    if let Some(unlocking) = self.unlocking.take() {
                        unlocking.finish(&mut plain)?;
                    }
                }
            }
            self.cut(&mut plain);
            if !plain.is_empty() {
                return Ok(Some(plain));
            }
        }
        Ok(None)
    }

    /// Takes away what the head replaces.
    fn cut(&mut self, plain: &mut Vec<u8>) {
        let cut = plain.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        plain.drain(..cut);
        self.skip -= cut as u64;
    }
}

impl Upload {
    /// Locks and keeps the next octets.
    ///
    /// # Errors
    /// [`MailboxError`] if the lock or the store fails.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), MailboxError> {
        let chunk = self.lock.write(octets)?;
        self.length += octets.len() as u64;
        Ok(self.writer.write(chunk).await?)
    }

    /// Octets taken so far, before the lock.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Ends the file: what is too large for a row is a synced file now. It belongs to nobody until a draft names it.
    ///
    /// # Errors
    /// [`MailboxError`] if the lock or the store fails.
    pub async fn finish(mut self) -> Result<KeptFile, MailboxError> {
        let (chunk, digest) = self.lock.finish()?;
        self.writer.write(chunk).await?;
        Ok(self.writer.finish(self.epoch, digest, self.length).await?)
    }
}
