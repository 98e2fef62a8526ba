//! Which certificate a content key was encrypted for (RFC 5652 §6.2.1, §6.2.2).

use crate::cms::certificate::Certificate;
use crate::cms::element::{Element, INTEGER, OCTET_STRING, SEQUENCE, constructed, context, encode};
use crate::cms::error::CmsError;
use crate::cms::name::Name;

/// Names a certificate, or its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RecipientId {
    /// By who issued it.
    IssuerAndSerial {
        /// The issuer's name in DER.
        issuer: Vec<u8>,
        /// The serial number's content octets.
        serial: Vec<u8>,
    },
    /// By the key's identifier, as the certificate has it.
    KeyId(Vec<u8>),
}

impl RecipientId {
    /// The certificate's issuer and serial number.
    #[must_use]
    pub fn by_issuer(certificate: &Certificate) -> Self {
        Self::IssuerAndSerial { issuer: certificate.issuer().as_der().to_vec(), serial: certificate.serial().to_vec() }
    }

    /// The identifier of the certificate's key, if it has one.
    #[must_use]
    pub fn by_key(certificate: &Certificate) -> Option<Self> {
        certificate.subject_key_id().ok().flatten().map(|id| Self::KeyId(id.to_vec()))
    }

    /// Whether it names this certificate.
    #[must_use]
    pub fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerAndSerial { issuer, serial } => {
                serial == certificate.serial() && Name::new(issuer).matches(certificate.issuer())
            }
            Self::KeyId(id) => certificate.subject_key_id().is_ok_and(|theirs| theirs == Some(id)),
        }
    }

    /// RecipientIdentifier.
    pub(crate) fn read(element: &Element<'_>) -> Result<Self, CmsError> {
        if element.tag == context(0) { Ok(Self::KeyId(element.content().to_vec())) } else { Self::issuer(element) }
    }

    /// IssuerAndSerialNumber.
    pub(crate) fn issuer(element: &Element<'_>) -> Result<Self, CmsError> {
        let mut fields = Element::only(element.whole(), SEQUENCE)?.fields();
        let issuer = fields.take(SEQUENCE)?.whole().to_vec();
        let serial = fields.take(INTEGER)?.content().to_vec();
        fields.end()?;
        Ok(Self::IssuerAndSerial { issuer, serial })
    }

    /// RecipientIdentifier, as it is written.
    pub(crate) fn write(&self) -> Vec<u8> {
        match self {
            Self::IssuerAndSerial { issuer, serial } => encode(SEQUENCE, &[issuer, &encode(INTEGER, &[serial])]),
            Self::KeyId(id) => encode(context(0), &[id]),
        }
    }

    /// KeyAgreeRecipientIdentifier, as it is written.
    pub(crate) fn write_for_agreement(&self) -> Vec<u8> {
        match self {
            Self::IssuerAndSerial { .. } => self.write(),
            Self::KeyId(id) => encode(constructed(0), &[&encode(OCTET_STRING, &[id])]),
        }
    }
}
