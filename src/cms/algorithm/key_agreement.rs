//! Key agreement: ECDH with the X9.63 derivation (RFC 5753 §7.1) or with HKDF (RFC 8418 §2.2).

use der::asn1::ObjectIdentifier;
use x509_cert::spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};

use crate::cms::algorithm::digest::DigestAlgorithm;
use crate::cms::algorithm::key_wrap::KeyWrap;
use crate::cms::algorithm::oid::{parameters, with};
use crate::cms::error::CmsError;

/// How a key is derived from the secret agreed upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgreementKdf {
    /// The X9.63 derivation.
    X963(DigestAlgorithm),
    /// HKDF.
    Hkdf(DigestAlgorithm),
}

/// A scheme: derivation and key wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyAgreement {
    /// How the key that wraps is derived.
    pub kdf: AgreementKdf,
    /// How the content key is wrapped.
    pub wrap: KeyWrap,
}

/// The schemes, by object identifier: the one that we write comes first. Those with cofactor multiply by one on the
/// curves we know, and so agree on the same.
const SCHEMES: [(ObjectIdentifier, AgreementKdf); 13] = [
    (ObjectIdentifier::new_unwrap("1.3.133.16.840.63.0.2"), AgreementKdf::X963(DigestAlgorithm::Sha1)),
    (ObjectIdentifier::new_unwrap("1.3.132.1.11.0"), AgreementKdf::X963(DigestAlgorithm::Sha224)),
    (ObjectIdentifier::new_unwrap("1.3.132.1.11.1"), AgreementKdf::X963(DigestAlgorithm::Sha256)),
    (ObjectIdentifier::new_unwrap("1.3.132.1.11.2"), AgreementKdf::X963(DigestAlgorithm::Sha384)),
    (ObjectIdentifier::new_unwrap("1.3.132.1.11.3"), AgreementKdf::X963(DigestAlgorithm::Sha512)),
    (ObjectIdentifier::new_unwrap("1.3.133.16.840.63.0.3"), AgreementKdf::X963(DigestAlgorithm::Sha1)),
    (ObjectIdentifier::new_unwrap("1.3.132.1.14.0"), AgreementKdf::X963(DigestAlgorithm::Sha224)),
    (ObjectIdentifier::new_unwrap("1.3.132.1.14.1"), AgreementKdf::X963(DigestAlgorithm::Sha256)),
    (ObjectIdentifier::new_unwrap("1.3.132.1.14.2"), AgreementKdf::X963(DigestAlgorithm::Sha384)),
    (ObjectIdentifier::new_unwrap("1.3.132.1.14.3"), AgreementKdf::X963(DigestAlgorithm::Sha512)),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.19"), AgreementKdf::Hkdf(DigestAlgorithm::Sha256)),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.20"), AgreementKdf::Hkdf(DigestAlgorithm::Sha384)),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.21"), AgreementKdf::Hkdf(DigestAlgorithm::Sha512)),
];

impl KeyAgreement {
    /// The scheme that an identifier names.
    ///
    /// # Errors
    /// It is none of ours, or its key wrap is not.
    pub fn parse(identifier: AlgorithmIdentifierRef<'_>) -> Result<Self, CmsError> {
        let oid = identifier.oid;
        let kdf = SCHEMES.into_iter().find(|(known, _)| *known == oid).map(|(_, kdf)| kdf);
        let kdf = kdf.ok_or(CmsError::UnknownAlgorithm { kind: "the key agreement", oid })?;
        let wrap = parameters(identifier, "the key agreement")?
            .decode_as()
            .map_err(|_| CmsError::BadParameters("the key agreement"))?;
        Ok(Self { kdf, wrap: KeyWrap::parse(wrap)? })
    }

    /// Its identifier.
    ///
    /// # Errors
    /// There is no such scheme: HKDF has none with SHA-1 or SHA-224.
    pub fn identifier(&self) -> Result<AlgorithmIdentifierOwned, CmsError> {
        let oid = SCHEMES.into_iter().find(|(_, kdf)| *kdf == self.kdf).map(|(oid, _)| oid);
        with(oid.ok_or(CmsError::BadParameters("the key agreement"))?, &self.wrap.identifier())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::algorithm::content_encryption::AesKeyLength;
    use crate::cms::algorithm::oid::{bare, borrowed};

    #[test]
    fn schemes_go_there_and_back() {
        for wrap in AesKeyLength::ALL.map(KeyWrap) {
            for (oid, kdf) in SCHEMES {
                let scheme = KeyAgreement { kdf, wrap };
                let read = with(oid, &wrap.identifier()).unwrap();
                assert_eq!(KeyAgreement::parse(borrowed(&read)), Ok(scheme));
                assert_eq!(KeyAgreement::parse(borrowed(&scheme.identifier().unwrap())), Ok(scheme));
            }
        }
    }

    #[test]
    fn a_scheme_without_key_wrap_or_with_that_of_triple_des_is_refused() {
        let (oid, _) = SCHEMES[2];
        assert!(matches!(KeyAgreement::parse(borrowed(&bare(oid))), Err(CmsError::BadParameters(_))));
        let triple_des = bare(ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.6"));
        let identifier = with(oid, &triple_des).unwrap();
        assert!(matches!(KeyAgreement::parse(borrowed(&identifier)), Err(CmsError::UnknownAlgorithm { .. })));
    }
}
