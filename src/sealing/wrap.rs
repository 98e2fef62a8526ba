//! Signs and seals octets that come in pieces. Pure but for the keys: it blocks, and is run where that hurts nobody.

use std::sync::Arc;

use crate::cms::algorithm::{ContentEncryption, DigestAlgorithm, SignatureAlgorithm};
use crate::cms::entity::{Base64Writer, SmimeType, entity_header};
use crate::cms::{
    Capabilities, Certificate, CmsError, ID_DATA, KeyKind, OpaqueWriter, SealTo, Sealer, Seconds, SignFault,
    SignatureType, Signer, Signing, Statement,
};
use crate::directory::OwnKey;
use crate::sealing::fault::SealFault;

/// For whom, by what, and in whose name.
#[derive(Clone)]
pub(crate) struct Plan {
    /// By which cipher.
    pub cipher: ContentEncryption,
    /// For whom.
    pub recipients: Vec<SealTo>,
    /// Who signs, if anybody does.
    pub signer: Option<Arc<OwnKey>>,
    /// When.
    pub at: Seconds,
}

/// Octets on their way: a signed entity, if somebody signs, within a sealed one, each in base 64.
pub(crate) struct Wrapper<'p> {
    signer: Option<(OpaqueWriter<'p>, Base64Writer)>,
    sealer: Sealer,
    base64: Base64Writer,
    signed: Vec<u8>,
    entity: Vec<u8>,
    sealed: Vec<u8>,
}

impl Plan {
    /// What the sealed entity is called.
    pub fn kind(&self) -> SmimeType {
        if self.cipher.is_authenticated() { SmimeType::AuthEnveloped } else { SmimeType::Enveloped }
    }
}

impl<'p> Wrapper<'p> {
    /// Begins. What is written is the body of the sealed entity, appended to the buffer that each call is given.
    pub fn begin(plan: &'p Plan, out: &mut Vec<u8>) -> Result<Self, SealFault> {
        let mut sealed = Vec::new();
        let sealer = Sealer::new(plan.cipher, ID_DATA, &plan.recipients, None, &mut sealed)?;
        let mut wrapper = Self {
            signer: None,
            sealer,
            base64: Base64Writer::default(),
            signed: Vec::new(),
            entity: Vec::new(),
            sealed,
        };
        if let Some(own) = &plan.signer {
            let mut header = entity_header(SmimeType::Signed);
            header.extend_from_slice(b"\r\n");
            wrapper.sealer.update(&header, &mut wrapper.sealed)?;
            let signing = signing(own, plan.at)?;
            wrapper.signer = Some((OpaqueWriter::new(signing, &mut wrapper.signed)?, Base64Writer::default()));
        }
        wrapper.pass_on(out)?;
        Ok(wrapper)
    }

    /// The next octets of what is sealed.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<(), SealFault> {
        match &mut self.signer {
            Some((writer, _)) => writer.push(octets, &mut self.signed),
            None => self.sealer.update(octets, &mut self.sealed)?,
        }
        self.pass_on(out)
    }

    /// The end: it is signed.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), SealFault> {
        if let Some((writer, mut base64)) = self.signer.take() {
            writer.finish(&mut self.signed)?;
            base64.push(&self.signed, &mut self.entity);
            base64.finish(&mut self.entity);
            self.sealer.update(&self.entity, &mut self.sealed)?;
        }
        self.sealer.finish(&mut self.sealed)?;
        self.base64.push(&self.sealed, out);
        self.base64.finish(out);
        Ok(())
    }

    fn pass_on(&mut self, out: &mut Vec<u8>) -> Result<(), SealFault> {
        if let Some((_, base64)) = &mut self.signer {
            base64.push(&self.signed, &mut self.entity);
            self.signed.clear();
            self.sealer.update(&self.entity, &mut self.sealed)?;
            self.entity.clear();
        }
        self.base64.push(&self.sealed, out);
        self.sealed.clear();
        Ok(())
    }
}

fn signing(own: &OwnKey, at: Seconds) -> Result<Signing<'_>, SealFault> {
    let missing = || SignFault::NotTheKeysCertificate;
    let (certificate, chain) = own.chain.split_first().ok_or_else(missing)?;
    let statement = Statement {
        time: Some(at),
        capabilities: Some(Capabilities::ours()),
        key_preference: None,
        // RFC 3183 §3.1: a domain's signature says that it is one.
        types: if own.scope.is_domain() { vec![SignatureType::Domain] } else { Vec::new() },
    };
    let algorithm = algorithm_of(certificate)?;
    let signer = Signer { key: own.key.as_ref(), certificate, algorithm, statement };
    Ok(Signing::new(vec![signer], chain)?)
}

/// What every partner checks (RFC 8551 §2.2); on a curve the hash of its strength.
fn algorithm_of(certificate: &Certificate) -> Result<SignatureAlgorithm, CmsError> {
    Ok(match certificate.public_key()?.kind() {
        KeyKind::Rsa(_) => SignatureAlgorithm::RsaPkcs1(Some(DigestAlgorithm::Sha256)),
        KeyKind::P256 => SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
        KeyKind::P384 => SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha384),
        KeyKind::P521 => SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha512),
        KeyKind::Ed25519 => SignatureAlgorithm::Ed25519,
        KeyKind::X25519 | KeyKind::MlKem(_) | KeyKind::Other => {
            return Err(CmsError::BadParameters("the signature"));
        }
    })
}
