//! AES key wrap (RFC 3394 §2.2). The library wraps with keys of 128 and 256 bits alone, but encrypts blocks with all.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::cms::cipher::aes::{BLOCK, Blocks};
use crate::cms::error::CmsError;

/// Octets of half a block, in which keys are counted.
const HALF: usize = 8;
const ROUNDS: u64 = 6;
/// RFC 3394 §2.2.3.1.
const INITIAL: [u8; HALF] = [0xa6; HALF];

/// Wraps a key of 16 octets or more, a multiple of eight.
pub(crate) fn wrap_key(wrapping: &[u8], key: &[u8]) -> Result<Vec<u8>, CmsError> {
    let blocks = Blocks::new(wrapping)?;
    let mut halves = halves(key)?;
    let mut check = INITIAL;
    let mut step = 0_u64;
    for _ in 0..ROUNDS {
        for half in halves.iter_mut() {
            step += 1;
            let mut block = join(&check, half);
            blocks.encrypt(&mut block)?;
            (check, *half) = part(&block);
            check = turned(check, step);
        }
    }
    Ok([&check[..], halves.as_flattened()].concat())
}

/// Unwraps a key, or says that it was not wrapped with this one.
pub(crate) fn unwrap_key(wrapping: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, CmsError> {
    let blocks = Blocks::new(wrapping)?;
    let (first, rest) = wrapped.split_first_chunk::<HALF>().ok_or(CmsError::CannotBeOpened)?;
    let mut halves = halves(rest)?;
    let mut check = *first;
    let mut step = ROUNDS * u64::try_from(halves.len()).unwrap_or(u64::MAX);
    for _ in 0..ROUNDS {
        for half in halves.iter_mut().rev() {
            let mut block = join(&turned(check, step), half);
            blocks.decrypt(&mut block)?;
            (check, *half) = part(&block);
            block.zeroize();
            step -= 1;
        }
    }
    if bool::from(check.ct_eq(&INITIAL)) {
        Ok(Zeroizing::new(halves.as_flattened().to_vec()))
    } else {
        Err(CmsError::CannotBeOpened)
    }
}

fn halves(octets: &[u8]) -> Result<Zeroizing<Vec<[u8; HALF]>>, CmsError> {
    match octets.as_chunks::<HALF>() {
        (halves, []) if halves.len() >= 2 => Ok(Zeroizing::new(halves.to_vec())),
        _ => Err(CmsError::CannotBeOpened),
    }
}

fn turned(check: [u8; HALF], step: u64) -> [u8; HALF] {
    (u64::from_be_bytes(check) ^ step).to_be_bytes()
}

fn join(left: &[u8; HALF], right: &[u8; HALF]) -> [u8; BLOCK] {
    (u128::from(u64::from_be_bytes(*left)) << 64 | u128::from(u64::from_be_bytes(*right))).to_be_bytes()
}

fn part(block: &[u8; BLOCK]) -> ([u8; HALF], [u8; HALF]) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *block;
    ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// RFC 3394 §4.1 to §4.6.
    #[test]
    fn the_examples_of_the_standard_hold() {
        let (wrapping, key) = (
            octets("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
            octets("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f"),
        );
        for (wrapping_octets, key_octets, expected) in [
            (16, 16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
            (24, 16, "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"),
            (32, 16, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
            (24, 24, "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"),
            (32, 24, "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"),
            (32, 32, "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"),
        ] {
            let (wrapping, key) = (&wrapping[..wrapping_octets], &key[..key_octets]);
            let wrapped = wrap_key(wrapping, key).unwrap();
            assert_eq!(wrapped, octets(expected));
            assert_eq!(unwrap_key(wrapping, &wrapped).unwrap().as_slice(), key);
            for at in 0..wrapped.len() {
                let mut damaged = wrapped.clone();
                damaged[at] ^= 1;
                assert_eq!(unwrap_key(wrapping, &damaged), Err(CmsError::CannotBeOpened));
                assert!(unwrap_key(wrapping, &wrapped[..at]).is_err());
            }
        }
    }
}
