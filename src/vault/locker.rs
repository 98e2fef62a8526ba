//! Locking: needs public recipients only, so that a door can run where no private key is.

use std::sync::Arc;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::vault::error::VaultError;
use crate::vault::header;
use crate::vault::key::Recipient;
use crate::vault::payload::{CHUNK, Chunks, NONCE, TAG};
use crate::vault::random::random_octets;
use crate::vault::wrapped::FileKey;

/// A span of time with an identity of its own. What is locked in it is erased when its identity is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch with this number, from one on.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Octets that are an age file: safe to store. Only the vault makes one of plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct LockedBlob(Vec<u8>);

/// The next octets of an age file that is being written; may be empty.
pub struct LockedChunk(Vec<u8>);

/// What ties a locked body to its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedDigest {
    /// SHA-256 of the whole age file.
    pub sha256: [u8; 32],
    /// Its octets.
    pub length: u64,
}

/// Locks to one epoch's recipient. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Locker {
    epoch: Epoch,
    recipients: Arc<[Recipient]>,
}

/// One age file being written, chunk by chunk.
pub struct LockingStream {
    chunks: Chunks,
    /// Octets to give out, then those of the chunk that is not locked yet. Locking happens in place, so that plain octets
    /// are copied once and what is given out holds none.
    buffer: Zeroizing<Vec<u8>>,
    /// Where the plain octets begin in it. A full chunk is kept until more comes: the last is marked as such.
    plain_from: usize,
    sum: digest::Context,
    length: u64,
}

impl Locker {
    /// Locks what belongs to `epoch` to these recipients.
    #[must_use]
    pub fn new(epoch: Epoch, recipients: Vec<Recipient>) -> Self {
        Self { epoch, recipients: recipients.into() }
    }

    /// The epoch whose identity unlocks what this locks.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Locks octets that are at hand.
    ///
    /// # Errors
    /// [`VaultError::CryptographyFailed`].
    pub fn lock(&self, plain: &[u8]) -> Result<LockedBlob, VaultError> {
        let (mut chunks, mut out) = self.begin()?;
        let pieces = plain.chunks(CHUNK);
        let count = pieces.len().max(1);
        out.reserve_exact(plain.len() + count * TAG);
        for place in 0..count {
            let piece = plain.get(place * CHUNK..plain.len().min((place + 1) * CHUNK)).unwrap_or_default();
            append(&mut chunks, &mut out, piece, place + 1 == count)?;
        }
        Ok(LockedBlob(out))
    }

    /// Begins an age file whose octets come bit by bit. It holds one chunk of 64 KiB at most.
    ///
    /// # Errors
    /// [`VaultError::CryptographyFailed`].
    pub fn stream(&self) -> Result<LockingStream, VaultError> {
        let (chunks, mut front) = self.begin()?;
        let plain_from = front.len();
        // Room for all of a chunk: a buffer that grew would leave copies of plain octets behind.
        front.reserve_exact(CHUNK + TAG);
        let sum = digest::Context::new(&digest::SHA256);
        Ok(LockingStream { chunks, buffer: Zeroizing::new(front), plain_from, sum, length: 0 })
    }

    fn begin(&self) -> Result<(Chunks, Vec<u8>), VaultError> {
        let file_key = FileKey::new(random_octets()?);
        let mut front = header::write(&file_key, &self.recipients)?;
        let nonce: [u8; NONCE] = random_octets()?;
        front.extend_from_slice(&nonce);
        Ok((Chunks::new(&file_key, &nonce)?, front))
    }
}

impl LockingStream {
    /// Locks the next octets. What fills no chunk yet is kept and comes out later.
    ///
    /// # Errors
    /// [`VaultError::CryptographyFailed`].
    pub fn write(&mut self, mut plain: &[u8]) -> Result<LockedChunk, VaultError> {
        let mut out = Vec::new();
        while !plain.is_empty() {
            if self.buffer.len() - self.plain_from == CHUNK {
                self.give_out(&mut out, false)?;
            }
            let room = CHUNK - (self.buffer.len() - self.plain_from);
            let (now, later) = plain.split_at(room.min(plain.len()));
            self.buffer.extend_from_slice(now);
            plain = later;
        }
        self.account(&out);
        Ok(LockedChunk(out))
    }

    /// Ends the age file: its last octets, and what ties all of them to a row.
    ///
    /// # Errors
    /// [`VaultError::CryptographyFailed`].
    pub fn finish(mut self) -> Result<(LockedChunk, LockedDigest), VaultError> {
        let mut out = Vec::new();
        self.give_out(&mut out, true)?;
        out.shrink_to_fit();
        self.account(&out);
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.sum.finish().as_ref());
        Ok((LockedChunk(out), LockedDigest { sha256, length: self.length }))
    }

    /// Locks the kept chunk where it lies and gives it out; the first to be given out is not even copied.
    fn give_out(&mut self, out: &mut Vec<u8>, last: bool) -> Result<(), VaultError> {
        let tag = self.chunks.lock(self.buffer.get_mut(self.plain_from..).unwrap_or_default(), last)?;
        self.buffer.extend_from_slice(&tag);
        self.plain_from = 0;
        if out.is_empty() {
            let next = if last { Vec::new() } else { Vec::with_capacity(CHUNK + TAG) };
            *out = std::mem::replace(&mut *self.buffer, next);
        } else {
            out.extend_from_slice(&self.buffer);
            self.buffer.clear();
        }
        Ok(())
    }

    fn account(&mut self, out: &[u8]) {
        self.sum.update(out);
        self.length += out.len() as u64;
    }
}

fn append(chunks: &mut Chunks, out: &mut Vec<u8>, plain: &[u8], last: bool) -> Result<(), VaultError> {
    let start = out.len();
    out.extend_from_slice(plain);
    let tag = chunks.lock(out.get_mut(start..).unwrap_or_default(), last)?;
    out.extend_from_slice(&tag);
    Ok(())
}

impl LockedBlob {
    /// What the store hands back.
    #[must_use]
    pub fn from_stored(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    /// The locked octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The locked octets, given away.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// SHA-256 of the locked octets.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, &self.0).as_ref());
        sha256
    }
}

impl LockedChunk {
    /// The locked octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The locked octets, given away.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
