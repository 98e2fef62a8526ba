//! AES key wrap, RFC 3394 and 3565 §2.3.2.

use der::asn1::ObjectIdentifier;
use x509_cert::spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};

use crate::cms::algorithm::content_encryption::AesKeyLength;
use crate::cms::algorithm::oid::{bare, no_parameters};
use crate::cms::error::CmsError;

const AES_128_WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.5");
const AES_192_WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.25");
const AES_256_WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.45");

/// AES key wrap with a key of this length. The wrap of 3DES (RFC 3217) is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyWrap(pub AesKeyLength);

impl KeyWrap {
    /// The algorithm that an identifier names. Parameters are absent; some senders write NULL.
    ///
    /// # Errors
    /// It is none of ours, or has parameters.
    pub fn parse(identifier: AlgorithmIdentifierRef<'_>) -> Result<Self, CmsError> {
        let oid = identifier.oid;
        let wrap = AesKeyLength::ALL.into_iter().map(Self).find(|wrap| wrap.oid() == oid);
        let wrap = wrap.ok_or(CmsError::UnknownAlgorithm { kind: "the key wrap", oid })?;
        no_parameters(identifier, "AES key wrap")?;
        Ok(wrap)
    }

    /// Its identifier.
    #[must_use]
    pub fn identifier(self) -> AlgorithmIdentifierOwned {
        bare(self.oid())
    }

    /// Its object identifier.
    #[must_use]
    pub fn oid(self) -> ObjectIdentifier {
        match self.0 {
            AesKeyLength::Bits128 => AES_128_WRAP,
            AesKeyLength::Bits192 => AES_192_WRAP,
            AesKeyLength::Bits256 => AES_256_WRAP,
        }
    }

    /// Octets of the key that wraps.
    #[must_use]
    pub fn key_octets(self) -> usize {
        self.0.octets()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::algorithm::oid::{borrowed, with_null};

    #[test]
    fn wraps_go_there_and_back() {
        for wrap in AesKeyLength::ALL.map(KeyWrap) {
            assert_eq!(KeyWrap::parse(borrowed(&wrap.identifier())), Ok(wrap));
            assert_eq!(KeyWrap::parse(borrowed(&with_null(wrap.oid()))), Ok(wrap));
        }
    }
}
