//! Locking: needs public recipients only, so that a door can run where no private key is.

use std::sync::Arc;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

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
    /// Plain octets of the chunk that is not full yet. A full one is kept until more comes: the last is marked as such.
    pending: Zeroizing<Vec<u8>>,
    /// Header and nonce, until the first octets are given out.
    front: Vec<u8>,
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
        let (chunks, front) = self.begin()?;
        let sum = digest::Context::new(&digest::SHA256);
        Ok(LockingStream { chunks, pending: Zeroizing::new(Vec::new()), front, sum, length: 0 })
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
            if self.pending.len() == CHUNK {
                self.give_out(&mut out, false)?;
            }
            let room = (CHUNK - self.pending.len()).min(plain.len());
            let (now, later) = plain.split_at(room);
            self.pending.extend_from_slice(now);
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
        self.account(&out);
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.sum.finish().as_ref());
        Ok((LockedChunk(out), LockedDigest { sha256, length: self.length }))
    }

    fn give_out(&mut self, out: &mut Vec<u8>, last: bool) -> Result<(), VaultError> {
        out.append(&mut self.front);
        append(&mut self.chunks, out, &self.pending, last)?;
        self.pending.as_mut_slice().zeroize();
        self.pending.clear();
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
