//! Which algorithms a signer used, within what is signed (RFC 6211): nobody can name others beside it.

use der::{Decode, Encode};
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::cms::element::{Element, SEQUENCE, constructed, encode};
use crate::cms::error::CmsError;

/// Digest and signature as the signer means them, in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlgorithmProtection {
    digest: Vec<u8>,
    signature: Vec<u8>,
}

impl AlgorithmProtection {
    /// Those of a signature that is to be made.
    ///
    /// # Errors
    /// None that algorithms of ours can have.
    pub fn of(digest: DigestAlgorithm, signature: SignatureAlgorithm) -> Result<Self, CmsError> {
        Ok(Self { digest: digest.identifier().to_der()?, signature: signature.identifier()?.to_der()? })
    }

    /// Reads `CMSAlgorithmProtection` of a signature.
    pub(crate) fn read(value: Element<'_>) -> Result<Self, CmsError> {
        if value.tag != SEQUENCE {
            return Err(CmsError::Unexpected("an algorithm protection that is no sequence"));
        }
        let mut fields = value.fields();
        let digest = fields.take(SEQUENCE)?.whole().to_vec();
        let signature = encode(SEQUENCE, &[fields.take(constructed(1))?.content()]);
        fields.end()?;
        Ok(Self { digest, signature })
    }

    /// Whether these identifiers, in DER, are the same. Absent parameters and NULL are (RFC 6211 §2).
    #[must_use]
    pub fn allows(&self, digest: &[u8], signature: &[u8]) -> bool {
        is_same(&self.digest, digest, DigestAlgorithm::parse)
            && is_same(&self.signature, signature, SignatureAlgorithm::parse)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None that a value made by [`Self::of`] can have.
    pub fn to_der(&self) -> Result<Vec<u8>, CmsError> {
        let signature = Element::only(&self.signature, SEQUENCE)?;
        Ok(encode(SEQUENCE, &[&self.digest, &encode(constructed(1), &[signature.content()])]))
    }
}

fn is_same<T: PartialEq>(
    one: &[u8],
    other: &[u8],
    parse: impl Fn(AlgorithmIdentifierRef<'_>) -> Result<T, CmsError>,
) -> bool {
    let parsed = |octets: &[u8]| AlgorithmIdentifierRef::from_der(octets).ok().and_then(|read| parse(read).ok());
    one == other || parsed(one).is_some_and(|one| parsed(other).is_some_and(|other| one == other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::element::Fields;

    #[test]
    fn protection_goes_there_and_back_and_holds() {
        let pss = SignatureAlgorithm::pss(DigestAlgorithm::Sha256);
        let protection = AlgorithmProtection::of(DigestAlgorithm::Sha256, pss).unwrap();
        let der = protection.to_der().unwrap();
        assert_eq!(AlgorithmProtection::read(Fields::of(&der).any().unwrap()), Ok(protection.clone()));
        let signature = pss.identifier().unwrap().to_der().unwrap();
        let with_null = DigestAlgorithm::Sha256.identifier_with_null().to_der().unwrap();
        assert!(protection.allows(&with_null, &signature));
        let sha_512 = DigestAlgorithm::Sha512.identifier().to_der().unwrap();
        assert!(!protection.allows(&sha_512, &signature));
        let ecdsa = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256).identifier().unwrap().to_der().unwrap();
        assert!(!protection.allows(&with_null, &ecdsa));
    }
}
