//! The Online Certificate Status Protocol (RFC 6960): asking, and judging what is answered.

use aws_lc_rs::digest::{self, digest};
use der::Decode;
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::cms::algorithm::DigestAlgorithm;
use crate::cms::ber;
use crate::cms::certificate::Certificate;
use crate::cms::element::{
    BIT_STRING, ENUMERATED, Element, Fields, GENERALIZED_TIME, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, Seconds,
    constructed, context, encode,
};
use crate::cms::error::CmsError;
use crate::cms::extension::Extension;
use crate::cms::name::Name;
use crate::cms::oid;
use crate::cms::public_key::{PublicKey, SignatureFault, Strictness, signature_algorithm};

/// Octets of an answer that is read.
pub const OCSP_OCTETS: usize = 256 * 1024;
/// Certificates that are asked about in one answer, and that come with it.
const ANSWERS: usize = 100;
/// Seconds by which a responder's clock may be ahead of ours.
const CLOCK_SKEW: Seconds = 300;
/// How old an answer may be that does not say when the next is due.
const UNDATED_AGE: Seconds = 24 * 3600;

/// What is said of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertStatus {
    /// Not revoked; until when that may be believed.
    Good(Seconds),
    /// Revoked: since when, and by which reason code (RFC 5280 §5.3.1); 0 where none is told.
    Revoked(Seconds, u8),
    /// The responder does not know it.
    Unknown,
}

/// Why an answer says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OcspFault {
    /// It cannot be read.
    #[error(transparent)]
    Malformed(#[from] CmsError),
    /// The responder did not answer the question: its status (RFC 6960 §4.2.1).
    #[error("the OCSP responder answers with status {0}")]
    Refused(u8),
    /// It is about other certificates.
    #[error("the OCSP answer is about another certificate")]
    AnotherCertificate,
    /// It is not signed by the issuer, or by somebody the issuer made its responder.
    #[error("the OCSP answer is signed by nobody who may")]
    NoResponder,
    /// Its signature does not hold.
    #[error("the OCSP answer: {0}")]
    Signature(#[from] SignatureFault),
    /// It is from the future, or the next one is due.
    #[error("the OCSP answer is too old, or not in force yet")]
    NotFresh,
    /// It repeats another's nonce.
    #[error("the OCSP answer has another nonce than the question")]
    AnotherNonce,
}

/// What a caller holds an answer to.
#[derive(Debug, Clone, Copy)]
pub struct OcspCheck<'a> {
    /// When it must be in force.
    pub at: Seconds,
    /// For how many seconds an answer may be believed after the next is due.
    pub grace: Seconds,
    /// The nonce that was asked with. An answer without one passes, as many responders keep theirs ready (RFC 9654 §2.2);
    /// one with another does not.
    pub nonce: Option<&'a [u8]>,
    /// Whether weak signatures count.
    pub strictness: Strictness,
}

/// The question about a certificate, in DER (RFC 6960 §4.1). The nonce has 1 to 128 octets, better 32 (RFC 9654 §2.1).
///
/// # Errors
/// The issuer's certificate cannot be read.
pub fn ocsp_request(
    certificate: &Certificate,
    issuer: &Certificate,
    nonce: Option<&[u8]>,
) -> Result<Vec<u8>, CmsError> {
    // SHA-1 here names the issuer and proves nothing; it is what all responders know (RFC 5019 §2.1.1).
    let (name, key) = issuer_hashes(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate, issuer)?;
    let algorithm = encode(SEQUENCE, &[&encode(OID, &[DigestAlgorithm::Sha1.oid().as_bytes()]), &encode(NULL, &[])]);
    let id = encode(
        SEQUENCE,
        &[
            &algorithm,
            &encode(OCTET_STRING, &[name.as_ref()]),
            &encode(OCTET_STRING, &[key.as_ref()]),
            &encode(INTEGER, &[certificate.serial()]),
        ],
    );
    let list = encode(SEQUENCE, &[&encode(SEQUENCE, &[&id])]);
    let extensions = nonce.map(|nonce| {
        let value = encode(OCTET_STRING, &[&encode(OCTET_STRING, &[nonce])]);
        let extension = encode(SEQUENCE, &[&encode(OID, &[oid::OCSP_NONCE.as_bytes()]), &value]);
        encode(constructed(2), &[&encode(SEQUENCE, &[&extension])])
    });
    Ok(encode(SEQUENCE, &[&encode(SEQUENCE, &[&list, extensions.as_deref().unwrap_or_default()])]))
}

