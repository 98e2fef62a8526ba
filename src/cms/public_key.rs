//! Public keys (RFC 3279, 4055, 5480, 8410, 9935) and the signatures they verify.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA1_ASN1, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1,
    ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA1_ASN1,
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPssSaltLength, VerificationAlgorithm,
};
use der::Decode;
use der::oid::ObjectIdentifier;
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::cms::element::{BIT_STRING, Element, Fields, INTEGER, OID, SEQUENCE};
use crate::cms::error::CmsError;
use crate::cms::oid;

/// Bits of an RSA key below which it proves nothing (RFC 8551 §4.5), but for those who allow the weak.
const RSA_BITS: usize = 2048;

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA for any purpose, or bound to RSASSA-PSS, of so many bits.
    Rsa(usize),
    /// The curve secp256r1.
    P256,
    /// The curve secp384r1.
    P384,
    /// The curve secp521r1.
    P521,
    /// Signs (RFC 8032).
    Ed25519,
    /// Agrees on keys (RFC 7748).
    X25519,
    /// Encapsulates keys: 512, 768 or 1024 (FIPS 203, RFC 9935).
    MlKem(u16),
    /// Anything else, DSA among them.
    Other,
}

/// A public key as a certificate has it. Its octets are not checked before they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey<'a> {
    kind: KeyKind,
    key: &'a [u8],
    info: &'a [u8],
}

/// What is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// SHA-1 and RSA below 2,048 bits prove nothing.
    #[default]
    Strict,
    /// They are checked, and marked.
    AllowWeak,
}

/// A signature holds, but by means on which nobody should rely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Others can be found with the same digest.
    Sha1,
    /// RSA below 2,048 bits.
    ShortKey,
}

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// Key or algorithm of a kind that is not served.
    #[error("a signature of a kind that is not supported")]
    Unsupported,
    /// The algorithm is not one of the key's.
    #[error("the signature's algorithm does not go with the key")]
    Mismatch,
    /// SHA-1 or a short key, and nobody allowed it.
    #[error("the signature is made by weak means: SHA-1, or RSA below 2048 bits")]
    Weak,
    /// It was not made by this key over these octets.
    #[error("the signature is wrong")]
    Wrong,
}

impl<'a> PublicKey<'a> {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    /// It is none.
    pub fn read(info: &'a [u8]) -> Result<Self, CmsError> {
        let mut fields = Element::only(info, SEQUENCE)?.fields();
        let mut algorithm = fields.take(SEQUENCE)?.fields();
        let key = fields.take(BIT_STRING)?.octets_of_bits()?;
        fields.end()?;
        let Ok(identifier) = ObjectIdentifier::from_bytes(algorithm.take(OID)?.content()) else {
            return Ok(Self { kind: KeyKind::Other, key, info });
        };
        let kind = match identifier {
            oid::RSA_ENCRYPTION | oid::RSASSA_PSS => KeyKind::Rsa(modulus_bits(key)?),
            oid::EC_PUBLIC_KEY => curve(&mut algorithm),
            oid::ED25519 => KeyKind::Ed25519,
            oid::X25519 => KeyKind::X25519,
            oid::ML_KEM_512 => KeyKind::MlKem(512),
            oid::ML_KEM_768 => KeyKind::MlKem(768),
            oid::ML_KEM_1024 => KeyKind::MlKem(1024),
            _ => KeyKind::Other,
        };
        Ok(Self { kind, key, info })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key alone: `RSAPublicKey` in DER, an uncompressed or compressed point, or raw octets.
    #[must_use]
    pub fn octets(&self) -> &'a [u8] {
        self.key
    }

