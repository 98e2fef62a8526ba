//! Unlocking: nothing is given out before its tag was checked.

use std::fmt;
use std::ops::Deref;

use zeroize::{Zeroize, Zeroizing};

use crate::vault::error::VaultError;
use crate::vault::header::Header;
use crate::vault::key::Identity;
use crate::vault::payload::{CHUNK, Chunks, NONCE, TAG};
use crate::vault::scrypt::Passphrase;
use crate::vault::wrapped::{FileKey, Wrapped};

/// Plain octets, zeroized when dropped; they do not print.
pub struct Plain(Zeroizing<Vec<u8>>);

/// One age file being read, in pieces of any length.
pub struct UnlockingStream {
    identities: Vec<Identity>,
    chunks: Option<Chunks>,
    /// Octets that are not unlocked yet: the header, or a chunk that may be the last.
    pending: Vec<u8>,
}

/// Unlocks an age file that is at hand.
///
/// # Errors
/// [`VaultError`]: no age file, no identity that matches, or changed.
pub fn open_with(identities: &[Identity], locked: &[u8]) -> Result<Plain, VaultError> {
    open_by(|wrapped| try_each(identities, wrapped), locked)
}

/// Unlocks an age file that a person locked with a passphrase.
///
/// # Errors
/// [`VaultError`]: no age file, another passphrase, or changed.
pub fn open_with_passphrase(passphrase: &Passphrase, locked: &[u8]) -> Result<Plain, VaultError> {
    let unlock = |wrapped: &Wrapped| match wrapped {
        Wrapped::Scrypt { salt, cost, body } => passphrase.unlock(salt, *cost, body),
        Wrapped::X25519 { .. } | Wrapped::Hybrid { .. } => Ok(None),
    };
    open_by(unlock, locked)
}

fn try_each(identities: &[Identity], wrapped: &Wrapped) -> Result<Option<FileKey>, VaultError> {
    identities.iter().find_map(|identity| identity.unwrap_key(wrapped).transpose()).transpose()
}

fn open_by(
    unlock: impl Fn(&Wrapped) -> Result<Option<FileKey>, VaultError>,
    locked: &[u8],
) -> Result<Plain, VaultError> {
    let header = Header::read(locked)?.ok_or(VaultError::NotAnAgeFile("its header breaks off"))?;
    let file_key = header.file_key(unlock)?;
    let payload = locked.get(header.length..).unwrap_or_default();
    let (nonce, payload) = payload.split_first_chunk::<NONCE>().ok_or(VaultError::NotAnAgeFile("it has no payload"))?;
    let mut chunks = Chunks::new(&file_key, nonce)?;
    let count = payload.len().div_ceil(CHUNK + TAG).max(1);
    let mut plain = Zeroizing::new(Vec::with_capacity(payload.len()));
    for place in 0..count {
        let end = payload.len().min((place + 1) * (CHUNK + TAG));
        let chunk = payload.get(place * (CHUNK + TAG)..end).unwrap_or_default();
        unlock_onto(&mut plain, &mut chunks, chunk, place + 1 == count)?;
    }
    Ok(Plain(plain))
}

/// Appends what a chunk holds, or nothing if it was changed.
fn unlock_onto(out: &mut Vec<u8>, chunks: &mut Chunks, locked: &[u8], last: bool) -> Result<(), VaultError> {
    let start = out.len();
    out.extend_from_slice(locked);
    let chunk = out.get_mut(start..).unwrap_or_default();
    match chunks.unlock(chunk, last) {
        Ok(plain) => {
            let kept = plain.len();
            out.truncate(start + kept);
            Ok(())
        }
        Err(fault) => {
            chunk.zeroize();
            out.truncate(start);
            Err(fault)
        }
    }
}

impl UnlockingStream {
    /// A reading with these identities at hand.
    #[must_use]
    pub fn new(identities: Vec<Identity>) -> Self {
        Self { identities, chunks: None, pending: Vec::new() }
    }

    /// Takes the next locked octets and gives out what is unlocked and checked.
    ///
    /// # Errors
    /// [`VaultError`]: no age file, no identity that matches, or changed.
    pub fn write(&mut self, locked: &[u8], out: &mut Vec<u8>) -> Result<(), VaultError> {
        self.pending.extend_from_slice(locked);
        if self.chunks.is_none() && !self.begin()? {
            return Ok(());
        }
        let Some(chunks) = &mut self.chunks else { return Ok(()) };
        let mut done = 0;
        // A chunk that ends exactly here may be the last: it waits.
        while self.pending.len() - done > CHUNK + TAG {
            let chunk = self.pending.get(done..done + CHUNK + TAG).unwrap_or_default();
            unlock_onto(out, chunks, chunk, false)?;
            done += CHUNK + TAG;
        }
        self.pending.drain(..done);
        Ok(())
    }

    /// The end of the locked octets: gives out the rest.
    ///
    /// # Errors
    /// [`VaultError`]: cut off, or changed.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), VaultError> {
        let chunks = self.chunks.as_mut().ok_or(VaultError::NotAnAgeFile("its header breaks off"))?;
        unlock_onto(out, chunks, &self.pending, true)
    }

    fn begin(&mut self) -> Result<bool, VaultError> {
        let Some(header) = Header::read(&self.pending)? else { return Ok(false) };
        let Some((nonce, _)) = self.pending.get(header.length..).and_then(|rest| rest.split_first_chunk::<NONCE>())
        else {
            return Ok(false);
        };
        self.chunks = Some(Chunks::new(&header.file_key(|wrapped| try_each(&self.identities, wrapped))?, nonce)?);
        let begun = header.length + NONCE;
        self.pending.drain(..begun);
        Ok(true)
    }
}

impl From<Zeroizing<Vec<u8>>> for Plain {
    fn from(octets: Zeroizing<Vec<u8>>) -> Self {
        Self(octets)
    }
}

impl Deref for Plain {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
