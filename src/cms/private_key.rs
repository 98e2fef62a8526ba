//! What is asked of a private key, so that it may lie in a file, in memory or in a device.

use zeroize::Zeroizing;

use crate::cms::algorithm::{KeyTransport, SignatureAlgorithm};
use crate::cms::certificate::Certificate;
use crate::cms::public_key::{KeyKind, PublicKey};

/// Why a private key did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// A key of this kind does no such thing.
    #[error("a key of this kind does no such thing")]
    Mismatch,
    /// The algorithm is not served.
    #[error("the algorithm is not served")]
    Unsupported,
    /// It was tried and failed. Of what a peer sent, nobody may be told more.
    #[error("the private key failed")]
    Failed,
}

/// A private key. All calls may take long, and block.
pub trait PrivateKey: Send + Sync {
    /// Its public half, as `SubjectPublicKeyInfo` in DER.
    fn public_info(&self) -> &[u8];

    /// Signs a message, which is hashed as the algorithm says. ECDSA gives the signature in DER (RFC 5753 §7.2).
    ///
    /// # Errors
    /// [`KeyFault`].
    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, KeyFault>;

    /// Decrypts a content key that was encrypted to an RSA key (RFC 3370 §4.2.1, RFC 3560). Whoever calls answers
    /// [`KeyFault::Failed`] as if a key had come (RFC 3218 §2.3.2).
    ///
    /// # Errors
    /// [`KeyFault`].
    fn decrypt_key(&self, transport: &KeyTransport, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFault>;

    /// The secret agreed upon with a peer's public point: on P-256 or P-384 in the form of SEC 1 §2.3.3, on X25519 as 32
    /// octets. A point that is none, or gives a secret of zeros (RFC 8418 §2), is refused.
    ///
    /// # Errors
    /// [`KeyFault`].
    fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFault>;

    /// The secret encapsulated in a ciphertext of ML-KEM (RFC 9936 §2.1).
    ///
    /// # Errors
    /// [`KeyFault`].
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFault>;

    /// What it is.
    fn kind(&self) -> KeyKind {
        PublicKey::read(self.public_info()).map_or(KeyKind::Other, |key| key.kind())
    }

    /// Whether the certificate is for this key.
    fn belongs_to(&self, certificate: &Certificate) -> bool {
        match (PublicKey::read(self.public_info()), certificate.public_key()) {
            (Ok(ours), Ok(theirs)) => ours.kind() == theirs.kind() && ours.octets() == theirs.octets(),
            _ => false,
        }
    }
}
