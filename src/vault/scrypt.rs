//! Passphrases (C2SP age v1, "The scrypt recipient type"; RFC 7914). Read, never written: sealgate has no use for one, but
//! what a person locked with a passphrase and the stock program can be opened.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use zeroize::{Zeroize, Zeroizing};

use crate::vault::error::VaultError;
use crate::vault::wrapped::{BODY, FileKey, KEY, SALT, unlock_body};

/// Logarithm of the most work a file may ask for: a gibibyte of memory. The stock program writes 18.
pub(crate) const MOST_COST: u8 = 20;

const SALT_PREFIX: &[u8] = b"age-encryption.org/v1/scrypt";
/// Words of a block: 128 octets times the block size 8.
const WORDS: usize = 256;
const SALSA: usize = 16;

type Block = [u32; WORDS];

/// A passphrase. Does not print; zeroized when dropped.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// This passphrase.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The file key, if it was locked with this passphrase.
    pub(crate) fn unlock(&self, salt: &[u8; SALT], cost: u8, body: &[u8; BODY]) -> Result<Option<FileKey>, VaultError> {
        if cost > MOST_COST {
            return Err(VaultError::NotAnAgeFile("its passphrase asks for too much work"));
        }
        let mut key = Zeroizing::new([0; KEY]);
        scrypt(self.0.as_bytes(), &[SALT_PREFIX, salt].concat(), cost, key.as_mut());
        unlock_body(&key, [0; 12], body)
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// scrypt (RFC 7914 §6) with block size 8 and no parallelism.
fn scrypt(secret: &[u8], salt: &[u8], cost: u8, out: &mut [u8]) {
    let mut octets = Zeroizing::new([0; WORDS * 4]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, NonZeroU32::MIN, salt, secret, octets.as_mut());
    let mut block = Zeroizing::new([0; WORDS]);
    for (word, octets) in block.iter_mut().zip(octets.as_chunks().0) {
        *word = u32::from_le_bytes(*octets);
    }
    mix_memory(&mut block, cost);
    for (word, octets) in block.iter().zip(octets.as_chunks_mut().0) {
        *octets = word.to_le_bytes();
    }
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, NonZeroU32::MIN, octets.as_ref(), secret, out);
}

/// scryptROMix (RFC 7914 §5).
fn mix_memory(block: &mut Block, cost: u8) {
    let work = 1_usize << cost;
    let mut memory = Zeroizing::new(Vec::<Block>::with_capacity(work));
    for _ in 0..work {
        memory.push(*block);
        mix_block(block);
    }
    for _ in 0..work {
        // The first word of the last 64 octets decides; the work is far below 2^32.
        let place = block.get(WORDS - SALSA).map_or(0, |word| *word as usize) & (work - 1);
        let earlier = memory.get(place).into_iter().flatten();
        block.iter_mut().zip(earlier).for_each(|(word, earlier)| *word ^= earlier);
        mix_block(block);
    }
}

/// scryptBlockMix (RFC 7914 §4): pieces of even place go to the front half, the others to the back.
fn mix_block(block: &mut Block) {
    let mut mixed = [0; WORDS];
    let mut carried = [0; SALSA];
    carried.copy_from_slice(block.last_chunk::<SALSA>().map_or(&[0; SALSA], |last| last));
    let (front, back) = mixed.split_at_mut(WORDS / 2);
    let targets = front.chunks_exact_mut(SALSA).zip(back.chunks_exact_mut(SALSA));
    for (pieces, (even, odd)) in block.chunks_exact(2 * SALSA).zip(targets) {
        for (piece, target) in pieces.chunks_exact(SALSA).zip([even, odd]) {
            carried.iter_mut().zip(piece).for_each(|(word, other)| *word ^= other);
            salsa(&mut carried);
            target.copy_from_slice(&carried);
        }
    }
    *block = mixed;
    mixed.zeroize();
}

/// Salsa20/8 (RFC 7914 §3).
fn salsa(block: &mut [u32; SALSA]) {
    let mut x = *block;
    for _ in 0..4 {
        for [a, b, c, d] in COLUMNS.into_iter().chain(ROWS) {
            quarter(&mut x, a, b, c, d);
        }
    }
    block.iter_mut().zip(x).for_each(|(word, mixed)| *word = word.wrapping_add(mixed));
}

const COLUMNS: [[usize; 4]; 4] = [[0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11]];
const ROWS: [[usize; 4]; 4] = [[0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]];

#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "the tables above name places below 16 alone")]
fn quarter(x: &mut [u32; SALSA], a: usize, b: usize, c: usize, d: usize) {
    x[b] ^= x[a].wrapping_add(x[d]).rotate_left(7);
    x[c] ^= x[b].wrapping_add(x[a]).rotate_left(9);
    x[d] ^= x[c].wrapping_add(x[b]).rotate_left(13);
    x[a] ^= x[d].wrapping_add(x[c]).rotate_left(18);
}

#[cfg(test)]
mod tests {
    use crate::vault::scrypt::*;

    /// RFC 7914 §12 has one vector without parallelism and with block size 8: N = 16384.
    #[test]
    fn the_vector_of_rfc_7914_holds() {
        let mut out = [0; 64];
        scrypt(b"pleaseletmein", b"SodiumChloride", 14, &mut out);
        let hex: String = out.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(
            hex,
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2\
             d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
        );
    }

    #[test]
    fn a_file_that_asks_for_too_much_work_is_refused_at_once() {
        let refused = Passphrase::new("x".to_owned()).unlock(&[0; SALT], MOST_COST + 1, &[0; BODY]);
        assert!(matches!(refused, Err(VaultError::NotAnAgeFile(_))));
    }
}
