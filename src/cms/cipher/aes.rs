//! AES as the library has it: single blocks, and a counter of 32 bits.

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
    StreamingEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use crate::cms::error::CmsError;

/// Octets of a block.
pub(crate) const BLOCK: usize = 16;
/// Octets that are given to the library at once.
pub(crate) const AT_ONCE: usize = 64 * 1024;

/// The library's cipher for a key of this length.
pub(crate) fn algorithm(key: &[u8]) -> Result<&'static Algorithm, CmsError> {
    match key.len() {
        16 => Ok(&AES_128),
        24 => Ok(&AES_192),
        32 => Ok(&AES_256),
        _ => Err(CmsError::LibraryFailed),
    }
}

/// A key, bound to AES.
pub(crate) fn unbound(key: &[u8]) -> Result<UnboundCipherKey, CmsError> {
    Ok(UnboundCipherKey::new(algorithm(key)?, key)?)
}

/// Encrypts and decrypts single blocks.
pub(crate) struct Blocks {
    encrypts: EncryptingKey,
    decrypts: DecryptingKey,
}

impl Blocks {
    /// With this key.
    pub(crate) fn new(key: &[u8]) -> Result<Self, CmsError> {
        Ok(Self { encrypts: EncryptingKey::ecb(unbound(key)?)?, decrypts: DecryptingKey::ecb(unbound(key)?)? })
    }

    /// One block.
    pub(crate) fn encrypt(&self, block: &mut [u8; BLOCK]) -> Result<(), CmsError> {
        self.encrypts.less_safe_encrypt(block, EncryptionContext::None)?;
        Ok(())
    }

    /// And back.
    pub(crate) fn decrypt(&self, block: &mut [u8; BLOCK]) -> Result<(), CmsError> {
        self.decrypts.decrypt(block, DecryptionContext::None)?;
        Ok(())
    }
}

/// Counter mode as GCM has it (NIST SP 800-38D §6.5): the last 32 bits count and nothing is carried out of them, whereas
/// the library counts with all 128.
pub(crate) struct Counter {
    key: Zeroizing<Vec<u8>>,
    prefix: [u8; 12],
    stream: StreamingEncryptingKey,
    /// Octets until the 32 bits begin anew.
    left: u64,
}

impl Counter {
    /// Begins with the block after this one.
    pub(crate) fn after(key: &[u8], block: &[u8; BLOCK]) -> Result<Self, CmsError> {
        let (prefix, [a, b, c, d]) = block.split_last_chunk::<4>().ok_or(CmsError::LibraryFailed)?;
        let prefix = prefix.try_into().map_err(|_| CmsError::LibraryFailed)?;
        let first = u32::from_be_bytes([*a, *b, *c, *d]).wrapping_add(1);
        let key = Zeroizing::new(key.to_vec());
        let (stream, left) = Self::stream(&key, &prefix, first)?;
        Ok(Self { key, prefix, stream, left })
    }

    fn stream(key: &[u8], prefix: &[u8; 12], first: u32) -> Result<(StreamingEncryptingKey, u64), CmsError> {
        let mut block = [0; BLOCK];
        for (place, octet) in block.iter_mut().zip(prefix.iter().copied().chain(first.to_be_bytes())) {
            *place = octet;
        }
        let start = EncryptionContext::Iv128(FixedLength::from(&block));
        let left = ((1 << 32) - u64::from(first)) * 16;
        Ok((StreamingEncryptingKey::less_safe_ctr(unbound(key)?, start)?, left))
    }

    /// Encrypts, or decrypts, and appends the result.
    pub(crate) fn apply(&mut self, mut octets: &[u8], out: &mut Vec<u8>) -> Result<(), CmsError> {
        while !octets.is_empty() {
            if self.left == 0 {
                (self.stream, self.left) = Self::stream(&self.key, &self.prefix, 0)?;
            }
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(AT_ONCE);
            let (now, later) = octets.split_at(octets.len().min(most));
            append(out, now.len() + BLOCK, |room| Ok(self.stream.update(now, room)?.written().len()))?;
            self.left -= u64::try_from(now.len()).unwrap_or(u64::MAX);
            octets = later;
        }
        Ok(())
    }
}

/// Lets something write into so much room behind what is there, and keeps as much as it wrote.
pub(crate) fn append(
    out: &mut Vec<u8>,
    room: usize,
    write: impl FnOnce(&mut [u8]) -> Result<usize, CmsError>,
) -> Result<(), CmsError> {
    let start = out.len();
    out.resize(start.saturating_add(room), 0);
    let written = out.get_mut(start..).map_or(Err(CmsError::LibraryFailed), write);
    out.truncate(start.saturating_add(*written.as_ref().unwrap_or(&0)));
    written.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_carried_out_of_the_counter() {
        let key = [7; 32];
        let mut counter = Counter::after(&key, &[0xff; BLOCK]).unwrap();
        let mut before = Counter::after(&key, &[[0xff; 15].as_slice(), &[0xfe]].concat().try_into().unwrap()).unwrap();
        let (mut wrapped, mut across) = (Vec::new(), Vec::new());
        counter.apply(&[0; 5 * BLOCK], &mut wrapped).unwrap();
        before.apply(&[0; 6 * BLOCK], &mut across).unwrap();
        let blocks = Blocks::new(&key).unwrap();
        let mut expected = Vec::new();
        for count in [u32::MAX, 0, 1, 2, 3, 4] {
            let mut block = [0xff; BLOCK];
            block[12..].copy_from_slice(&count.to_be_bytes());
            blocks.encrypt(&mut block).unwrap();
            expected.extend_from_slice(&block);
        }
        assert_eq!(across, expected);
        assert_eq!(wrapped, expected[BLOCK..]);
    }
}
