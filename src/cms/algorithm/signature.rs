//! Signatures: RSA PKCS #1 version 1.5 and ECDSA (RFC 3370, 5754 §3), RSASSA-PSS (RFC 4055 §3, 4056), Ed25519 (RFC 8419).

use der::asn1::ObjectIdentifier;
use der::{Decode, Encode, Sequence};
use x509_cert::spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};

use crate::cms::algorithm::digest::DigestAlgorithm;
use crate::cms::algorithm::key_transport::{mask_hash, mask_of};
use crate::cms::algorithm::oid::{bare, borrowed, no_parameters, parameters, with, with_null};
use crate::cms::error::CmsError;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const RSA_WITH: [(ObjectIdentifier, DigestAlgorithm); 5] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"), DigestAlgorithm::Sha1),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.14"), DigestAlgorithm::Sha224),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"), DigestAlgorithm::Sha256),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"), DigestAlgorithm::Sha384),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"), DigestAlgorithm::Sha512),
];
const ECDSA_WITH: [(ObjectIdentifier, DigestAlgorithm); 5] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"), DigestAlgorithm::Sha1),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.1"), DigestAlgorithm::Sha224),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), DigestAlgorithm::Sha256),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), DigestAlgorithm::Sha384),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), DigestAlgorithm::Sha512),
];

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSA PKCS #1 version 1.5; `None` is `rsaEncryption`, where the digest stands elsewhere (RFC 3370 §3.2).
    RsaPkcs1(Option<DigestAlgorithm>),
    /// RSASSA-PSS.
    RsaPss {
        /// The hash of the message.
        hash: DigestAlgorithm,
        /// The hash of the mask.
        mask: DigestAlgorithm,
        /// Octets of the salt.
        salt_octets: u16,
    },
    /// ECDSA.
    Ecdsa(DigestAlgorithm),
    /// Ed25519.
    Ed25519,
}

/// RSASSA-PSS-params, RFC 4055 §3.1.
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", optional = "true")]
    hash: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", optional = "true")]
    mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", default = "default_salt_octets")]
    salt_octets: u16,
    #[asn1(context_specific = "3", default = "default_trailer")]
    trailer: u8,
}

fn default_salt_octets() -> u16 {
    20
}

fn default_trailer() -> u8 {
    1
}

impl SignatureAlgorithm {
    /// RSASSA-PSS with one hash throughout and a salt as long as it, as RFC 4055 §3.1 recommends and OCES3 does.
    #[must_use]
    pub fn pss(hash: DigestAlgorithm) -> Self {
        Self::RsaPss { hash, mask: hash, salt_octets: u16::try_from(hash.octets()).unwrap_or(u16::MAX) }
    }

    /// The digest that it hashes the message by: `None` for `rsaEncryption`, where it stands elsewhere. Ed25519 has SHA-512
    /// within, and goes with that alone (RFC 8419 §2.3).
    #[must_use]
    pub fn digest(self) -> Option<DigestAlgorithm> {
        match self {
            Self::RsaPkcs1(hash) => hash,
            Self::RsaPss { hash, .. } | Self::Ecdsa(hash) => Some(hash),
            Self::Ed25519 => Some(DigestAlgorithm::Sha512),
        }
    }

    /// The algorithm that an identifier names.
    ///
    /// # Errors
    /// It is none of ours, or its parameters are not what its standard says.
    pub fn parse(identifier: AlgorithmIdentifierRef<'_>) -> Result<Self, CmsError> {
        let oid = identifier.oid;
        let algorithm = match oid {
            RSA_ENCRYPTION => Self::RsaPkcs1(None),
            ED25519 => Self::Ed25519,
            RSASSA_PSS => return Self::parse_pss(identifier),
            _ => {
                let rsa =
                    RSA_WITH.into_iter().find(|(known, _)| *known == oid).map(|(_, hash)| Self::RsaPkcs1(Some(hash)));
                let ecdsa = ECDSA_WITH.into_iter().find(|(known, _)| *known == oid).map(|(_, hash)| Self::Ecdsa(hash));
                rsa.or(ecdsa).ok_or(CmsError::UnknownAlgorithm { kind: "the signature", oid })?
            }
        };
        no_parameters(identifier, "the signature")?;
        Ok(algorithm)
    }

