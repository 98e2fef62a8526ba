//! For whom to seal, and how.

use crate::cms::algorithm::{
    AesKeyLength, AgreementKdf, ContentEncryption, DigestAlgorithm, KeyAgreement, KeyTransport, KeyWrap,
};
use crate::cms::certificate::Certificate;
use crate::cms::error::CmsError;
use crate::cms::public_key::KeyKind;
use crate::cms::recipient::agreement;
use crate::cms::recipient::id::RecipientId;
use crate::cms::recipient::kem;
use crate::cms::recipient::transport;

/// How a content key is encrypted for a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealWay {
    /// By RSA. PKCS #1 version 1.5 is for a peer that can do nothing else.
    Transport(KeyTransport),
    /// By a key agreed upon.
    Agreement(KeyAgreement),
    /// By ML-KEM-768.
    Kem,
}

/// A recipient.
#[derive(Debug, Clone)]
pub struct SealTo {
    /// Whose key it is sealed to. Whether it may be is judged elsewhere.
    pub certificate: Certificate,
    /// How the message names the certificate.
    pub id: RecipientId,
    /// How the content key is encrypted.
    pub way: SealWay,
}

impl SealWay {
    /// How it is done where nothing else is known of the peer (RFC 8551 §2.3): OAEP with SHA-256; on a curve, a wrap as
    /// strong as the cipher and a derivation as strong as the curve. `None` for keys that seal nothing.
    #[must_use]
    pub fn usual(kind: KeyKind, content: ContentEncryption) -> Option<Self> {
        let wrap = match content {
            ContentEncryption::AesCbc(length) | ContentEncryption::AesGcm(length) => KeyWrap(length),
            ContentEncryption::TripleDesCbc => KeyWrap(AesKeyLength::Bits128),
        };
        let agreement = |kdf| Some(Self::Agreement(KeyAgreement { kdf, wrap }));
        match kind {
            KeyKind::Rsa(_) => Some(Self::Transport(KeyTransport::oaep())),
            KeyKind::P256 => agreement(AgreementKdf::X963(DigestAlgorithm::Sha256)),
            KeyKind::P384 => agreement(AgreementKdf::X963(DigestAlgorithm::Sha384)),
            KeyKind::X25519 => agreement(AgreementKdf::Hkdf(DigestAlgorithm::Sha256)),
            KeyKind::MlKem(768) => Some(Self::Kem),
            KeyKind::P521 | KeyKind::Ed25519 | KeyKind::MlKem(_) | KeyKind::Other => None,
        }
    }
}

impl SealTo {
    /// The usual way to this certificate, named by issuer and serial number; `None` if its key seals nothing.
    #[must_use]
    pub fn usual(certificate: &Certificate, content: ContentEncryption) -> Option<Self> {
        let way = SealWay::usual(certificate.public_key().ok()?.kind(), content)?;
        Some(Self { certificate: certificate.clone(), id: RecipientId::by_issuer(certificate), way })
    }

    /// RecipientInfo.
    pub(crate) fn seal(&self, content_key: &[u8]) -> Result<Vec<u8>, CmsError> {
        let key = self.certificate.public_key()?;
        match &self.way {
            SealWay::Transport(transport) => transport::seal(&self.id, transport, &key, content_key),
            SealWay::Agreement(scheme) => agreement::seal(&self.id, *scheme, &key, content_key),
            SealWay::Kem => kem::seal(&self.id, &key, content_key),
        }
    }

    /// Whether its RecipientInfo has version 0, RFC 5652 §6.2.1.
    pub(crate) fn is_version_0(&self) -> bool {
        matches!((&self.way, &self.id), (SealWay::Transport(_), RecipientId::IssuerAndSerial { .. }))
    }
}
