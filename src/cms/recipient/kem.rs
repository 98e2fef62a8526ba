//! A content key wrapped with one derived from an encapsulated secret: ML-KEM-768 (RFC 9629 §3, RFC 9936 §2).

use aws_lc_rs::kem::{EncapsulationKey, ML_KEM_768};
use der::oid::ObjectIdentifier;
use der::{Decode, Encode};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::cms::algorithm::{AesKeyLength, DigestAlgorithm, KeyWrap};
use crate::cms::cipher::{unwrap_key, wrap_key};
use crate::cms::derivation::hkdf;
use crate::cms::element::{Element, INTEGER, OCTET_STRING, OID, SEQUENCE, constructed, encode};
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::oid;
use crate::cms::private_key::{KeyFault, PrivateKey};
use crate::cms::public_key::{KeyKind, PublicKey};
use crate::cms::recipient::id::RecipientId;

/// What a KEMRecipientInfo says of the way to the content key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kem {
    ciphertext: Vec<u8>,
    hash: DigestAlgorithm,
    wrap: KeyWrap,
    /// CMSORIforKEMOtherInfo.
    info: Vec<u8>,
}

impl Kem {
    /// Reads an OtherRecipientInfo that is a KEMRecipientInfo: the way, for whom, and the wrapped key.
    pub(crate) fn read(info: &Element<'_>) -> Result<(Self, RecipientId, Vec<u8>), CmsError> {
        let mut outer = info.fields();
        if outer.take(OID)?.content() != oid::ORI_KEM.as_bytes() {
            return Err(CmsError::NotServed("this kind of recipient"));
        }
        let mut fields = outer.take(SEQUENCE)?.fields();
        outer.end()?;
        fields.take(INTEGER)?;
        let id = RecipientId::read(&fields.any()?)?;
        if algorithm(&fields.take(SEQUENCE)?)? != oid::ML_KEM_768 {
            return Err(CmsError::NotServed("this key encapsulation"));
        }
        let ciphertext = fields.take(OCTET_STRING)?.content().to_vec();
        let hash = match algorithm(&fields.take(SEQUENCE)?)? {
            oid::HKDF_SHA_256 => DigestAlgorithm::Sha256,
            oid::HKDF_SHA_384 => DigestAlgorithm::Sha384,
            oid::HKDF_SHA_512 => DigestAlgorithm::Sha512,
            other => return Err(CmsError::UnknownAlgorithm { kind: "the key derivation", oid: other }),
        };
        let length = fields.take(INTEGER)?;
        let material = fields.take_if(constructed(0))?;
        if material.is_some_and(|octets| octets.content().len() > limits::KEYING_MATERIAL_OCTETS) {
            let limit = limits::KEYING_MATERIAL_OCTETS;
            return Err(CmsError::TooMany { what: "octets of keying material", limit });
        }
        let wrapping = fields.take(SEQUENCE)?;
        let wrap = KeyWrap::parse(AlgorithmIdentifierRef::from_der(wrapping.whole())?)?;
        if usize::try_from(length.unsigned()?) != Ok(wrap.key_octets()) {
            return Err(CmsError::Unexpected("a key that wraps has another length than its algorithm's"));
        }
        let encrypted = fields.take(OCTET_STRING)?.content().to_vec();
        fields.end()?;
        let material = material.map_or(&[][..], |octets| octets.whole());
        let info = encode(SEQUENCE, &[wrapping.whole(), length.whole(), material]);
        Ok((Self { ciphertext, hash, wrap, info }, id, encrypted))
    }

