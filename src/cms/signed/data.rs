//! A signed message whose content has passed: certificates, revocation lists, signers.

use der::Decode;
use der::oid::ObjectIdentifier;
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::cms::algorithm::DigestAlgorithm;
use crate::cms::certificate::Certificate;
use crate::cms::element::{Element, Fields, SEQUENCE, SET, constructed};
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::public_key::Strictness;
use crate::cms::signed::digests::Digested;
use crate::cms::signed::report::{SignedFault, SignerReport};
use crate::cms::signed::signer_info::SignerInfo;
use crate::cms::signed::verify::Question;

/// SignedData without its content. Each certificate, list and signer is held in DER and read by itself, so that an odd
/// one does not spoil the rest.
#[derive(Debug, Clone)]
pub struct SignedData {
    content_type: ObjectIdentifier,
    /// None where it is detached.
    content: Option<Digested>,
    certificates: Vec<Vec<u8>>,
    crls: Vec<Vec<u8>>,
    signers: Vec<Vec<u8>>,
}

impl SignedData {
    /// Reads what stands behind the content.
    pub(crate) fn read(
        content_type: ObjectIdentifier,
        content: Option<Digested>,
        behind: Element<'_>,
    ) -> Result<Self, CmsError> {
        let mut fields = behind.fields();
        let certificates = optional(&mut fields, constructed(0), "certificates", limits::CERTIFICATES)?;
        let crls = optional(&mut fields, constructed(1), "revocation lists", limits::CRLS)?;
        let signers = list(fields.take(SET)?, "signers", limits::SIGNERS)?;
        fields.end()?;
        Ok(Self { content_type, content, certificates, crls, signers })
    }

    /// What the content is.
    #[must_use]
    pub fn content_type(&self) -> ObjectIdentifier {
        self.content_type
    }

    /// Whether it has a content of its own; else it is detached.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.content.is_some()
    }

    /// Whether nobody signed, and it carries certificates (RFC 8551 §3.7).
    #[must_use]
    pub fn is_certificates_only(&self) -> bool {
        self.signers.is_empty() && !(self.certificates.is_empty() && self.crls.is_empty())
    }

    /// How many signers it has.
    #[must_use]
    pub fn signers(&self) -> usize {
        self.signers.len()
    }

    /// The certificates that can be read. Attribute certificates and other kinds are left out.
    #[must_use]
    pub fn certificates(&self) -> Vec<Certificate> {
        self.certificates.iter().filter_map(|octets| Certificate::read(octets).ok()).collect()
    }

    /// The revocation lists, in DER.
    pub fn crls(&self) -> impl Iterator<Item = &[u8]> {
        self.crls.iter().map(Vec::as_slice).filter(|octets| octets.first() == Some(&SEQUENCE))
    }

    /// The digests that the signers used, as far as they are ours: what to take of a content that comes afterwards.
    #[must_use]
    pub fn digests(&self) -> Vec<DigestAlgorithm> {
        let infos = self.signers.iter().filter_map(|octets| SignerInfo::read(octets).ok());
        let mut digests: Vec<DigestAlgorithm> = infos
            .filter_map(|info| {
                let identifier = AlgorithmIdentifierRef::from_der(&info.digest_algorithm).ok()?;
                DigestAlgorithm::parse(identifier).ok()
            })
            .collect();
        digests.sort_unstable();
        digests.dedup();
        digests
    }

    /// What is found of each signer of the content that stood in it. `others` are certificates beside those it carries.
    ///
    /// # Errors
    /// Nobody signed, or the content stands elsewhere.
    pub fn verify(&self, others: &[Certificate], strictness: Strictness) -> Result<Vec<SignerReport>, SignedFault> {
        let content = self.content.as_ref().ok_or(SignedFault::ContentIsMissing);
        self.ask(content, others, strictness)
    }

    /// What is found of each signer of a content that stood elsewhere.
    ///
    /// # Errors
    /// Nobody signed, or there is a content in it, too.
    pub fn verify_detached(
        &self,
        content: &Digested,
        others: &[Certificate],
        strictness: Strictness,
    ) -> Result<Vec<SignerReport>, SignedFault> {
        let content = if self.has_content() { Err(SignedFault::ContentStandsTwice) } else { Ok(content) };
        self.ask(content, others, strictness)
    }

    fn ask(
        &self,
        content: Result<&Digested, SignedFault>,
        others: &[Certificate],
        strictness: Strictness,
    ) -> Result<Vec<SignerReport>, SignedFault> {
        if self.signers.is_empty() {
            return Err(SignedFault::NobodySigned);
        }
        let content = content?;
        let mut certificates = self.certificates();
        certificates.extend_from_slice(others);
        let question = Question { content_type: self.content_type, content, certificates: &certificates, strictness };
        Ok(self.signers.iter().map(|signer| question.answer(signer)).collect())
    }
}

fn optional(fields: &mut Fields<'_>, tag: u8, what: &'static str, limit: usize) -> Result<Vec<Vec<u8>>, CmsError> {
    fields.take_if(tag)?.map_or_else(|| Ok(Vec::new()), |set| list(set, what, limit))
}

fn list(set: Element<'_>, what: &'static str, limit: usize) -> Result<Vec<Vec<u8>>, CmsError> {
    let mut fields = set.fields();
    let mut elements = Vec::new();
    while !fields.is_empty() {
        if elements.len() == limit {
            return Err(CmsError::TooMany { what, limit });
        }
        elements.push(fields.any()?.whole().to_vec());
    }
    Ok(elements)
}
