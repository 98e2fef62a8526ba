//! Signs content: digests of it are taken as it passes, then each signer signs them with his attributes.

use der::Encode;
use der::oid::ObjectIdentifier;

use crate::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::cms::attribute::{
    AlgorithmProtection, Capabilities, CertificateId, IssuerAndSerial, KeyPreference, SignatureType, SignedAttributes,
    set_of,
};
use crate::cms::certificate::Certificate;
use crate::cms::element::{INTEGER, OCTET_STRING, OID, SEQUENCE, SET, Seconds, constructed, encode};
use crate::cms::error::CmsError;
use crate::cms::oid;
use crate::cms::private_key::{KeyFault, PrivateKey};
use crate::cms::signed::digests::{ContentDigests, Digested};
use crate::cms::signed::signer_info::SignerId;
use crate::cms::stream::{ContentKind, ContentWriter};

/// What a signer says beside what must be said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// When he signs.
    pub time: Option<Seconds>,
    /// What he can open and check.
    pub capabilities: Option<Capabilities>,
    /// Which certificate mail to him is to be sealed to, if not the one he signs with.
    pub key_preference: Option<KeyPreference>,
    /// For whom he signs (RFC 3183).
    pub types: Vec<SignatureType>,
}

/// Who signs.
pub struct Signer<'a> {
    /// His key.
    pub key: &'a dyn PrivateKey,
    /// The certificate of that key.
    pub certificate: &'a Certificate,
    /// How: an algorithm that has its digest.
    pub algorithm: SignatureAlgorithm,
    /// What he says.
    pub statement: Statement,
}

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignFault {
    /// The key failed.
    #[error("{0}")]
    Key(#[from] KeyFault),
    /// Key and certificate do not belong together.
    #[error("the certificate is not the key's")]
    NotTheKeysCertificate,
    /// The algorithm has no digest, or one of its values cannot be written.
    #[error("{0}")]
    Form(#[from] CmsError),
}

/// A signature about to be made.
pub struct Signing<'a> {
    signers: Vec<(Signer<'a>, DigestAlgorithm)>,
    chain: &'a [Certificate],
    content_type: ObjectIdentifier,
    digests: ContentDigests,
    octets: u64,
}

/// A signature that was made: what stands around the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    fields: Vec<u8>,
    inner: Vec<u8>,
    behind: Vec<u8>,
    octets: u64,
}

impl<'a> Signing<'a> {
    /// Begins. The signers' certificates are put into the message, and those of `chain`.
    ///
    /// # Errors
    /// There is no signer, or one whose certificate is another key's, or whose algorithm lacks a digest.
    pub fn new(signers: Vec<Signer<'a>>, chain: &'a [Certificate]) -> Result<Self, SignFault> {
        let mut all = Vec::with_capacity(signers.len());
        for signer in signers {
            if !signer.key.belongs_to(signer.certificate) {
                return Err(SignFault::NotTheKeysCertificate);
            }
            let digest = signer.algorithm.digest().ok_or(CmsError::BadParameters("the signature"))?;
            all.push((signer, digest));
        }
        if all.is_empty() {
            return Err(CmsError::Unexpected("a signature without a signer").into());
        }
        let digests: Vec<DigestAlgorithm> = all.iter().map(|(_, digest)| *digest).collect();
        let digests = ContentDigests::new(&digests);
        Ok(Self { signers: all, chain, content_type: oid::DATA, digests, octets: 0 })
    }

    /// The digests that are taken, as `micalg` names them.
    #[must_use]
    pub fn micalg(&self) -> String {
        let mut names: Vec<&str> = self.signers.iter().map(|(_, digest)| digest.micalg()).collect();
        names.sort_unstable();
        names.dedup();
        names.join(",")
    }

    /// The next octets of the content, which is MIME in canonical form: lines ended by CRLF (RFC 8551 §3.1.1).
    pub fn push(&mut self, octets: &[u8]) {
        self.digests.push(octets);
        self.octets = self.octets.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
    }

    /// The fields before the content.
    pub(crate) fn fields(&self) -> Result<Vec<u8>, CmsError> {
        let mut digests = Vec::new();
        for (_, digest) in &self.signers {
            digests.push(digest.identifier().to_der()?);
        }
        digests.sort_unstable();
        digests.dedup();
        Ok([encode(INTEGER, &[&[1]]), encode(SET, &[&digests.concat()])].concat())
    }

    /// The content's own fields.
    pub(crate) fn inner(&self) -> Vec<u8> {
        encode(OID, &[self.content_type.as_bytes()])
    }

    /// The content ends, and every signer signs it.
    ///
    /// # Errors
    /// A key failed, or something said cannot be written.
    pub fn sign(self) -> Result<Signature, SignFault> {
        let (fields, inner) = (self.fields()?, self.inner());
        let content = self.digests.finish();
        let mut certificates: Vec<Vec<u8>> = self.chain.iter().map(|each| each.as_der().to_vec()).collect();
        let mut signers = Vec::with_capacity(self.signers.len());
        for (signer, digest) in &self.signers {
            certificates.push(signer.certificate.as_der().to_vec());
            signers.push(signer.sign(self.content_type, &content, *digest)?);
        }
        Ok(Signature { fields, inner, behind: behind(certificates, Vec::new(), signers), octets: self.octets })
    }
}

impl Signer<'_> {
    /// SignerInfo, RFC 5652 §5.3.
    fn sign(
        &self,
        content_type: ObjectIdentifier,
        content: &Digested,
        digest: DigestAlgorithm,
    ) -> Result<Vec<u8>, SignFault> {
        let taken = content.digest(digest).ok_or(CmsError::BadParameters("the signature"))?;
        let mut attributes = SignedAttributes::new(content_type, taken.as_ref().to_vec());
        attributes.signing_time = self.statement.time;
        attributes.capabilities = self.statement.capabilities.clone();
        attributes.key_preference = self.statement.key_preference.clone();
        attributes.certificate = Some(CertificateId::of(self.certificate));
        attributes.protection = Some(AlgorithmProtection::of(digest, self.algorithm)?);
        attributes.signature_types = self.statement.types.clone();
        let attributes = attributes.to_content()?;
        let signature = self.key.sign(self.algorithm, &encode(SET, &[&attributes]))?;
        Ok(encode(
            SEQUENCE,
            &[
                &encode(INTEGER, &[&[1]]),
                &SignerId::Issued(IssuerAndSerial::of(self.certificate)).to_der(),
                &digest.identifier().to_der().map_err(CmsError::from)?,
                &encode(constructed(0), &[&attributes]),
                &self.algorithm.identifier()?.to_der().map_err(CmsError::from)?,
                &encode(OCTET_STRING, &[&signature]),
            ],
        ))
    }
}

