//! OAEP whose mask has another hash than its label (RFC 4055 §4.1, RFC 8017 §7.1.2), as Java writes it. The library has it
//! with one hash throughout alone, and gives nobody the bare RSA below.

use aws_lc_rs::digest::{Context, digest};
use crypto_bigint::BoxedUint;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

use crate::cms::algorithm::DigestAlgorithm;
use crate::cms::element::{Element, INTEGER, SEQUENCE};
use crate::cms::error::CmsError;

const BROKEN: CmsError = CmsError::Unexpected("an RSA key that is damaged");

/// A private key of RSA: modulus and exponent. No time tells the exponent.
pub(crate) struct BareRsa {
    modulus: BoxedUint,
    params: BoxedMontyParams,
    exponent: Zeroizing<BoxedUint>,
    octets: usize,
}

impl BareRsa {
    /// The key of an `RSAPrivateKey` (RFC 8017 §A.1.2), which the library has checked.
    pub(crate) fn read(key: &[u8]) -> Result<Self, CmsError> {
        let mut fields = Element::only(key, SEQUENCE)?.fields();
        fields.take(INTEGER)?;
        let modulus = unsigned(fields.take(INTEGER)?.content());
        fields.take(INTEGER)?;
        let exponent = unsigned(fields.take(INTEGER)?.content());
        let (octets, bits) = (modulus.len(), bits(modulus.len())?);
        let modulus = BoxedUint::from_be_slice(modulus, bits).map_err(|_| BROKEN)?;
        let exponent = BoxedUint::from_be_slice(exponent, bits).map_err(|_| BROKEN)?;
        let odd = modulus.to_odd().into_option().ok_or(BROKEN)?;
        Ok(Self { modulus, params: BoxedMontyParams::new(odd), exponent: Zeroizing::new(exponent), octets })
    }

    /// What was encrypted with OAEP, or nothing, in a time that tells neither where it fails nor how long the text is.
    pub(crate) fn decrypt(
        &self,
        hash: DigestAlgorithm,
        mask: DigestAlgorithm,
        label: &[u8],
        encrypted: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        if encrypted.len() != self.octets {
            return None;
        }
        let encrypted = BoxedUint::from_be_slice(encrypted, bits(self.octets).ok()?).ok()?;
        if encrypted >= self.modulus {
            return None;
        }
        let mut message = BoxedMontyForm::new(encrypted, &self.params).pow(&self.exponent).retrieve();
        let octets = Zeroizing::new(message.to_be_bytes().into_vec());
        message.zeroize();
        let padded = octets.get(octets.len().checked_sub(self.octets)?..)?;
        unpadded(hash, mask, label, padded)
    }
}

/// EME-OAEP decoding, RFC 8017 §7.1.2 step 3.
fn unpadded(hash: DigestAlgorithm, mask: DigestAlgorithm, label: &[u8], padded: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (first, rest) = padded.split_first()?;
    let (seed, block) = rest.split_at_checked(hash.octets())?;
    let seed = masked(mask, block, seed);
    let block = masked(mask, &seed, block);
    let (found, block) = block.split_at_checked(hash.octets())?;
    let mut is_good = first.ct_eq(&0) & found.ct_eq(digest(hash.hash(), label).as_ref());
    let (mut is_padding, mut start) = (Choice::from(1), 0_u32);
    for (place, octet) in (1..).zip(block) {
        let is_end = is_padding & octet.ct_eq(&1);
        start.conditional_assign(&place, is_end);
        is_padding &= !is_end;
        is_good &= !is_padding | octet.ct_eq(&0);
    }
    let text = block.get(usize::try_from(start).ok()?..)?;
    bool::from(is_good & !is_padding).then(|| Zeroizing::new(text.to_vec()))
}

/// These octets under the mask that MGF1 makes of a seed (RFC 8017 §B.2.1).
fn masked(hash: DigestAlgorithm, seed: &[u8], octets: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(octets.to_vec());
    for (count, piece) in (0_u32..).zip(out.chunks_mut(hash.octets())) {
        let mut sum = Context::new(hash.hash());
        sum.update(seed);
        sum.update(&count.to_be_bytes());
        for (octet, mask) in piece.iter_mut().zip(sum.finish().as_ref()) {
            *octet ^= mask;
        }
    }
    out
}

fn unsigned(mut octets: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = octets {
        octets = rest;
    }
    octets
}

fn bits(octets: usize) -> Result<u32, CmsError> {
    u32::try_from(octets).ok().and_then(|octets| octets.checked_mul(8)).ok_or(BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EME-OAEP encoding, RFC 8017 §7.1.1 step 2.
    fn padded(hash: DigestAlgorithm, mask: DigestAlgorithm, label: &[u8], text: &[u8], octets: usize) -> Vec<u8> {
        let mut block = digest(hash.hash(), label).as_ref().to_vec();
        block.resize(octets - hash.octets() - 1 - text.len() - 1, 0);
        block.push(1);
        block.extend_from_slice(text);
        let seed = vec![0x5a; hash.octets()];
        let block = masked(mask, &seed, &block);
        [&[0][..], &masked(mask, &block, &seed), &block].concat()
    }

    #[test]
    fn padding_goes_there_and_back_and_any_damage_spoils_it() {
        for hash in DigestAlgorithm::ALL {
            for mask in DigestAlgorithm::ALL {
                for text in [&b""[..], b"\0", b"\x01", &[7; 32]] {
                    let whole = padded(hash, mask, b"label", text, 256);
                    assert_eq!(unpadded(hash, mask, b"label", &whole).unwrap().as_slice(), text);
                    assert_eq!(unpadded(hash, mask, b"other", &whole), None);
                    for at in 0..whole.len() {
                        let mut damaged = whole.clone();
                        damaged[at] ^= 0x10;
                        assert_ne!(unpadded(hash, mask, b"label", &damaged).as_deref(), Some(&text.to_vec()));
                    }
                }
            }
        }
        let (hash, mask) = (DigestAlgorithm::Sha512, DigestAlgorithm::Sha1);
        for octets in 0..130 {
            assert_eq!(unpadded(hash, mask, b"", &vec![0; octets]), None);
        }
    }
}