    /// The whole `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn info(&self) -> &'a [u8] {
        self.info
    }

    /// Whether this key made the signature over the message.
    ///
    /// # Errors
    /// [`SignatureFault`].
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
        strictness: Strictness,
    ) -> Result<Option<Weakness>, SignatureFault> {
        let weakness = self.weakness(algorithm);
        if weakness.is_some() && strictness == Strictness::Strict {
            return Err(SignatureFault::Weak);
        }
        let means = self.means(algorithm)?;
        means.verify_sig(self.key, message, signature).map(|()| weakness).map_err(|_| SignatureFault::Wrong)
    }

    /// As [`Self::verify`], over a message that has been hashed. Ed25519 hashes by itself, and is not supported here.
    ///
    /// # Errors
    /// [`SignatureFault`].
    pub fn verify_digest(
        &self,
        algorithm: SignatureAlgorithm,
        digest: &Digest,
        signature: &[u8],
        strictness: Strictness,
    ) -> Result<Option<Weakness>, SignatureFault> {
        let weakness = self.weakness(algorithm);
        if weakness.is_some() && strictness == Strictness::Strict {
            return Err(SignatureFault::Weak);
        }
        if algorithm == SignatureAlgorithm::Ed25519 {
            return Err(SignatureFault::Unsupported);
        }
        let means = self.means(algorithm)?;
        means.verify_digest(self.key, digest, signature).map(|()| weakness).map_err(|_| SignatureFault::Wrong)
    }

    fn weakness(&self, algorithm: SignatureAlgorithm) -> Option<Weakness> {
        let hash = match algorithm {
            SignatureAlgorithm::RsaPkcs1(hash) => hash,
            SignatureAlgorithm::RsaPss { hash, .. } | SignatureAlgorithm::Ecdsa(hash) => Some(hash),
            SignatureAlgorithm::Ed25519 => None,
        };
        match (self.kind, hash) {
            (KeyKind::Rsa(bits), _) if bits < RSA_BITS => Some(Weakness::ShortKey),
            (_, Some(DigestAlgorithm::Sha1)) => Some(Weakness::Sha1),
            _ => None,
        }
    }

    fn means(&self, algorithm: SignatureAlgorithm) -> Result<Means, SignatureFault> {
        match (self.kind, algorithm) {
            (KeyKind::Rsa(bits), SignatureAlgorithm::RsaPkcs1(Some(hash))) => rsa_pkcs1(bits, hash).map(Means::Rsa),
            // A mask hash that differs from the hash occurs in nothing we know, and the library has none.
            (KeyKind::Rsa(bits), SignatureAlgorithm::RsaPss { hash, mask, salt_octets })
                if bits >= RSA_BITS && hash == mask =>
            {
                let parameters = match hash {
                    DigestAlgorithm::Sha256 => RSA_PSS_2048_8192_SHA256,
                    DigestAlgorithm::Sha384 => RSA_PSS_2048_8192_SHA384,
                    DigestAlgorithm::Sha512 => RSA_PSS_2048_8192_SHA512,
                    DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224 => return Err(SignatureFault::Unsupported),
                };
                Ok(Means::Rsa(parameters.with_pss_salt_length(RsaPssSaltLength::Custom(salt_octets))))
            }
            (KeyKind::Rsa(_), SignatureAlgorithm::RsaPss { .. }) | (KeyKind::Other, _) => {
                Err(SignatureFault::Unsupported)
            }
            (curve @ (KeyKind::P256 | KeyKind::P384 | KeyKind::P521), SignatureAlgorithm::Ecdsa(hash)) => {
                ecdsa(curve, hash).map(Means::Fixed)
            }
            (KeyKind::Ed25519, SignatureAlgorithm::Ed25519) => Ok(Means::Fixed(&ED25519)),
            _ => Err(SignatureFault::Mismatch),
        }
    }
}

/// Reads the `AlgorithmIdentifier` of a signature.
///
/// # Errors
/// [`SignatureFault::Unsupported`]: it is malformed, or of a kind that is not served.
pub fn signature_algorithm(identifier: &[u8]) -> Result<SignatureAlgorithm, SignatureFault> {
    let identifier = AlgorithmIdentifierRef::from_der(identifier).map_err(|_| SignatureFault::Unsupported)?;
    SignatureAlgorithm::parse(identifier).map_err(|_| SignatureFault::Unsupported)
}

