//! Locked bodies: small ones ride in the commit that names them, large ones are files that are synced before it.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::net::{Clock, Time};
use crate::store::error::StoreError;
use crate::store::files::{BlobWriter, Blobs};
use crate::store::rows::{RowsHandle, Table, Transaction};
use crate::vault::{Epoch, LockedChunk, LockedDigest, random_octets};

/// Body id → reference count and where it is.
const BODIES: Table = Table("store.bodies");
/// Body id → the locked octets of a small body.
const INLINE: Table = Table("store.inline");
/// Body id → nothing: files whose body is released.
const RELEASED: Table = Table("store.released");
/// Locked octets that ride in the commit; larger bodies are files. Between 256 KiB and 1 MiB the two ways cross
/// (docs/decisions/0001-embedded-store.md).
pub const INLINE_OCTETS: usize = 256 * 1024;
/// Octets of a chunk that a reader gives out.
const READ_OCTETS: usize = 64 * 1024;
/// Files younger than this may belong to a message that is being received.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// A kept body: where it is, and what ties it to whoever names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyRef {
    /// Its id: when it was begun, then random.
    pub id: u128,
    /// The epoch whose identity unlocks it.
    pub epoch: Epoch,
    /// Octets before the lock.
    pub plain_length: u64,
    /// Octets behind the lock.
    pub locked_length: u64,
    /// SHA-256 of the locked octets.
    pub sha256: [u8; 32],
}

/// All bodies.
pub struct Bodies {
    rows: RowsHandle,
    blobs: Arc<dyn Blobs>,
}

/// A body being written. Dropped before it is recorded, it leaves nothing behind.
pub struct BodyWriter {
    id: Result<u128, StoreError>,
    blobs: Arc<dyn Blobs>,
    buffer: Vec<u8>,
    file: Option<Box<dyn BlobWriter>>,
}

/// A body that is whole: its file, if it has one, is synced.
pub struct PreparedBody {
    reference: BodyRef,
    inline: Option<Vec<u8>>,
    blobs: Arc<dyn Blobs>,
    recorded: bool,
}

/// Reads a body's locked octets from the front.
pub struct BodyReader {
    from: From,
    sum: digest::Context,
    reference: BodyRef,
    read: u64,
}

enum From {
    Row(Vec<u8>),
    File(Box<dyn crate::store::files::BlobReader>),
}

#[derive(Serialize, Deserialize)]
struct BodyRow {
    references: u32,
    in_file: bool,
}

impl BodyRef {
    fn key(&self) -> [u8; 16] {
        self.id.to_be_bytes()
    }
}

impl Bodies {
    /// Bodies in these rows and files.
    #[must_use]
    pub fn new(rows: RowsHandle, blobs: Arc<dyn Blobs>) -> Self {
        Self { rows, blobs }
    }

    /// Begins a body.
    #[must_use]
    pub fn writer(&self) -> BodyWriter {
        let id = body_id();
        BodyWriter { id, blobs: Arc::clone(&self.blobs), buffer: Vec::new(), file: None }
    }

    /// One more owner of this body.
    ///
    /// # Errors
    /// [`StoreError`] if the body is gone or the medium fails.
    pub fn retain(&self, tx: &mut dyn Transaction, body: &BodyRef) -> Result<(), StoreError> {
        let mut row = body_row(tx, body)?;
        row.references += 1;
        put_row(tx, body, &row)
    }

    /// Whether this body is still there, in the transaction that names it anew.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the body is gone, or another if the medium fails.
    pub fn is_there(&self, tx: &mut dyn Transaction, body: &BodyRef) -> Result<(), StoreError> {
        body_row(tx, body).map(drop)
    }

    /// One owner less. The last one's release takes the row out; a file is removed by the next sweep.
    ///
    /// # Errors
    /// [`StoreError`] if the body is gone or the medium fails.
    pub fn release(&self, tx: &mut dyn Transaction, body: &BodyRef) -> Result<(), StoreError> {
        let mut row = body_row(tx, body)?;
        row.references = row.references.saturating_sub(1);
        if row.references > 0 {
            return put_row(tx, body, &row);
        }
        tx.delete(BODIES, &body.key())?;
        if row.in_file { tx.put(RELEASED, &body.key(), &[]) } else { tx.delete(INLINE, &body.key()) }
    }

    /// Begins to read a body.
    ///
    /// # Errors
    /// [`StoreError`] if the body is gone or the medium fails.
    pub async fn read(&self, body: &BodyRef) -> Result<BodyReader, StoreError> {
        let from = match self.rows.get(INLINE, &body.key())? {
            Some(octets) => From::Row(octets),
            None => From::File(self.blobs.read(&name(body.id)).await?),
        };
        Ok(BodyReader { from, sum: digest::Context::new(&digest::SHA256), reference: body.clone(), read: 0 })
    }

