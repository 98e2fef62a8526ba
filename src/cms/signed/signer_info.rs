//! What stands in a message about one signer, RFC 5652 §5.3.

use crate::cms::attribute::{AttributeFault, Attributes, IssuerAndSerial};
use crate::cms::certificate::Certificate;
use crate::cms::element::{Element, INTEGER, OCTET_STRING, SEQUENCE, constructed, context, encode};
use crate::cms::error::CmsError;

/// Octets of a signature: RSA with 16,384 bits has 2,048.
const SIGNATURE_OCTETS: usize = 8_192;

/// Which certificate is the signer's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SignerId {
    /// That of this issuer and serial number.
    Issued(IssuerAndSerial),
    /// Whose key has this identifier.
    KeyId(Vec<u8>),
}

impl SignerId {
    /// Whether it is this certificate.
    #[must_use]
    pub fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Issued(issued) => issued.names(certificate),
            Self::KeyId(id) => certificate.subject_key_id().is_ok_and(|own| own == Some(id)),
        }
    }

    fn read(element: Element<'_>) -> Result<Self, CmsError> {
        const KEY_ID: u8 = context(0);
        match element.tag {
            SEQUENCE => IssuerAndSerial::read(element.content()).map(Self::Issued),
            KEY_ID => Ok(Self::KeyId(element.content().to_vec())),
            _ => Err(CmsError::Unexpected("a signer without a name")),
        }
    }

    /// Writes it.
    pub(crate) fn to_der(&self) -> Vec<u8> {
        match self {
            Self::Issued(issued) => encode(SEQUENCE, &[&issued.to_content()]),
            Self::KeyId(id) => encode(context(0), &[id]),
        }
    }
}

/// One signer's part of the message. Algorithms are kept in DER: they may be none of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignerInfo {
    pub id: SignerId,
    pub digest_algorithm: Vec<u8>,
    pub attributes: Option<Result<Attributes, AttributeFault>>,
    pub signature_algorithm: Vec<u8>,
    pub signature: Vec<u8>,
}

impl SignerInfo {
    /// Reads it from DER. Unsigned attributes are passed over: nobody vouches for them.
    pub fn read(der: &[u8]) -> Result<Self, CmsError> {
        let mut fields = Element::only(der, SEQUENCE)?.fields();
        fields.take(INTEGER)?;
        let id = SignerId::read(fields.any()?)?;
        let digest_algorithm = fields.take(SEQUENCE)?.whole().to_vec();
        let attributes = fields.take_if(constructed(0))?.map(|set| Attributes::read(set.content()));
        let signature_algorithm = fields.take(SEQUENCE)?.whole().to_vec();
        let signature = fields.take(OCTET_STRING)?.content().to_vec();
        fields.take_if(constructed(1))?;
        fields.end()?;
        if signature.len() > SIGNATURE_OCTETS {
            return Err(CmsError::TooMany { what: "octets in a signature", limit: SIGNATURE_OCTETS });
        }
        Ok(Self { id, digest_algorithm, attributes, signature_algorithm, signature })
    }
}
