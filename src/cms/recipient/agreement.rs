//! A content key wrapped with a key agreed upon: ECDH on P-256 and P-384 (RFC 5753 §3.1), X25519 (RFC 8418 §3.1). One side
//! is made for the message.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, UnparsedPublicKey, X25519, agree};
use der::{Decode, Encode};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::cms::algorithm::KeyAgreement;
use crate::cms::cipher::{unwrap_key, wrap_key};
use crate::cms::derivation::agreed_key;
use crate::cms::element::{BIT_STRING, Element, INTEGER, OCTET_STRING, OID, SEQUENCE, constructed, encode};
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::oid;
use crate::cms::private_key::{KeyFault, PrivateKey};
use crate::cms::public_key::{KeyKind, PublicKey};
use crate::cms::recipient::id::RecipientId;

/// What all recipients of one KeyAgreeRecipientInfo share.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    scheme: KeyAgreement,
    /// The identifier of the key wrap as the message has it.
    wrap: Vec<u8>,
    /// The sender's public point.
    point: Vec<u8>,
    keying_material: Option<Vec<u8>>,
}

/// For whom, and the wrapped key.
type Keys = Vec<(RecipientId, Vec<u8>)>;

impl Agreement {
    /// Reads a KeyAgreeRecipientInfo: what is shared, and each recipient's own key.
    pub(crate) fn read(info: &Element<'_>) -> Result<(Self, Keys), CmsError> {
        let mut fields = info.fields();
        fields.take(INTEGER)?;
        // Static keys of senders, named by certificate or by key, are served by nobody's mail.
        let mut originator = fields.take(constructed(0))?.inner(constructed(1))?.fields();
        originator.take(SEQUENCE)?;
        let point = originator.take(BIT_STRING)?.octets_of_bits()?.to_vec();
        originator.end()?;
        let keying_material = match fields.take_if(constructed(1))? {
            Some(material) => Some(material.inner(OCTET_STRING)?.content().to_vec()),
            None => None,
        };
        if keying_material.as_ref().is_some_and(|octets| octets.len() > limits::KEYING_MATERIAL_OCTETS) {
            let limit = limits::KEYING_MATERIAL_OCTETS;
            return Err(CmsError::TooMany { what: "octets of keying material", limit });
        }
        let algorithm = fields.take(SEQUENCE)?;
        let scheme = KeyAgreement::parse(AlgorithmIdentifierRef::from_der(algorithm.whole())?)?;
        let mut parts = algorithm.fields();
        parts.take(OID)?;
        let wrap = parts.take(SEQUENCE)?.whole().to_vec();
        let mut keys = Vec::new();
        for key in fields.take(SEQUENCE)?.fields().all(limits::RECIPIENTS)? {
            let mut parts = Element::only(key.whole(), SEQUENCE)?.fields();
            let id = parts.any()?;
            let id = if id.tag == constructed(0) {
                RecipientId::KeyId(id.fields().take(OCTET_STRING)?.content().to_vec())
            } else {
                RecipientId::issuer(&id)?
            };
            keys.push((id, parts.take(OCTET_STRING)?.content().to_vec()));
            parts.end()?;
        }
        fields.end()?;
        Ok((Self { scheme, wrap, point, keying_material }, keys))
    }

    /// The content key, by the recipient's private key.
    pub(crate) fn open(&self, key: &dyn PrivateKey, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, CmsError> {
        let secret = key.agree(&self.point).map_err(|fault| match fault {
            KeyFault::Failed => CmsError::CannotBeOpened,
            KeyFault::Mismatch | KeyFault::Unsupported => CmsError::NotServed("key agreement with this key"),
        })?;
        let wrapping = agreed_key(self.scheme, &self.wrap, self.keying_material.as_deref(), &secret)?;
        unwrap_key(&wrapping, encrypted)
    }
}

/// KeyAgreeRecipientInfo for this key alone.
pub(crate) fn seal(
    id: &RecipientId,
    scheme: KeyAgreement,
    key: &PublicKey<'_>,
    content_key: &[u8],
) -> Result<Vec<u8>, CmsError> {
    let (algorithm, identifier) = match key.kind() {
        KeyKind::P256 => (&ECDH_P256, oid::EC_PUBLIC_KEY),
        KeyKind::P384 => (&ECDH_P384, oid::EC_PUBLIC_KEY),
        KeyKind::X25519 => (&X25519, oid::X25519),
        _ => return Err(CmsError::NotServed("key agreement with this key")),
    };
    let ours = agreement::PrivateKey::generate(algorithm)?;
    let point = ours.compute_public_key()?;
    let theirs = UnparsedPublicKey::new(algorithm, key.octets());
    let secret =
        agree(&ours, theirs, CmsError::NotServed("this public key"), |secret| Ok(Zeroizing::new(secret.to_vec())))?;
    let wrap = scheme.wrap.identifier().to_der()?;
    let wrapping = agreed_key(scheme, &wrap, None, &secret)?;
    let wrapped = wrap_key(&wrapping, content_key)?;
    let originator = encode(
        constructed(1),
        &[&encode(SEQUENCE, &[&encode(OID, &[identifier.as_bytes()])]), &encode(BIT_STRING, &[&[0], point.as_ref()])],
    );
    let wrapped = encode(SEQUENCE, &[&id.write_for_agreement(), &encode(OCTET_STRING, &[&wrapped])]);
    Ok(encode(
        constructed(1),
        &[
            &encode(INTEGER, &[&[3]]),
            &encode(constructed(0), &[&originator]),
            &scheme.identifier()?.to_der()?,
            &encode(SEQUENCE, &[&wrapped]),
        ],
    ))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};