    /// Begins to read a body that nothing names yet.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn read_prepared(&self, body: &PreparedBody) -> Result<BodyReader, StoreError> {
        let from = match &body.inline {
            Some(octets) => From::Row(octets.clone()),
            None => From::File(self.blobs.read(&name(body.reference.id)).await?),
        };
        let reference = body.reference.clone();
        Ok(BodyReader { from, sum: digest::Context::new(&digest::SHA256), reference, read: 0 })
    }

    /// A whole body of at most `limit` locked octets.
    ///
    /// # Errors
    /// [`StoreError`] if the body is gone, longer, damaged, or the medium fails.
    pub async fn read_whole(&self, body: &BodyRef, limit: u64) -> Result<Vec<u8>, StoreError> {
        if body.locked_length > limit {
            return Err(StoreError::Conflict("the body is longer than who reads it can take"));
        }
        let mut reader = self.read(body).await?;
        let mut whole = Vec::with_capacity(usize::try_from(body.locked_length).unwrap_or(0));
        while let Some(chunk) = reader.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    /// Removes the files of released bodies, and files that no row names: a crash left them.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn sweep(&self, now: Time) -> Result<usize, StoreError> {
        let released = self.rows.range(RELEASED, Bound::Unbounded, Bound::Unbounded, 10_000)?;
        let mut removed = 0;
        for (key, _) in &released {
            let Ok(id) = <[u8; 16]>::try_from(key.as_slice()) else { continue };
            self.blobs.remove(&name(u128::from_be_bytes(id))).await?;
            removed += 1;
        }
        if !released.is_empty() {
            let change =
                move |tx: &mut dyn Transaction| released.iter().try_for_each(|(key, _)| tx.delete(RELEASED, key));
            self.rows.commit(Box::new(change)).await?;
        }
        for file in self.blobs.older_than(now.before(GRACE)).await? {
            let Ok(id) = u128::from_str_radix(&file, 16) else { continue };
            if self.rows.get(BODIES, &id.to_be_bytes())?.is_none() {
                self.blobs.remove(&file).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl BodyWriter {
    /// Keeps the next locked octets: in memory while they are few, then in a file.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails or there is no randomness.
    pub async fn write(&mut self, chunk: LockedChunk) -> Result<(), StoreError> {
        if let Some(file) = &mut self.file {
            return file.write(chunk.into_bytes()).await;
        }
        if self.buffer.is_empty() {
            self.buffer = chunk.into_bytes();
        } else {
            self.buffer.extend_from_slice(chunk.as_bytes());
        }
        if self.buffer.len() > INLINE_OCTETS {
            let mut file = self.blobs.write(&name(self.id()?)).await?;
            file.write(std::mem::take(&mut self.buffer)).await?;
            self.file = Some(file);
        }
        Ok(())
    }

    /// Ends the body. Its file, if it has one, is synced when this returns.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn finish(
        self,
        epoch: Epoch,
        digest: LockedDigest,
        plain_length: u64,
    ) -> Result<PreparedBody, StoreError> {
        let id = self.id()?;
        let reference = BodyRef { id, epoch, plain_length, locked_length: digest.length, sha256: digest.sha256 };
        let inline = match self.file {
            Some(file) => {
                file.finish().await?;
                None
            }
            None => Some(self.buffer),
        };
        Ok(PreparedBody { reference, inline, blobs: self.blobs, recorded: false })
    }

    fn id(&self) -> Result<u128, StoreError> {
        self.id.as_ref().copied().map_err(|fault| StoreError::Unavailable(fault.to_string()))
    }
}

impl PreparedBody {
    /// What will name it.
    #[must_use]
    pub fn body_ref(&self) -> &BodyRef {
        &self.reference
    }

    /// Writes the body's row, with one owner, into the transaction of what names it.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn record(&mut self, tx: &mut dyn Transaction) -> Result<(), StoreError> {
        let row = BodyRow { references: 1, in_file: self.inline.is_none() };
        put_row(tx, &self.reference, &row)?;
        if let Some(octets) = &self.inline {
            tx.put(INLINE, &self.reference.key(), octets)?;
        }
        self.recorded = true;
        Ok(())
    }
}

impl Drop for PreparedBody {
    fn drop(&mut self) {
        if !self.recorded && self.inline.is_none() {
            // Best effort; the sweeper does the rest.
            self.blobs.discard(&name(self.reference.id));
        }
    }
}

impl BodyReader {
    /// The next locked octets; `None` at the end, when the whole has been found as it was written.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not, or the medium fails.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let chunk = match &mut self.from {
            From::Row(octets) => std::mem::take(octets),
            From::File(file) => file.next(READ_OCTETS).await?,
        };
        if chunk.is_empty() {
            let sum = std::mem::replace(&mut self.sum, digest::Context::new(&digest::SHA256)).finish();
            if sum.as_ref() != self.reference.sha256 || self.read != self.reference.locked_length {
                return Err(StoreError::Damaged(format!("body {}", name(self.reference.id))));
            }
            return Ok(None);
        }
        self.sum.update(&chunk);
        self.read += chunk.len() as u64;
        Ok(Some(chunk))
    }
}

fn body_row(tx: &dyn Transaction, body: &BodyRef) -> Result<BodyRow, StoreError> {
    let row = tx.get(BODIES, &body.key())?.ok_or(StoreError::Conflict("the body is gone"))?;
    serde_json::from_slice(&row).map_err(|_| StoreError::Damaged("a body's row".into()))
}

fn put_row(tx: &mut dyn Transaction, body: &BodyRef, row: &BodyRow) -> Result<(), StoreError> {
    tx.put(BODIES, &body.key(), &serde_json::to_vec(row).unwrap_or_default())
}

/// A time, in milliseconds, before eighty random bits: rows written together lie together.
fn body_id() -> Result<u128, StoreError> {
    let random: [u8; 16] = random_octets().map_err(|fault| StoreError::Unavailable(fault.to_string()))?;
    let now = u128::try_from(Clock::System.now().unix_ms()).unwrap_or_default();
    Ok(now << 80 | u128::from_be_bytes(random) >> 48)
}

fn name(id: u128) -> String {
    format!("{id:032x}")
}