impl Signature {
    /// The whole, detached from its content.
    #[must_use]
    pub fn detached(&self) -> Vec<u8> {
        let oid = |kind: ContentKind| encode(OID, &[kind.oid().as_bytes()]);
        let content = encode(SEQUENCE, &[&self.inner]);
        let structure = encode(SEQUENCE, &[&self.fields, &content, &self.behind]);
        encode(SEQUENCE, &[&oid(ContentKind::Signed), &encode(constructed(0), &[&structure])])
    }

    /// What stands before the content, where the whole has it within: the content is to follow once more, and then what
    /// stands [behind](Self::behind) it.
    #[must_use]
    pub fn before(&self) -> Vec<u8> {
        let mut before = Vec::new();
        let behind = u64::try_from(self.behind.len()).unwrap_or(u64::MAX);
        let _ =
            ContentWriter::definite(ContentKind::Signed, &self.fields, &self.inner, self.octets, behind, &mut before);
        before
    }

    /// What stands behind the content.
    #[must_use]
    pub fn behind(&self) -> &[u8] {
        &self.behind
    }
}

/// A message that carries certificates and revocation lists in DER, and that nobody signs (RFC 8551 §3.7).
#[must_use]
pub fn certificates_only(certificates: &[Certificate], crls: &[Vec<u8>]) -> Vec<u8> {
    let certificates = certificates.iter().map(|each| each.as_der().to_vec()).collect();
    let fields = [encode(INTEGER, &[&[1]]), encode(SET, &[])].concat();
    let inner = encode(OID, &[oid::DATA.as_bytes()]);
    Signature { fields, inner, behind: behind(certificates, crls.to_vec(), Vec::new()), octets: 0 }.detached()
}

fn behind(mut certificates: Vec<Vec<u8>>, crls: Vec<Vec<u8>>, signers: Vec<Vec<u8>>) -> Vec<u8> {
    certificates.sort_unstable();
    certificates.dedup();
    let mut behind = encode(constructed(0), &[&set_of(certificates)]);
    if !crls.is_empty() {
        behind.extend(encode(constructed(1), &[&set_of(crls)]));
    }
    behind.extend(encode(SET, &[&set_of(signers)]));
    behind
}
