//! Keys derived from a secret: by X9.63 (RFC 5753 §7.2, SEC 1 §3.6.1) and by HKDF (RFC 5869, 8418 §2.2).

use aws_lc_rs::digest::Context;
use aws_lc_rs::hkdf::{HKDF_SHA256, HKDF_SHA384, HKDF_SHA512, KeyType, Salt};
use zeroize::Zeroizing;

use crate::cms::algorithm::{AgreementKdf, DigestAlgorithm, KeyAgreement};
use crate::cms::element::{OCTET_STRING, SEQUENCE, constructed, encode};
use crate::cms::error::CmsError;

/// The key that wraps, derived from a secret agreed upon. `wrap` is the identifier of the key wrap as the message has it:
/// some write NULL for parameters, and derive with it.
pub(crate) fn agreed_key(
    scheme: KeyAgreement,
    wrap: &[u8],
    keying_material: Option<&[u8]>,
    secret: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CmsError> {
    let octets = scheme.wrap.key_octets();
    let info = shared_info(wrap, keying_material, octets);
    match scheme.kdf {
        AgreementKdf::X963(hash) => Ok(x963(hash, secret, &info, octets)),
        AgreementKdf::Hkdf(hash) => hkdf(hash, keying_material.unwrap_or_default(), secret, &info, octets),
    }
}

/// HKDF.
pub(crate) fn hkdf(
    hash: DigestAlgorithm,
    salt: &[u8],
    secret: &[u8],
    info: &[u8],
    octets: usize,
) -> Result<Zeroizing<Vec<u8>>, CmsError> {
    let algorithm = match hash {
        DigestAlgorithm::Sha256 => HKDF_SHA256,
        DigestAlgorithm::Sha384 => HKDF_SHA384,
        DigestAlgorithm::Sha512 => HKDF_SHA512,
        DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224 => return Err(CmsError::NotServed("HKDF with this hash")),
    };
    let mut key = Zeroizing::new(vec![0; octets]);
    Salt::new(algorithm, salt).extract(secret).expand(&[info], Length(octets))?.fill(&mut key)?;
    Ok(key)
}

/// Octets of a key.
#[derive(Debug, Clone, Copy)]
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn x963(hash: DigestAlgorithm, secret: &[u8], info: &[u8], octets: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(octets + hash.octets()));
    let mut count = 1_u32;
    while key.len() < octets {
        let mut sum = Context::new(hash.hash());
        for part in [secret, &count.to_be_bytes(), info] {
            sum.update(part);
        }
        key.extend_from_slice(sum.finish().as_ref());
        count += 1;
    }
    key.truncate(octets);
    key
}

/// ECC-CMS-SharedInfo, RFC 5753 §7.2.
fn shared_info(wrap: &[u8], keying_material: Option<&[u8]>, octets: usize) -> Vec<u8> {
    let bits = u32::try_from(octets * 8).unwrap_or(u32::MAX).to_be_bytes();
    let party = keying_material.map(|octets| encode(constructed(0), &[&encode(OCTET_STRING, &[octets])]));
    let length = encode(constructed(2), &[&encode(OCTET_STRING, &[&bits])]);
    encode(SEQUENCE, &[wrap, party.as_deref().unwrap_or_default(), &length])
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

    /// NIST's vectors for ANSI X9.63-2001 (SP 800-135): SHA-256 without and with shared information.
    #[test]
    fn the_vectors_of_x963_hold() {
        let secret = octets("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08");
        assert_eq!(
            x963(DigestAlgorithm::Sha256, &secret, b"", 16).to_vec(),
            octets("443024c3dae66b95e6f5670601558f71")
        );
        let secret = octets("22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d");
        let info = octets("75eef81aa3041e33b80971203d2c0c52");
        let expected = octets(
            "c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e52a13d9c7c6fc878c50c5ea0bc7b00e0\
             da2447cfd874f6cf92f30d0097111485500c90c3af8b487872d04685d14c8d1dc8d7fa08beb0ce0ababc11f0bd496269\
             142d43525a78e5bc79a17f59676a5706dc54d54d4d1f0bd7e386128ec26afc21",
        );
        assert_eq!(x963(DigestAlgorithm::Sha256, &secret, &info, 128).to_vec(), expected);
    }

    /// RFC 5869 §A.1.
    #[test]
    fn hkdf_gives_what_its_standard_does() {
        let (salt, info) = (octets("000102030405060708090a0b0c"), octets("f0f1f2f3f4f5f6f7f8f9"));
        let expected = octets("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
        assert_eq!(hkdf(DigestAlgorithm::Sha256, &salt, &[0x0b; 22], &info, 42).unwrap().to_vec(), expected);
        assert!(hkdf(DigestAlgorithm::Sha1, &salt, &[0x0b; 22], &info, 42).is_err());
    }
}
