//! Message digests, RFC 5754 §2 and RFC 3370 §2.1.

use aws_lc_rs::digest;
use der::asn1::ObjectIdentifier;
use x509_cert::spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};

use crate::cms::algorithm::oid::{bare, no_parameters, with_null};
use crate::cms::error::CmsError;

const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA_224: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.4");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// A message digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// SHA-1: read in key derivation and OAEP, where it is not broken; weak in signatures.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl DigestAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The algorithm that an identifier names. Parameters are absent or NULL (RFC 5754 §2).
    ///
    /// # Errors
    /// It is none of ours, or has parameters.
    pub fn parse(identifier: AlgorithmIdentifierRef<'_>) -> Result<Self, CmsError> {
        let oid = identifier.oid;
        let digest = Self::ALL.into_iter().find(|digest| digest.oid() == oid);
        let digest = digest.ok_or(CmsError::UnknownAlgorithm { kind: "the digest", oid })?;
        no_parameters(identifier, "the digest")?;
        Ok(digest)
    }

    /// Its identifier, without parameters (RFC 5754 §2).
    #[must_use]
    pub fn identifier(self) -> AlgorithmIdentifierOwned {
        bare(self.oid())
    }

    /// Its identifier with NULL, as parameters of OAEP and PSS have it (RFC 4055 §2.1).
    pub(crate) fn identifier_with_null(self) -> AlgorithmIdentifierOwned {
        with_null(self.oid())
    }

    /// Its object identifier.
    #[must_use]
    pub fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => SHA_1,
            Self::Sha224 => SHA_224,
            Self::Sha256 => SHA_256,
            Self::Sha384 => SHA_384,
            Self::Sha512 => SHA_512,
        }
    }

    /// Octets of a digest.
    #[must_use]
    pub fn octets(self) -> usize {
        self.hash().output_len()
    }

    /// Its name as `micalg` has it, RFC 8551 §3.5.3.2.
    #[must_use]
    pub fn micalg(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha224 => "sha-224",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The library's.
    #[must_use]
    pub fn hash(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::algorithm::oid::borrowed;

    #[test]
    fn digests_go_there_and_back() {
        for digest in DigestAlgorithm::ALL {
            for identifier in [digest.identifier(), digest.identifier_with_null()] {
                assert_eq!(DigestAlgorithm::parse(borrowed(&identifier)), Ok(digest));
            }
        }
        let md5 = bare(ObjectIdentifier::new_unwrap("1.2.840.113549.2.5"));
        assert!(matches!(DigestAlgorithm::parse(borrowed(&md5)), Err(CmsError::UnknownAlgorithm { .. })));
    }
}