    use super::*;
    use crate::cms::algorithm::{AesKeyLength, AgreementKdf, DigestAlgorithm, KeyWrap};
    use crate::cms::software_key::SoftwareKey;

    fn key() -> SoftwareKey {
        let private = agreement::PrivateKey::generate(&ECDH_P256).unwrap();
        let der: EcPrivateKeyRfc5915Der<'_> = private.as_der().unwrap();
        SoftwareKey::read(der.as_ref()).unwrap()
    }

    /// RFC 5753 §3.1.1: one point of the sender, with keying material, and a wrapped key for each of several recipients;
    /// the key wrap is written with NULL, as some do, and derived with it.
    #[test]
    fn several_recipients_share_one_point_of_the_sender() {
        let people = [key(), key(), key()];
        let scheme =
            KeyAgreement { kdf: AgreementKdf::X963(DigestAlgorithm::Sha256), wrap: KeyWrap(AesKeyLength::Bits192) };
        let ours = agreement::PrivateKey::generate(&ECDH_P256).unwrap();
        let point = ours.compute_public_key().unwrap();
        let wrap = encode(SEQUENCE, &[&encode(OID, &[scheme.wrap.oid().as_bytes()]), &[5, 0]]);
        let mut keys = Vec::new();
        for (number, person) in (0..).zip(&people) {
            let theirs = PublicKey::read(person.public_info()).unwrap();
            let theirs = UnparsedPublicKey::new(&ECDH_P256, theirs.octets());
            let secret = agree(&ours, theirs, (), |secret| Ok(secret.to_vec())).unwrap();
            let wrapping = agreed_key(scheme, &wrap, Some(b"nonce"), &secret).unwrap();
            let id = RecipientId::KeyId(vec![number]).write_for_agreement();
            let wrapped = encode(OCTET_STRING, &[&wrap_key(&wrapping, &[7; 16]).unwrap()]);
            keys.push(encode(SEQUENCE, &[&id, &wrapped]));
        }
        let kind = encode(SEQUENCE, &[&encode(OID, &[oid::EC_PUBLIC_KEY.as_bytes()])]);
        let originator = encode(constructed(1), &[&kind, &encode(BIT_STRING, &[&[0], point.as_ref()])]);
        let identifier = scheme.identifier().unwrap().oid;
        let info = encode(
            constructed(1),
            &[
                &encode(INTEGER, &[&[3]]),
                &encode(constructed(0), &[&originator]),
                &encode(constructed(1), &[&encode(OCTET_STRING, &[b"nonce"])]),
                &encode(SEQUENCE, &[&encode(OID, &[identifier.as_bytes()]), &wrap]),
                &encode(SEQUENCE, &keys.iter().map(Vec::as_slice).collect::<Vec<_>>()),
            ],
        );
        let (shared, keys) = Agreement::read(&Element::only(&info, constructed(1)).unwrap()).unwrap();
        for (number, ((id, encrypted), person)) in (0..).zip(keys.iter().zip(&people)) {
            assert_eq!(*id, RecipientId::KeyId(vec![number]));
            assert_eq!(shared.open(person, encrypted).unwrap().as_slice(), [7; 16]);
            assert_eq!(shared.open(&key(), encrypted), Err(CmsError::CannotBeOpened));
        }
    }
}
