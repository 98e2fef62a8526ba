//! Certificates, keys and revocation lists from whatever file they come in: PEM, DER, PKCS #7, PKCS #8, PKCS #12.

use crate::cms::ber;
use crate::cms::certificate::Certificate;
use crate::cms::crl::Crl;
use crate::cms::element::{BIT_STRING, Element, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, constructed};
use crate::cms::error::{CmsError, ImportFault};
use crate::cms::imported_key::ImportedKey;
use crate::cms::limits::HELD_OCTETS;
use crate::cms::oid;
use crate::cms::password::{Opener, Password};
use crate::cms::pem::{PemBlock, is_pem, pem_blocks};
use crate::cms::pkcs12;

/// Octets of a file.
pub const IMPORT_OCTETS: usize = 256 << 20;
/// Certificates or lists in one container.
const CONTAINED: usize = 10_000;

/// What was in a file, in its order.
#[derive(Default)]
pub struct Imported {
    /// Certificates, none of them trusted for being here.
    pub certificates: Vec<Certificate>,
    /// Private keys.
    pub keys: Vec<ImportedKey>,
    /// Revocation lists.
    pub lists: Vec<Crl>,
}

impl Imported {
    /// Reads a file. What PEM has besides, such as requests and parameters, is passed over.
    ///
    /// # Errors
    /// [`ImportFault`]: nothing is taken from a file that is damaged in part.
    pub fn read(octets: &[u8], password: Option<&Password>) -> Result<Self, ImportFault> {
        if octets.len() > IMPORT_OCTETS {
            return Err(ImportFault::TooMany { what: "octets in the file", limit: IMPORT_OCTETS });
        }
        let mut imported = Self::default();
        let opener = Opener::new(password);
        if is_pem(octets) {
            for block in pem_blocks(octets)? {
                imported.take_block(&block, &opener)?;
            }
        } else {
            imported.take_der(octets, &opener)?;
        }
        Ok(imported)
    }

    fn take_block(&mut self, block: &PemBlock, opener: &Opener<'_>) -> Result<(), ImportFault> {
        match block.label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => self.certificates.push(Certificate::read(&block.der)?),
            // What OpenSSL trusts it for stands behind it, and is no word of ours.
            "TRUSTED CERTIFICATE" => {
                let first = crate::cms::element::Fields::of(&block.der).take(SEQUENCE)?;
                self.certificates.push(Certificate::read(first.whole())?);
            }
            "X509 CRL" => self.lists.push(Crl::read(&block.der)?),
            "PKCS7" | "CMS" | "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" | "PKCS12" => {
                self.take_der(&block.der, opener)?
            }
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" => self.keys.push(ImportedKey::read(&block.der)?),
            _ => {}
        }
        Ok(())
    }

    /// Told apart by what stands first.
    fn take_der(&mut self, octets: &[u8], opener: &Opener<'_>) -> Result<(), ImportFault> {
        if octets.len() > HELD_OCTETS {
            // Only a list is as long.
            self.lists.push(Crl::read(octets)?);
            return Ok(());
        }
        let der = ber::to_der(octets).map_err(|_| ImportFault::NoKnownForm)?;
        let mut fields = Element::only(&der, SEQUENCE).map_err(|_| ImportFault::NoKnownForm)?.fields();
        let first = fields.any().map_err(|_| ImportFault::NoKnownForm)?;
        let second = fields.any().map_err(|_| ImportFault::NoKnownForm)?;
        let third = fields.peek();
        match (first.tag, second.tag, third) {
            (OID, 0xa0, None) => self.take_signed(first, second)?,
            (INTEGER, SEQUENCE, Some(OCTET_STRING)) | (INTEGER, INTEGER | OCTET_STRING, _) => {
                self.keys.push(ImportedKey::read(&der)?);
            }
            (INTEGER, SEQUENCE, _) => {
                let bags = pkcs12::open(&der, opener)?;
                self.certificates.extend(bags.certificates);
                self.keys.extend(bags.keys);
            }
            (SEQUENCE, OCTET_STRING, None) => {
                self.keys.push(pkcs12::shrouded_key(Element::only(&der, SEQUENCE)?, opener)?);
            }
            // The octets as they came: it is they that were signed.
            (SEQUENCE, SEQUENCE, Some(BIT_STRING)) => match Certificate::read(octets) {
                Ok(certificate) => self.certificates.push(certificate),
                Err(_) => self.lists.push(Crl::read(octets)?),
            },
            _ => return Err(ImportFault::NoKnownForm),
        }
        Ok(())
    }

    /// PKCS #7 or CMS that carries certificates and lists (RFC 5652 §5.1), signed or not: the signature says nothing of them.
    fn take_signed(&mut self, kind: Element<'_>, content: Element<'_>) -> Result<(), ImportFault> {
        if kind.content() != oid::SIGNED_DATA.as_bytes() {
            return Err(ImportFault::NoKnownForm);
        }
        let mut fields = content.inner(SEQUENCE)?.fields();
        fields.take(INTEGER)?;
        fields.take(SET)?;
        fields.take(SEQUENCE)?;
        if let Some(certificates) = fields.take_if(constructed(0))? {
            for element in certificates.fields().all(CONTAINED)? {
                // Attribute certificates and other kinds have tags of their own.
                if element.tag == SEQUENCE {
                    self.certificates.push(Certificate::read(element.whole())?);
                }
            }
        }
        if let Some(lists) = fields.take_if(constructed(1))? {
            for element in lists.fields().all(CONTAINED)? {
                if element.tag == SEQUENCE {
                    self.lists.push(Crl::read(element.whole())?);
                }
            }
        }
        match fields.take_if(SET)? {
            Some(_) => Ok(()),
            None => Err(CmsError::Unexpected("a PKCS #7 file that is cut off").into()),
        }
    }

    /// Whether there was nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.keys.is_empty() && self.lists.is_empty()
    }
}
