//! Whether one signer signed, RFC 5652 §5.4 to 5.6.

use der::Decode;
use der::oid::ObjectIdentifier;
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::cms::attribute::{Attributes, SignedAttributes};
use crate::cms::certificate::Certificate;
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::oid;
use crate::cms::public_key::{PublicKey, SignatureFault, Strictness, Weakness};
use crate::cms::signed::digests::Digested;
use crate::cms::signed::report::{SignerFault, SignerReport};
use crate::cms::signed::signer_info::SignerInfo;

/// What was signed, and who may have signed it.
pub(crate) struct Question<'a> {
    pub content_type: ObjectIdentifier,
    pub content: &'a Digested,
    pub certificates: &'a [Certificate],
    pub strictness: Strictness,
}

impl Question<'_> {
    /// What is found of the signer whose part of the message this is.
    pub fn answer(&self, signer: &[u8]) -> SignerReport {
        let info = match SignerInfo::read(signer) {
            Ok(info) => info,
            Err(fault) => return SignerReport::of(SignerFault::Malformed(fault)),
        };
        let named = self.certificates.iter().filter(|certificate| info.id.names(certificate));
        let candidates: Vec<&Certificate> = named.take(limits::CANDIDATES).collect();
        let digest = parse(&info.digest_algorithm, DigestAlgorithm::parse);
        let signature = parse(&info.signature_algorithm, SignatureAlgorithm::parse).map(|algorithm| match algorithm {
            SignatureAlgorithm::RsaPkcs1(None) => SignatureAlgorithm::RsaPkcs1(digest),
            other => other,
        });
        let mut report = SignerReport {
            id: Some(info.id.clone()),
            certificate: candidates.first().map(|first| (*first).clone()),
            digest,
            signature,
            attributes: None,
            verdict: Err(SignerFault::Unsupported),
        };
        report.verdict = self.judge(&info, &candidates, &mut report);
        report
    }

    fn judge(
        &self,
        info: &SignerInfo,
        candidates: &[&Certificate],
        report: &mut SignerReport,
    ) -> Result<Option<Weakness>, SignerFault> {
        let attributes = info.attributes.as_ref().map(|read| read.as_ref().map_err(Clone::clone)).transpose()?;
        report.attributes = attributes.map(SignedAttributes::of).transpose()?;
        let (Some(digest), Some(signature)) = (report.digest, report.signature) else {
            return Err(SignerFault::Unsupported);
        };
        if signature.digest() != Some(digest) {
            return Err(SignerFault::AlgorithmsDisagree);
        }
        match &report.attributes {
            Some(said) => self.check_attributes(said, digest, info)?,
            None if self.content_type != oid::DATA => return Err(SignerFault::AttributesAreMissing),
            None if self.content.is_like_attributes() => return Err(SignerFault::ContentIsLikeAttributes),
            None => {}
        }
        let mut fault = SignerFault::NoCertificate;
        for certificate in candidates {
            match self.verify_by(certificate, info, signature, attributes, report.attributes.as_ref()) {
                Ok(weakness) => {
                    report.certificate = Some((*certificate).clone());
                    return Ok(weakness);
                }
                // That the signature is this key's tells more than that it is not another's.
                Err(found) if fault != SignerFault::CertificateMismatch => fault = found,
                Err(_) => {}
            }
        }
        Err(fault)
    }

    fn check_attributes(
        &self,
        said: &SignedAttributes,
        digest: DigestAlgorithm,
        info: &SignerInfo,
    ) -> Result<(), SignerFault> {
        if said.content_type != self.content_type {
            return Err(SignerFault::ContentType);
        }
        let taken = self.content.digest(digest).ok_or(SignerFault::DigestWasNotTaken)?;
        if taken.as_ref() != said.message_digest {
            return Err(SignerFault::DigestMismatch);
        }
        let protection = said.protection.as_ref();
        if protection.is_some_and(|held| !held.allows(&info.digest_algorithm, &info.signature_algorithm)) {
            return Err(SignerFault::AlgorithmProtection);
        }
        Ok(())
    }

    fn verify_by(
        &self,
        certificate: &Certificate,
        info: &SignerInfo,
        algorithm: SignatureAlgorithm,
        attributes: Option<&Attributes>,
        said: Option<&SignedAttributes>,
    ) -> Result<Option<Weakness>, SignerFault> {
        let key = certificate.public_key().map_err(|_| SignatureFault::Unsupported)?;
        let weakness = match attributes {
            Some(attributes) => self.over_attributes(&key, algorithm, attributes, &info.signature)?,
            None => {
                let digest = algorithm.digest().and_then(|digest| self.content.digest(digest));
                let digest = digest.ok_or(SignerFault::DigestWasNotTaken)?;
                key.verify_digest(algorithm, digest, &info.signature, self.strictness)?
            }
        };
        let mut named = said.into_iter().flat_map(|said| [&said.certificate_v1, &said.certificate]).flatten();
        if named.all(|id| id.names(certificate)) { Ok(weakness) } else { Err(SignerFault::CertificateMismatch) }
    }

    /// Over the attributes as they came; and, where they did not come in DER's order, over them in that, as the standard
    /// has it.
    fn over_attributes(
        &self,
        key: &PublicKey<'_>,
        algorithm: SignatureAlgorithm,
        attributes: &Attributes,
        signature: &[u8],
    ) -> Result<Option<Weakness>, SignatureFault> {
        let as_it_came = key.verify(algorithm, &attributes.to_set(), signature, self.strictness);
        match (as_it_came, attributes.to_sorted_set()) {
            (Err(SignatureFault::Wrong), Some(sorted)) => key.verify(algorithm, &sorted, signature, self.strictness),
            (found, _) => found,
        }
    }
}

/// The algorithm, if it is one of ours.
fn parse<T>(identifier: &[u8], read: impl Fn(AlgorithmIdentifierRef<'_>) -> Result<T, CmsError>) -> Option<T> {
    AlgorithmIdentifierRef::from_der(identifier).ok().and_then(|identifier| read(identifier).ok())
}
