//! A certificate by issuer and serial number, as CMS names it (RFC 5652 §10.2.4).

use crate::cms::certificate::Certificate;
use crate::cms::element::{Fields, INTEGER, SEQUENCE, encode};
use crate::cms::error::CmsError;
use crate::cms::name::Name;

/// Issuer and serial number of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IssuerAndSerial {
    /// DER of the issuer's name.
    issuer: Vec<u8>,
    serial: Vec<u8>,
}

impl IssuerAndSerial {
    /// That of a certificate.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        Self { issuer: certificate.issuer().as_der().to_vec(), serial: certificate.serial().to_vec() }
    }

    /// Reads the content of the sequence, whatever tag it stood under.
    ///
    /// # Errors
    /// It is malformed.
    pub fn read(content: &[u8]) -> Result<Self, CmsError> {
        let mut fields = Fields::of(content);
        let issuer = fields.take(SEQUENCE)?.whole().to_vec();
        let serial = fields.take(INTEGER)?.content().to_vec();
        fields.end()?;
        Ok(Self { issuer, serial })
    }

    /// The content of the sequence.
    #[must_use]
    pub fn to_content(&self) -> Vec<u8> {
        [self.issuer.clone(), encode(INTEGER, &[&self.serial])].concat()
    }

    /// Who issued it.
    #[must_use]
    pub fn issuer(&self) -> Name<'_> {
        Name::new(&self.issuer)
    }

    /// The content octets of the serial number.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Whether it is this certificate's.
    #[must_use]
    pub fn names(&self, certificate: &Certificate) -> bool {
        self.serial == certificate.serial() && self.issuer().matches(certificate.issuer())
    }
}
