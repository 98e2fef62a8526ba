//! What is found of each signer.

use crate::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::cms::attribute::{AttributeFault, SignedAttributes};
use crate::cms::certificate::Certificate;
use crate::cms::element::Seconds;
use crate::cms::error::CmsError;
use crate::cms::public_key::{SignatureFault, Weakness};
use crate::cms::signed::signer_info::SignerId;

/// Why nothing can be said about the signers of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedFault {
    /// It has the form of a signed message, and no signer.
    #[error("nobody signed")]
    NobodySigned,
    /// It is detached, and what was signed is not at hand.
    #[error("the signed content is not there")]
    ContentIsMissing,
    /// It has a content of its own beside the one it is said to sign: two readers would show two contents.
    #[error("the signed content stands twice")]
    ContentStandsTwice,
}

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerFault {
    /// What stands about the signer cannot be read.
    #[error("the signer's part is malformed: {0}")]
    Malformed(CmsError),
    /// A digest or signature algorithm that is not served.
    #[error("the signer used an algorithm that is not supported")]
    Unsupported,
    /// Digest and signature name two hashes (RFC 8933 §3), or Ed25519 stands with another than SHA-512 (RFC 8419 §3.1).
    #[error("the digest does not go with the signature")]
    AlgorithmsDisagree,
    /// The digest was not announced before the content, and was not taken.
    #[error("the digest was not announced before the content")]
    DigestWasNotTaken,
    /// The signed attributes are malformed, missing or there twice.
    #[error("{0}")]
    Attributes(#[from] AttributeFault),
    /// The content is said to be of one type in the attributes, and of another beside the content.
    #[error("the content is not of the type that was signed")]
    ContentType,
    /// Without signed attributes, a content must be plain data (RFC 5652 §5.3).
    #[error("content that is no plain data is signed without attributes")]
    AttributesAreMissing,
    /// Without signed attributes, a content that has their form: the signature may be over attributes of another message.
    #[error("the content has the form of signed attributes")]
    ContentIsLikeAttributes,
    /// The content is not what was signed.
    #[error("the content was changed")]
    DigestMismatch,
    /// The attributes name other algorithms than were used (RFC 6211).
    #[error("other algorithms were signed than are named")]
    AlgorithmProtection,
    /// The signer's certificate is not at hand.
    #[error("the signer's certificate is not there")]
    NoCertificate,
    /// The signer's certificate is not the one that the attributes name (RFC 5035 §4).
    #[error("another certificate was signed than is there")]
    CertificateMismatch,
    /// The signature does not hold.
    #[error("{0}")]
    Signature(#[from] SignatureFault),
}

/// What is found of one signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerReport {
    /// Who he is said to be; none if that cannot be read.
    pub id: Option<SignerId>,
    /// His certificate: the one that verified the signature, or else the first that he may mean.
    pub certificate: Option<Certificate>,
    /// The digest, if it is one of ours.
    pub digest: Option<DigestAlgorithm>,
    /// The signature algorithm, if it is one of ours, with the digest filled in.
    pub signature: Option<SignatureAlgorithm>,
    /// What he says of himself, to be believed where the signature holds.
    pub attributes: Option<SignedAttributes>,
    /// Whether the signature holds; if so, what weakens it.
    pub verdict: Result<Option<Weakness>, SignerFault>,
}

impl SignerReport {
    /// Nothing is known but why it does not hold.
    pub(crate) fn of(fault: SignerFault) -> Self {
        Self { id: None, certificate: None, digest: None, signature: None, attributes: None, verdict: Err(fault) }
    }

    /// Whether the signature holds. Of the certificate nothing is said by that.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.verdict.is_ok()
    }

    /// When the signer says that he signed.
    #[must_use]
    pub fn signing_time(&self) -> Option<Seconds> {
        self.attributes.as_ref().and_then(|attributes| attributes.signing_time)
    }
}
