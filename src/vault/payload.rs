//! The payload of an age file: chunks of 64 KiB under ChaCha20-Poly1305 (STREAM, RFC 8439).

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};

use crate::vault::error::VaultError;
use crate::vault::wrapped::{FileKey, aead, hkdf};

/// Plain octets of a chunk.
pub(crate) const CHUNK: usize = 64 * 1024;
/// Octets of a chunk's tag.
pub(crate) const TAG: usize = 16;
/// Octets of the payload's nonce.
pub(crate) const NONCE: usize = 16;

/// The key and counter of one payload. Each chunk has a nonce of its own: eleven octets that count, one that says
/// whether it is the last.
pub(crate) struct Chunks {
    key: LessSafeKey,
    counter: u64,
}

impl Chunks {
    /// The chunks of a payload that begins with this nonce.
    pub(crate) fn new(file_key: &FileKey, nonce: &[u8; NONCE]) -> Result<Self, VaultError> {
        Ok(Self { key: aead(&*hkdf(file_key.as_ref(), nonce, b"payload")?)?, counter: 0 })
    }

    /// Locks the chunk in place and gives its tag.
    pub(crate) fn lock(&mut self, plain: &mut [u8], last: bool) -> Result<[u8; TAG], VaultError> {
        let nonce = self.nonce(last);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), plain)?;
        tag.as_ref().try_into().map_err(|_| VaultError::CryptographyFailed)
    }

    /// Unlocks the chunk in place; its tag stands at its end. The plain octets are the front of the buffer.
    pub(crate) fn unlock<'c>(&mut self, locked: &'c mut [u8], last: bool) -> Result<&'c mut [u8], VaultError> {
        if locked.len() == TAG && self.counter > 0 {
            return Err(VaultError::TagIsWrong("an empty chunk behind others"));
        }
        let nonce = self.nonce(last);
        self.key.open_in_place(nonce, Aad::empty(), locked).map_err(|_| VaultError::TagIsWrong("a chunk"))
    }

    fn nonce(&mut self, last: bool) -> Nonce {
        let mut nonce = [0; 12];
        if let Some(middle) = nonce.get_mut(3..11) {
            middle.copy_from_slice(&self.counter.to_be_bytes());
        }
        nonce[11] = u8::from(last);
        // 2^64 chunks are 10^24 octets: nobody gets there.
        self.counter += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}