fn issuer_hashes(
    hash: &'static digest::Algorithm,
    certificate: &Certificate,
    issuer: &Certificate,
) -> Result<(digest::Digest, digest::Digest), CmsError> {
    let key = issuer.public_key()?;
    Ok((digest(hash, certificate.issuer().as_der()), digest(hash, key.octets())))
}

/// Judges an answer about a certificate that `issuer` issued (RFC 6960 §3.2).
///
/// # Errors
/// [`OcspFault`]: it says nothing that can be believed.
pub fn ocsp_status(
    octets: &[u8],
    certificate: &Certificate,
    issuer: &Certificate,
    check: &OcspCheck<'_>,
) -> Result<CertStatus, OcspFault> {
    if octets.len() > OCSP_OCTETS {
        return Err(CmsError::TooMany { what: "octets in an OCSP answer", limit: OCSP_OCTETS }.into());
    }
    let der = ber::to_der(octets)?;
    let answer = BasicAnswer::read(basic_part(&der)?)?;
    if let (Some(asked), Some(answered)) = (check.nonce, answer.nonce)
        && asked != answered
    {
        return Err(OcspFault::AnotherNonce);
    }
    let single = answer.about(certificate, issuer)?.ok_or(OcspFault::AnotherCertificate)?;
    answer.verify(issuer, check)?;
    if answer.produced_at > check.at.saturating_add(CLOCK_SKEW) {
        return Err(OcspFault::NotFresh);
    }
    single.judge(check)
}

/// The `BasicOCSPResponse` inside an `OCSPResponse`.
fn basic_part(der: &[u8]) -> Result<&[u8], OcspFault> {
    let mut fields = Element::only(der, SEQUENCE)?.fields();
    let status = fields.take(ENUMERATED)?.unsigned()?;
    if status != 0 {
        return Err(OcspFault::Refused(u8::try_from(status).unwrap_or(u8::MAX)));
    }
    let mut inner = fields.take(constructed(0))?.inner(SEQUENCE)?.fields();
    if inner.take(OID)?.content() != oid::OCSP_BASIC.as_bytes() {
        return Err(CmsError::Unexpected("an OCSP answer of another kind than the basic").into());
    }
    let basic = inner.take(OCTET_STRING)?.content();
    inner.end()?;
    fields.end()?;
    Ok(basic)
}

struct BasicAnswer<'a> {
    signed: &'a [u8],
    responder: Element<'a>,
    produced_at: Seconds,
    answers: Vec<Element<'a>>,
    nonce: Option<&'a [u8]>,
    algorithm: &'a [u8],
    signature: &'a [u8],
    certificates: Vec<Element<'a>>,
}

impl<'a> BasicAnswer<'a> {
    fn read(basic: &'a [u8]) -> Result<Self, CmsError> {
        let mut outer = Element::only(basic, SEQUENCE)?.fields();
        let signed = outer.take(SEQUENCE)?;
        let algorithm = outer.take(SEQUENCE)?.whole();
        let signature = outer.take(BIT_STRING)?.octets_of_bits()?;
        let certificates = match outer.take_if(constructed(0))? {
            Some(field) => field.inner(SEQUENCE)?.fields().all(ANSWERS)?,
            None => Vec::new(),
        };
        outer.end()?;
        let mut fields = signed.fields();
        fields.take_if(constructed(0))?;
        let responder = fields.any()?;
        let produced_at = fields.take(GENERALIZED_TIME)?.time()?;
        let answers = fields.take(SEQUENCE)?.fields().all(ANSWERS)?;
        let extensions = match fields.take_if(constructed(1))? {
            Some(field) => Extension::all(field.inner(SEQUENCE)?)?,
            None => Vec::new(),
        };
        fields.end()?;
        let mut nonce = None;
        for extension in extensions {
            if extension.id == oid::OCSP_NONCE.as_bytes() {
                nonce = Some(extension.octets()?);
            } else if extension.critical {
                return Err(CmsError::Unexpected("an OCSP answer has a critical extension that is not understood"));
            }
        }
        Ok(Self { signed: signed.whole(), responder, produced_at, answers, nonce, algorithm, signature, certificates })
    }