/// What the library verifies by: for RSA made for each salt, else one of its own.
enum Means {
    Rsa(RsaParameters),
    Fixed(&'static dyn VerificationAlgorithm),
}

impl Means {
    fn verify_sig(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Unspecified> {
        match self {
            Self::Rsa(parameters) => parameters.verify_sig(key, message, signature),
            Self::Fixed(means) => means.verify_sig(key, message, signature),
        }
    }

    fn verify_digest(&self, key: &[u8], digest: &Digest, signature: &[u8]) -> Result<(), Unspecified> {
        match self {
            Self::Rsa(parameters) => parameters.verify_digest_sig(key, digest, signature),
            Self::Fixed(means) => means.verify_digest_sig(key, digest, signature),
        }
    }
}

fn rsa_pkcs1(bits: usize, hash: DigestAlgorithm) -> Result<RsaParameters, SignatureFault> {
    match (hash, bits >= RSA_BITS) {
        (DigestAlgorithm::Sha1, _) => Ok(RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
        (DigestAlgorithm::Sha256, true) => Ok(RSA_PKCS1_2048_8192_SHA256),
        (DigestAlgorithm::Sha384, true) => Ok(RSA_PKCS1_2048_8192_SHA384),
        (DigestAlgorithm::Sha512, true) => Ok(RSA_PKCS1_2048_8192_SHA512),
        (DigestAlgorithm::Sha256, false) => Ok(RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        (DigestAlgorithm::Sha512, false) => Ok(RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
        (DigestAlgorithm::Sha384, false) | (DigestAlgorithm::Sha224, _) => Err(SignatureFault::Unsupported),
    }
}

fn ecdsa(curve: KeyKind, hash: DigestAlgorithm) -> Result<&'static dyn VerificationAlgorithm, SignatureFault> {
    Ok(match (curve, hash) {
        (KeyKind::P256, DigestAlgorithm::Sha1) => &ECDSA_P256_SHA1_ASN1,
        (KeyKind::P256, DigestAlgorithm::Sha256) => &ECDSA_P256_SHA256_ASN1,
        (KeyKind::P256, DigestAlgorithm::Sha384) => &ECDSA_P256_SHA384_ASN1,
        (KeyKind::P256, DigestAlgorithm::Sha512) => &ECDSA_P256_SHA512_ASN1,
        (KeyKind::P384, DigestAlgorithm::Sha256) => &ECDSA_P384_SHA256_ASN1,
        (KeyKind::P384, DigestAlgorithm::Sha384) => &ECDSA_P384_SHA384_ASN1,
        (KeyKind::P384, DigestAlgorithm::Sha512) => &ECDSA_P384_SHA512_ASN1,
        (KeyKind::P521, DigestAlgorithm::Sha1) => &ECDSA_P521_SHA1_ASN1,
        (KeyKind::P521, DigestAlgorithm::Sha256) => &ECDSA_P521_SHA256_ASN1,
        (KeyKind::P521, DigestAlgorithm::Sha384) => &ECDSA_P521_SHA384_ASN1,
        (KeyKind::P521, DigestAlgorithm::Sha512) => &ECDSA_P521_SHA512_ASN1,
        _ => return Err(SignatureFault::Unsupported),
    })
}

/// The named curve in the parameters (RFC 5480 §2.1.1); explicit ones are refused, as they let others choose the curve.
fn curve(parameters: &mut Fields<'_>) -> KeyKind {
    let named = parameters.take(OID).ok().and_then(|id| ObjectIdentifier::from_bytes(id.content()).ok());
    match named {
        Some(oid::P256) => KeyKind::P256,
        Some(oid::P384) => KeyKind::P384,
        Some(oid::P521) => KeyKind::P521,
        _ => KeyKind::Other,
    }
}

fn modulus_bits(key: &[u8]) -> Result<usize, CmsError> {
    let mut octets = Element::only(key, SEQUENCE)?.fields().take(INTEGER)?.content();
    while let [0, rest @ ..] = octets {
        octets = rest;
    }
    let leading = octets.first().map_or(0, |octet| octet.leading_zeros());
    Ok((octets.len() * 8).saturating_sub(usize::try_from(leading).unwrap_or(0)))
}
