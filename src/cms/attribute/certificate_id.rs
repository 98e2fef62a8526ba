//! The certificate that a signer binds his signature to (RFC 5035 §3 and 4), so that nobody puts another with the same
//! key in its place.

use aws_lc_rs::digest::digest;
use der::{Decode, Encode};
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::cms::algorithm::DigestAlgorithm;
use crate::cms::attribute::signer_id::IssuerAndSerial;
use crate::cms::certificate::Certificate;
use crate::cms::element::{Element, INTEGER, OCTET_STRING, SEQUENCE, constructed, encode};
use crate::cms::error::CmsError;

/// A certificate by its digest: the first of `SigningCertificate` or `SigningCertificateV2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateId {
    digest: DigestAlgorithm,
    hash: Vec<u8>,
    issued: Option<IssuerAndSerial>,
}

impl CertificateId {
    /// That of a certificate, by SHA-256.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        Self {
            digest: DigestAlgorithm::Sha256,
            hash: certificate.fingerprint().to_vec(),
            issued: Some(IssuerAndSerial::of(certificate)),
        }
    }

    /// Reads `SigningCertificate`, whose digest is SHA-1.
    pub(crate) fn read_v1(value: Element<'_>) -> Result<Self, CmsError> {
        Self::read(value, DigestAlgorithm::Sha1)
    }

    /// Reads `SigningCertificateV2`, whose digest is SHA-256 unless it says otherwise.
    pub(crate) fn read_v2(value: Element<'_>) -> Result<Self, CmsError> {
        Self::read(value, DigestAlgorithm::Sha256)
    }

    fn read(value: Element<'_>, default: DigestAlgorithm) -> Result<Self, CmsError> {
        if value.tag != SEQUENCE {
            return Err(CmsError::Unexpected("a signing certificate that is no sequence"));
        }
        // The first is the signer's; the rest, and policies, tell of his path.
        let mut id = value.fields().take(SEQUENCE)?.fields().take(SEQUENCE)?.fields();
        let digest = match id.take_if(SEQUENCE)? {
            Some(named) if default != DigestAlgorithm::Sha1 => {
                DigestAlgorithm::parse(AlgorithmIdentifierRef::from_der(named.whole())?)?
            }
            Some(_) => return Err(CmsError::Unexpected("a digest is named where the standard has one")),
            None => default,
        };
        let hash = id.take(OCTET_STRING)?.content().to_vec();
        let issued = match id.take_if(SEQUENCE)? {
            Some(issued) => {
                let mut fields = issued.fields();
                let names = fields.take(SEQUENCE)?;
                let serial = fields.take(INTEGER)?;
                fields.end()?;
                // Of the issuer's names, the one that is a directory name (RFC 5035 §5).
                let name = names.fields().take_if(constructed(4))?;
                let name = name.map(|name| name.inner(SEQUENCE)).transpose()?;
                name.map(|name| IssuerAndSerial::read(&[name.whole(), serial.whole()].concat())).transpose()?
            }
            None => None,
        };
        id.end()?;
        Ok(Self { digest, hash, issued })
    }

    /// Whether it is this certificate's.
    #[must_use]
    pub fn names(&self, certificate: &Certificate) -> bool {
        self.hash == digest(self.digest.hash(), certificate.as_der()).as_ref()
            && self.issued.as_ref().is_none_or(|issued| issued.names(certificate))
    }

    /// Writes `SigningCertificateV2`.
    ///
    /// # Errors
    /// None that a value of ours can have.
    pub fn to_v2(&self) -> Result<Vec<u8>, CmsError> {
        let mut id = Vec::new();
        if self.digest != DigestAlgorithm::Sha256 {
            id.extend(self.digest.identifier().to_der()?);
        }
        id.extend(encode(OCTET_STRING, &[&self.hash]));
        if let Some(issued) = &self.issued {
            let name = encode(SEQUENCE, &[&encode(constructed(4), &[issued.issuer().as_der()])]);
            id.extend(encode(SEQUENCE, &[&name, &encode(INTEGER, &[issued.serial()])]));
        }
        Ok(encode(SEQUENCE, &[&encode(SEQUENCE, &[&encode(SEQUENCE, &[&id])])]))
    }
}
