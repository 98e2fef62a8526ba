//! A private key as it comes from a file: PKCS #8 (RFC 5958), PKCS #1 (RFC 8017 Appendix A.1.2) or SEC 1 (RFC 5915).

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, X25519};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use der::oid::ObjectIdentifier;
use zeroize::Zeroizing;

use crate::cms::certificate::Certificate;
use crate::cms::element::{Element, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, constructed, encode};
use crate::cms::error::{CmsError, ImportFault};
use crate::cms::oid;
use crate::cms::public_key::PublicKey;

/// Octets of a key: RSA of 16,384 bits.
pub const KEY_OCTETS: usize = 16 * 1024;

/// A private key, in PKCS #8. It does not print.
pub struct ImportedKey {
    pkcs8: Zeroizing<Vec<u8>>,
    /// As a certificate has it: `RSAPublicKey`, an uncompressed point, or raw octets.
    public: Vec<u8>,
}

impl ImportedKey {
    /// Reads PKCS #8.
    ///
    /// # Errors
    /// It is none, longer than [`KEY_OCTETS`], damaged, or of a kind that is not served.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, ImportFault> {
        if der.len() > KEY_OCTETS {
            return Err(ImportFault::TooMany { what: "octets in a key", limit: KEY_OCTETS });
        }
        let mut fields = Element::only(der, SEQUENCE)?.fields();
        fields.take(INTEGER)?;
        let mut algorithm = fields.take(SEQUENCE)?.fields();
        let identifier = algorithm.take(OID)?.content();
        let curve = algorithm.take_if(OID)?.map(|curve| curve.content());
        let public = public_of(der, identifier, curve).ok_or(ImportFault::KeyKind)?;
        Ok(Self { pkcs8: Zeroizing::new(der.to_vec()), public })
    }

    /// Reads PKCS #1: RSA alone.
    ///
    /// # Errors
    /// As [`ImportedKey::from_pkcs8`].
    pub fn from_pkcs1(der: &[u8]) -> Result<Self, ImportFault> {
        wrapped(&[&encode(OID, &[oid::RSA_ENCRYPTION.as_bytes()]), &encode(NULL, &[])], der)
    }

    /// Reads SEC 1: elliptic curves. The curve must be named in it, or known.
    ///
    /// # Errors
    /// As [`ImportedKey::from_pkcs8`].
    pub fn from_sec1(der: &[u8]) -> Result<Self, ImportFault> {
        let mut fields = Element::only(der, SEQUENCE)?.fields();
        fields.take(INTEGER)?;
        fields.take(OCTET_STRING)?;
        let curve = fields.take_if(constructed(0))?.ok_or(CmsError::Unexpected("a key on no curve"))?;
        let curve = curve.inner(OID)?.whole();
        wrapped(&[&encode(OID, &[oid::EC_PUBLIC_KEY.as_bytes()]), curve], der)
    }

    /// PKCS #8 in DER.
    #[must_use]
    pub fn as_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Whether the certificate was made for this key.
    #[must_use]
    pub fn belongs_to(&self, certificate: &Certificate) -> bool {
        certificate.public_key().is_ok_and(|key| self.is_private_half_of(&key))
    }

    /// Whether this is the other half.
    #[must_use]
    pub fn is_private_half_of(&self, key: &PublicKey<'_>) -> bool {
        match (key.octets(), self.public.as_slice()) {
            // A compressed point: its sign, and one coordinate (SEC 1 §2.3.3).
            ([sign @ (2 | 3), x @ ..], [4, point @ ..]) => {
                point.len() == x.len().saturating_mul(2)
                    && point.starts_with(x)
                    && point.last().is_some_and(|last| last & 1 == sign & 1)
            }
            (theirs, ours) => theirs == ours,
        }
    }
}

fn wrapped(algorithm: &[&[u8]], key: &[u8]) -> Result<ImportedKey, ImportFault> {
    if key.len() > KEY_OCTETS {
        return Err(ImportFault::TooMany { what: "octets in a key", limit: KEY_OCTETS });
    }
    let octets = Zeroizing::new(encode(OCTET_STRING, &[key]));
    let pkcs8 = encode(SEQUENCE, &[&encode(INTEGER, &[&[0]]), &encode(SEQUENCE, algorithm), &octets]);
    ImportedKey::from_pkcs8(&Zeroizing::new(pkcs8))
}

/// The public half, which the library makes anew: a key that is damaged has none.
fn public_of(pkcs8: &[u8], identifier: &[u8], curve: Option<&[u8]>) -> Option<Vec<u8>> {
    let agrees = |algorithm| {
        let key = agreement::PrivateKey::from_private_key_der(algorithm, pkcs8).ok()?;
        key.compute_public_key().ok().map(|public| public.as_ref().to_vec())
    };
    match ObjectIdentifier::from_bytes(identifier).ok()? {
        oid::RSA_ENCRYPTION => {
            let key = rsa::KeyPair::from_pkcs8(pkcs8).ok()?;
            Some(key.public_key().as_ref().to_vec())
        }
        oid::EC_PUBLIC_KEY => match ObjectIdentifier::from_bytes(curve?).ok()? {
            oid::P256 => agrees(&ECDH_P256),
            oid::P384 => agrees(&ECDH_P384),
            oid::P521 => agrees(&ECDH_P521),
            _ => None,
        },
        oid::ED25519 => {
            let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok()?;
            Some(key.public_key().as_ref().to_vec())
        }
        oid::X25519 => agrees(&X25519),
        _ => None,
    }
}