    /// The content key, by the recipient's private key.
    pub(crate) fn open(&self, key: &dyn PrivateKey, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, CmsError> {
        let secret = key.decapsulate(&self.ciphertext).map_err(|fault| match fault {
            KeyFault::Failed => CmsError::CannotBeOpened,
            KeyFault::Mismatch | KeyFault::Unsupported => CmsError::NotServed("decapsulation with this key"),
        })?;
        let wrapping = hkdf(self.hash, &[], &secret, &self.info, self.wrap.key_octets())?;
        unwrap_key(&wrapping, encrypted)
    }
}

/// OtherRecipientInfo for this key: HKDF with SHA-256, AES-256 key wrap (RFC 9936 §2.2).
pub(crate) fn seal(id: &RecipientId, key: &PublicKey<'_>, content_key: &[u8]) -> Result<Vec<u8>, CmsError> {
    if key.kind() != KeyKind::MlKem(768) {
        return Err(CmsError::NotServed("encapsulation to this key"));
    }
    let theirs =
        EncapsulationKey::new(&ML_KEM_768, key.octets()).map_err(|_| CmsError::NotServed("this public key"))?;
    let (ciphertext, secret) = theirs.encapsulate()?;
    let wrap = KeyWrap(AesKeyLength::Bits256);
    let octets = u8::try_from(wrap.key_octets()).map_err(|_| CmsError::LibraryFailed)?;
    let (wrapping, length) = (wrap.identifier().to_der()?, encode(INTEGER, &[&[octets]]));
    let info = encode(SEQUENCE, &[&wrapping, &length]);
    let derived = hkdf(DigestAlgorithm::Sha256, &[], secret.as_ref(), &info, wrap.key_octets())?;
    let bare = |identifier: ObjectIdentifier| encode(SEQUENCE, &[&encode(OID, &[identifier.as_bytes()])]);
    let fields = encode(
        SEQUENCE,
        &[
            &encode(INTEGER, &[&[0]]),
            &id.write(),
            &bare(oid::ML_KEM_768),
            &encode(OCTET_STRING, &[ciphertext.as_ref()]),
            &bare(oid::HKDF_SHA_256),
            &length,
            &wrapping,
            &encode(OCTET_STRING, &[&wrap_key(&derived, content_key)?]),
        ],
    );
    Ok(encode(constructed(4), &[&encode(OID, &[oid::ORI_KEM.as_bytes()]), &fields]))
}

/// The identifier of an algorithm whose parameters are absent (RFC 8619 §3, RFC 9936 §3).
fn algorithm(element: &Element<'_>) -> Result<ObjectIdentifier, CmsError> {
    let identifier = element.inner(OID)?;
    ObjectIdentifier::from_bytes(identifier.content()).map_err(|_| CmsError::Unexpected("no object identifier"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::software_key::SoftwareKey;
    use crate::ml_kem;
    use crate::vault::random_octets;

    fn octets(hex: &str) -> Vec<u8> {
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        hex.as_bytes().chunks(2).map(octet).collect()
    }

    fn key() -> SoftwareKey {
        let seed: [u8; ml_kem::SEED] = random_octets().unwrap();
        let algorithm = encode(SEQUENCE, &[&encode(OID, &[oid::ML_KEM_768.as_bytes()])]);
        let seed = encode(OCTET_STRING, &[&encode(0x80, &[&seed])]);
        SoftwareKey::read(&encode(SEQUENCE, &[&encode(INTEGER, &[&[0]]), &algorithm, &seed])).unwrap()
    }

    /// RFC 9936 Appendix C: from the secret that ML-KEM-512 gave to the content key.
    #[test]
    fn the_example_of_the_standard_holds_behind_the_decapsulation() {
        let secret = octets("7df12d412ae299a24fde6d7c3bb8e3194c80ad3c733dcf2775e09fe8bedb86d8");
        let wrapping = octets("cf453a3e2bae0a78701b8206c185a008");
        let info = octets("3010300b0609608648016503040105020110");
        assert_eq!(hkdf(DigestAlgorithm::Sha256, &[], &secret, &info, 16).unwrap().to_vec(), wrapping);
        let wrapped = octets("c050e4392f9c14dd0ac2220203f317d701f94f9dd92778f5");
        assert_eq!(unwrap_key(&wrapping, &wrapped).unwrap().to_vec(), octets("c5153005588269a0a59f3c01943fdd56"));
    }

    #[test]
    fn what_is_sealed_to_a_key_is_opened_by_it_alone() {
        let (ours, other) = (key(), key());
        let id = RecipientId::KeyId(vec![1, 2, 3]);
        let info = seal(&id, &PublicKey::read(ours.public_info()).unwrap(), &[7; 32]).unwrap();
        let (way, found, encrypted) = Kem::read(&Element::only(&info, constructed(4)).unwrap()).unwrap();
        assert_eq!(found, id);
        assert_eq!(way.open(&ours, &encrypted).unwrap().as_slice(), [7; 32]);
        assert_eq!(way.open(&other, &encrypted), Err(CmsError::CannotBeOpened));
        let short = Kem { ciphertext: way.ciphertext[1..].to_vec(), ..way };
        assert_eq!(short.open(&ours, &encrypted), Err(CmsError::CannotBeOpened));
    }

    /// A nonce of the sender goes into the derivation, and a length that is not the wrap's is refused.
    #[test]
    fn keying_material_is_read_and_bound() {
        let ours = key();
        let id = RecipientId::KeyId(vec![1, 2, 3]);
        let info = seal(&id, &PublicKey::read(ours.public_info()).unwrap(), &[7; 32]).unwrap();
        let outer = Element::only(&info, constructed(4)).unwrap();
        let mut fields = outer.fields();
        let kind = fields.take(OID).unwrap().whole();
        let all = fields.take(SEQUENCE).unwrap().fields().all(8).unwrap();
        let with = |length: u8, material: &[u8]| {
            let length = encode(INTEGER, &[&[length]]);
            let mut parts: Vec<&[u8]> = all.iter().map(Element::whole).collect();
            parts[5] = &length;
            parts.insert(6, material);
            encode(constructed(4), &[kind, &encode(SEQUENCE, &parts)])
        };
        let read = |info: &[u8]| Kem::read(&Element::only(info, constructed(4)).unwrap());
        let (way, _, encrypted) =
            read(&with(32, &encode(constructed(0), &[&encode(OCTET_STRING, &[&[9; 16]])]))).unwrap();
        assert_eq!(way.open(&ours, &encrypted), Err(CmsError::CannotBeOpened), "another derivation");
        let long = encode(constructed(0), &[&encode(OCTET_STRING, &[&[9; 2000]])]);
        assert!(matches!(read(&with(32, &long)), Err(CmsError::TooMany { .. })));
        assert!(read(&with(16, &[])).is_err());
        assert!(read(&with(32, &[])).is_ok());
    }
}