    fn parse_pss(identifier: AlgorithmIdentifierRef<'_>) -> Result<Self, CmsError> {
        let bad = || CmsError::BadParameters("RSASSA-PSS");
        let encoded = parameters(identifier, "RSASSA-PSS")?.to_der()?;
        let found = PssParameters::from_der(&encoded).map_err(|_| bad())?;
        if found.trailer != default_trailer() {
            return Err(bad());
        }
        let hash =
            found.hash.as_ref().map_or(Ok(DigestAlgorithm::Sha1), |hash| DigestAlgorithm::parse(borrowed(hash)))?;
        let mask = found.mask.as_ref().map_or(Ok(DigestAlgorithm::Sha1), |mask| mask_hash(borrowed(mask)))?;
        Ok(Self::RsaPss { hash, mask, salt_octets: found.salt_octets })
    }

    /// Its identifier.
    ///
    /// # Errors
    /// None that a value of ours can have.
    pub fn identifier(self) -> Result<AlgorithmIdentifierOwned, CmsError> {
        let listed = |list: [(ObjectIdentifier, DigestAlgorithm); 5], hash| {
            let found = list.into_iter().find(|(_, listed)| *listed == hash).map(|(oid, _)| oid);
            found.ok_or(CmsError::BadParameters("the signature"))
        };
        match self {
            Self::RsaPkcs1(None) => Ok(with_null(RSA_ENCRYPTION)),
            Self::RsaPkcs1(Some(hash)) => Ok(with_null(listed(RSA_WITH, hash)?)),
            Self::Ecdsa(hash) => Ok(bare(listed(ECDSA_WITH, hash)?)),
            Self::Ed25519 => Ok(bare(ED25519)),
            Self::RsaPss { hash, mask, salt_octets } => {
                let is_default = |hash: DigestAlgorithm| hash == DigestAlgorithm::Sha1;
                let parameters = PssParameters {
                    hash: (!is_default(hash)).then(|| hash.identifier_with_null()),
                    mask: if is_default(mask) { None } else { Some(mask_of(mask)?) },
                    salt_octets,
                    trailer: default_trailer(),
                };
                with(RSASSA_PSS, &parameters)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_go_there_and_back() {
        let mut all = vec![SignatureAlgorithm::RsaPkcs1(None), SignatureAlgorithm::Ed25519];
        for hash in DigestAlgorithm::ALL {
            all.extend([SignatureAlgorithm::RsaPkcs1(Some(hash)), SignatureAlgorithm::Ecdsa(hash)]);
            all.push(SignatureAlgorithm::pss(hash));
            all.push(SignatureAlgorithm::RsaPss { hash, mask: DigestAlgorithm::Sha1, salt_octets: 478 });
        }
        for algorithm in all {
            let identifier = algorithm.identifier().unwrap();
            assert_eq!(SignatureAlgorithm::parse(borrowed(&identifier)), Ok(algorithm));
        }
    }

    #[test]
    fn what_is_not_written_of_pss_has_its_default() {
        let identifier = with(RSASSA_PSS, &Vec::<u8>::new()).unwrap();
        let (hash, mask) = (DigestAlgorithm::Sha1, DigestAlgorithm::Sha1);
        let expected = SignatureAlgorithm::RsaPss { hash, mask, salt_octets: 20 };
        assert_eq!(SignatureAlgorithm::parse(borrowed(&identifier)), Ok(expected));
        let trailer = AlgorithmIdentifierOwned::from_der(&[
            0x30, 0x12, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x05, 0xa3, 0x03, 0x02,
            0x01, 0x02,
        ]);
        let trailer = trailer.unwrap();
        assert_eq!(SignatureAlgorithm::parse(borrowed(&trailer)), Err(CmsError::BadParameters("RSASSA-PSS")));
    }
}