    /// The answer about this certificate.
    fn about(&self, certificate: &Certificate, issuer: &Certificate) -> Result<Option<SingleAnswer<'a>>, CmsError> {
        for answer in &self.answers {
            let mut fields = answer.fields();
            let mut id = fields.take(SEQUENCE)?.fields();
            let hash = AlgorithmIdentifierRef::from_der(id.take(SEQUENCE)?.whole())?;
            let Ok(hash) = DigestAlgorithm::parse(hash) else { continue };
            let (name, key) = issuer_hashes(hash.hash(), certificate, issuer)?;
            let is_it = id.take(OCTET_STRING)?.content() == name.as_ref()
                && id.take(OCTET_STRING)?.content() == key.as_ref()
                && id.take(INTEGER)?.content() == certificate.serial();
            if is_it {
                return Ok(Some(SingleAnswer(fields)));
            }
        }
        Ok(None)
    }

    /// Signed by the issuer, or by a responder whose certificate the issuer signed for that (RFC 6960 §4.2.2.2).
    fn verify(&self, issuer: &Certificate, check: &OcspCheck<'_>) -> Result<(), OcspFault> {
        let algorithm = signature_algorithm(self.algorithm)?;
        let by = |key: &PublicKey<'_>| key.verify(algorithm, self.signed, self.signature, check.strictness);
        if self.is_responder(issuer)? {
            by(&issuer.public_key()?)?;
            return Ok(());
        }
        for element in &self.certificates {
            let Ok(delegate) = Certificate::read(element.whole()) else { continue };
            if self.is_responder(&delegate)? && may_answer(&delegate, issuer, check) {
                by(&delegate.public_key()?)?;
                return Ok(());
            }
        }
        Err(OcspFault::NoResponder)
    }

    /// Whether the answer names this certificate's subject or key as its signer.
    fn is_responder(&self, certificate: &Certificate) -> Result<bool, CmsError> {
        match self.responder.tag {
            0xa1 => {
                let name = self.responder.inner(SEQUENCE)?;
                Ok(Name::new(name.whole()).matches(certificate.subject()))
            }
            0xa2 => {
                let key = certificate.public_key()?;
                let hash = digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key.octets());
                Ok(self.responder.inner(OCTET_STRING)?.content() == hash.as_ref())
            }
            _ => Err(CmsError::Unexpected("an OCSP answer names no responder")),
        }
    }
}

/// Whether the issuer made this certificate its responder, and it is valid.
fn may_answer(delegate: &Certificate, issuer: &Certificate, check: &OcspCheck<'_>) -> bool {
    let is_for_this = delegate
        .purposes()
        .is_ok_and(|purposes| purposes.is_some_and(|all| all.contains(&oid::EKU_OCSP_SIGNING.as_bytes())));
    let may_sign = delegate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.digital_signature()));
    let is_valid = delegate.validity().is_ok_and(|(from, until)| (from..=until).contains(&check.at));
    is_for_this
        && may_sign
        && is_valid
        && delegate.issuer().matches(issuer.subject())
        && issuer.public_key().is_ok_and(|key| delegate.verify_by(&key, check.strictness).is_ok())
}

/// What stands behind the identifier in a `SingleResponse`.
struct SingleAnswer<'a>(Fields<'a>);

impl SingleAnswer<'_> {
    fn judge(mut self, check: &OcspCheck<'_>) -> Result<CertStatus, OcspFault> {
        let status = self.0.any()?;
        let this_update = self.0.take(GENERALIZED_TIME)?.time()?;
        let next_update = match self.0.take_if(constructed(0))? {
            Some(field) => field.inner(GENERALIZED_TIME)?.time()?,
            None => this_update.saturating_add(UNDATED_AGE),
        };
        if let Some(field) = self.0.take_if(constructed(1))?
            && Extension::all(field.inner(SEQUENCE)?)?.iter().any(|extension| extension.critical)
        {
            return Err(CmsError::Unexpected("an OCSP answer has a critical extension that is not understood").into());
        }
        self.0.end()?;
        let until = next_update.saturating_add(check.grace);
        if this_update > check.at.saturating_add(CLOCK_SKEW) || until < check.at {
            return Err(OcspFault::NotFresh);
        }
        match status.tag {
            0x80 => Ok(CertStatus::Good(until)),
            0xa1 => {
                let mut fields = status.fields();
                let at = fields.take(GENERALIZED_TIME)?.time()?;
                let reason = match fields.take_if(constructed(0))? {
                    Some(field) => field.inner(ENUMERATED)?.unsigned()?,
                    None => 0,
                };
                Ok(CertStatus::Revoked(at, u8::try_from(reason).unwrap_or(0)))
            }
            tag if tag == context(2) => Ok(CertStatus::Unknown),
            _ => Err(CmsError::Unexpected("an OCSP answer has a status of no kind").into()),
        }
    }
}
