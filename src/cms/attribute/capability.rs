//! What a signer can open and check, the preferred first (RFC 8551 §2.5.2).

use der::{Decode, Encode};
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::cms::algorithm::{
    AesKeyLength, AgreementKdf, ContentEncryption, DigestAlgorithm, KeyAgreement, KeyTransport, KeyWrap,
    SignatureAlgorithm,
};
use crate::cms::certificate::Certificate;
use crate::cms::element::{Element, OID, SEQUENCE, encode};
use crate::cms::error::CmsError;
use crate::cms::oid;

/// Capabilities that are read of one signer. Usual lists have ten.
const CAPABILITIES: usize = 100;

/// One capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// A cipher for content.
    Content(ContentEncryption),
    /// Key transport.
    Transport(KeyTransport),
    /// Key agreement.
    Agreement(KeyAgreement),
    /// A key wrap by itself.
    Wrap(KeyWrap),
    /// A signature.
    Signature(SignatureAlgorithm),
    /// A digest.
    Digest(DigestAlgorithm),
    /// Binary parts within what is sealed (RFC 8551 §2.7.1).
    BinaryInside,
    /// Any other, in DER.
    Unknown(Vec<u8>),
}

/// Capabilities, the preferred first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities(pub Vec<Capability>);

impl Capabilities {
    /// What we open and check ourselves.
    #[must_use]
    pub fn ours() -> Self {
        let content = [
            ContentEncryption::AesGcm(AesKeyLength::Bits256),
            ContentEncryption::AesGcm(AesKeyLength::Bits128),
            ContentEncryption::AesCbc(AesKeyLength::Bits256),
            ContentEncryption::AesCbc(AesKeyLength::Bits128),
        ];
        let agreement = [
            (AgreementKdf::X963(DigestAlgorithm::Sha256), AesKeyLength::Bits128),
            (AgreementKdf::X963(DigestAlgorithm::Sha384), AesKeyLength::Bits256),
        ];
        let mut all: Vec<Capability> = content.into_iter().map(Capability::Content).collect();
        all.push(Capability::Transport(KeyTransport::oaep()));
        all.push(Capability::Transport(KeyTransport::Pkcs1v15));
        all.extend(agreement.map(|(kdf, length)| Capability::Agreement(KeyAgreement { kdf, wrap: KeyWrap(length) })));
        Self(all)
    }

    /// Reads `SMIMECapabilities`.
    pub(crate) fn read(value: Element<'_>) -> Result<Self, CmsError> {
        if value.tag != SEQUENCE {
            return Err(CmsError::Unexpected("capabilities that are no sequence"));
        }
        value.fields().all(CAPABILITIES)?.into_iter().map(Capability::read).collect::<Result<_, _>>().map(Self)
    }

    /// What the owner of a certificate can open and check, where it says so (RFC 4262).
    #[must_use]
    pub fn of_certificate(certificate: &Certificate) -> Option<Self> {
        let extensions = certificate.extensions().ok()?;
        let extension = extensions.iter().find(|it| it.id == oid::SMIME_CAPABILITIES.as_bytes())?;
        Self::read(Element::only(extension.value, SEQUENCE).ok()?).ok()
    }

    /// Writes `SMIMECapabilities`.
    ///
    /// # Errors
    /// An algorithm has no identifier.
    pub fn to_der(&self) -> Result<Vec<u8>, CmsError> {
        let each = self.0.iter().map(Capability::to_der).collect::<Result<Vec<_>, _>>()?;
        Ok(encode(SEQUENCE, &[&each.concat()]))
    }

    /// The ciphers for content, the preferred first.
    pub fn content(&self) -> impl Iterator<Item = ContentEncryption> {
        self.0.iter().filter_map(|known| if let Capability::Content(cipher) = known { Some(*cipher) } else { None })
    }
}

impl Capability {
    fn read(element: Element<'_>) -> Result<Self, CmsError> {
        let mut fields = element.fields();
        if element.tag != SEQUENCE {
            return Err(CmsError::Unexpected("a capability that is no sequence"));
        }
        let id = fields.take(OID)?.content();
        let has_parameters = !fields.is_empty();
        let known = AlgorithmIdentifierRef::from_der(element.whole())
            .ok()
            .and_then(|identifier| Self::of(id, identifier, has_parameters));
        Ok(known.unwrap_or_else(|| Self::Unknown(element.whole().to_vec())))
    }

    fn of(id: &[u8], identifier: AlgorithmIdentifierRef<'_>, has_parameters: bool) -> Option<Self> {
        if id == oid::PREFER_BINARY_INSIDE.as_bytes() {
            return Some(Self::BinaryInside);
        }
        // A cipher's parameters tell of one message; here they are absent (RFC 3565 §5, RFC 5084 §4).
        if let Some(cipher) = ContentEncryption::of(identifier.oid) {
            return (!has_parameters).then_some(Self::Content(cipher));
        }
        // rsaEncryption names both transport and signature; in this list it tells what can be opened (RFC 8551 §2.5.2).
        KeyTransport::parse(identifier)
            .map(Self::Transport)
            .or_else(|_| KeyAgreement::parse(identifier).map(Self::Agreement))
            .or_else(|_| KeyWrap::parse(identifier).map(Self::Wrap))
            .or_else(|_| SignatureAlgorithm::parse(identifier).map(Self::Signature))
            .or_else(|_| DigestAlgorithm::parse(identifier).map(Self::Digest))
            .ok()
    }

    fn to_der(&self) -> Result<Vec<u8>, CmsError> {
        let identifier = match self {
            Self::Content(cipher) => return Ok(encode(SEQUENCE, &[&encode(OID, &[cipher.oid().as_bytes()])])),
            Self::BinaryInside => {
                return Ok(encode(SEQUENCE, &[&encode(OID, &[oid::PREFER_BINARY_INSIDE.as_bytes()])]));
            }
            Self::Unknown(der) => return Ok(der.clone()),
            Self::Transport(transport) => transport.identifier()?,
            Self::Agreement(agreement) => agreement.identifier()?,
            Self::Wrap(wrap) => wrap.identifier(),
            Self::Signature(signature) => signature.identifier()?,
            Self::Digest(digest) => digest.identifier(),
        };
        Ok(identifier.to_der()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::element::Fields;

    #[test]
    fn capabilities_go_there_and_back_and_the_unknown_are_kept() {
        let mut all = Capabilities::ours();
        all.0.push(Capability::BinaryInside);
        all.0.push(Capability::Wrap(KeyWrap(AesKeyLength::Bits256)));
        all.0.push(Capability::Signature(SignatureAlgorithm::pss(DigestAlgorithm::Sha256)));
        all.0.push(Capability::Digest(DigestAlgorithm::Sha384));
        // RC2 with 40 bits, as old programs list it.
        all.0.push(Capability::Unknown(vec![0x30, 0x0d, 6, 8, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 3, 2, 2, 1, 0x28]));
        let der = all.to_der().unwrap();
        assert_eq!(Capabilities::read(Fields::of(&der).any().unwrap()), Ok(all.clone()));
        assert_eq!(all.content().next(), Some(ContentEncryption::AesGcm(AesKeyLength::Bits256)));
    }
}
