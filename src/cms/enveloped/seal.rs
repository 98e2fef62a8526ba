//! Seals content for its recipients.

use aws_lc_rs::rand;
use der::Encode;
use der::oid::ObjectIdentifier;
use zeroize::Zeroizing;

use crate::cms::algorithm::{ContentEncryption, ContentParameters};
use crate::cms::cipher::ContentSealer;
use crate::cms::element::{INTEGER, OCTET_STRING, OID, SEQUENCE, SET, constructed, encode};
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::oid;
use crate::cms::recipient::{SealTo, SealWay};
use crate::cms::stream::{ContentKind, ContentWriter};

/// Octets of the nonce, RFC 5084 §3.2, and of the tag.
const NONCE_OCTETS: usize = 12;
const TAG_OCTETS: usize = 16;

/// Seals content that comes in pieces. What it writes it appends to the buffer that each call is given.
pub struct Sealer {
    kind: ContentKind,
    writer: ContentWriter,
    cipher: ContentSealer,
    /// The authenticated attributes with the tag of a SET OF, if there are any.
    attributes: Vec<u8>,
    /// Octets of the content that are still to come, if their number was told.
    left: Option<u64>,
    sealed: Vec<u8>,
}

impl Sealer {
    /// Begins: AES-CBC makes EnvelopedData, AES-GCM AuthEnvelopedData. The content key and all else that is random are
    /// made here. Where the content's length is told, what is written is DER; else it has indefinite lengths.
    ///
    /// # Errors
    /// There is no recipient, or too many; a key does not take what it is sealed by; the cipher is too weak to seal with.
    pub fn new(
        content: ContentEncryption,
        content_type: ObjectIdentifier,
        recipients: &[SealTo],
        length: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Result<Self, CmsError> {
        if recipients.is_empty() {
            return Err(CmsError::Unexpected("there is nobody to seal for"));
        }
        if recipients.len() > limits::RECIPIENTS {
            return Err(CmsError::TooMany { what: "recipients", limit: limits::RECIPIENTS });
        }
        let (kind, parameters) = fresh(content)?;
        let mut key = Zeroizing::new(vec![0; content.key_octets()]);
        rand::fill(&mut key)?;
        let mut infos: Vec<Vec<u8>> = recipients.iter().map(|to| to.seal(&key)).collect::<Result<_, _>>()?;
        infos.sort_unstable();
        let infos = encode(SET, &infos.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let fields = [encode(INTEGER, &[&[version(kind, recipients)]]), infos].concat();
        let content_type = encode(OID, &[content_type.as_bytes()]);
        let inner = [content_type.clone(), parameters.identifier()?.to_der()?].concat();
        let attributes = match kind {
            // RFC 5083 §2.1: any type but that of plain content is to be authenticated.
            ContentKind::AuthEnveloped if content_type != encode(OID, &[oid::DATA.as_bytes()]) => {
                let attribute = [&encode(OID, &[oid::CONTENT_TYPE.as_bytes()]), &encode(SET, &[&content_type])];
                encode(SET, &[&encode(SEQUENCE, &attribute.map(Vec::as_slice))])
            }
            _ => Vec::new(),
        };
        let writer = match length {
            None => ContentWriter::segmented(kind, &fields, &inner, out),
            Some(length) => {
                let behind = behind(kind, &attributes, &[0; TAG_OCTETS]);
                let behind = u64::try_from(behind.len()).unwrap_or(u64::MAX);
                ContentWriter::definite(kind, &fields, &inner, sealed_length(content, length), behind, out)
            }
        };
        let cipher = ContentSealer::new(&parameters, &key)?;
        Ok(Self { kind, writer, cipher, attributes, left: length, sealed: Vec::new() })
    }

    /// Seals octets of the content.
    ///
    /// # Errors
    /// They are more than was told, or than may stand under one key.
    pub fn update(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CmsError> {
        if let Some(left) = &mut self.left {
            let octets = u64::try_from(plain.len()).unwrap_or(u64::MAX);
            *left = left.checked_sub(octets).ok_or(CmsError::Unexpected("the content is longer than was told"))?;
        }
        self.sealed.clear();
        self.cipher.update(plain, &mut self.sealed)?;
        self.writer.content(&self.sealed, out);
        Ok(())
    }

    /// Ends.
    ///
    /// # Errors
    /// The content is shorter than was told.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), CmsError> {
        if self.left.is_some_and(|left| left > 0) {
            return Err(CmsError::Unexpected("the content is shorter than was told"));
        }
        self.sealed.clear();
        let tag = self.cipher.finish(&self.attributes, &mut self.sealed)?;
        self.writer.content(&self.sealed, out);
        let behind = behind(self.kind, &self.attributes, tag.as_ref().map_or(&[], |tag| &tag[..]));
        self.writer.finish(&behind, out);
        Ok(())
    }
}

/// What stands behind the content: authenticated attributes and tag, or nothing.
fn behind(kind: ContentKind, attributes: &[u8], tag: &[u8]) -> Vec<u8> {
    if kind != ContentKind::AuthEnveloped {
        return Vec::new();
    }
    let tagged = match attributes.split_first() {
        Some((_, rest)) => [&[constructed(1)], rest].concat(),
        None => Vec::new(),
    };
    [tagged, encode(OCTET_STRING, &[tag])].concat()
}

fn fresh(content: ContentEncryption) -> Result<(ContentKind, ContentParameters), CmsError> {
    match content {
        ContentEncryption::AesCbc(key) => {
            let mut iv = [0; 16];
            rand::fill(&mut iv)?;
            Ok((ContentKind::Enveloped, ContentParameters::AesCbc { key, iv }))
        }
        ContentEncryption::AesGcm(key) => {
            let mut nonce = vec![0; NONCE_OCTETS];
            rand::fill(&mut nonce)?;
            Ok((ContentKind::AuthEnveloped, ContentParameters::AesGcm { key, nonce, tag_octets: TAG_OCTETS }))
        }
        ContentEncryption::TripleDesCbc => Err(CmsError::Weak("Triple DES")),
    }
}

/// RFC 5652 §6.1, RFC 5083 §2.1.
fn version(kind: ContentKind, recipients: &[SealTo]) -> u8 {
    if kind == ContentKind::AuthEnveloped {
        0
    } else if recipients.iter().any(|to| to.way == SealWay::Kem) {
        3
    } else if recipients.iter().all(SealTo::is_version_0) {
        0
    } else {
        2
    }
}

fn sealed_length(content: ContentEncryption, length: u64) -> u64 {
    // CBC pads to the next block, a full one if need be (RFC 5652 §6.3).
    if content.is_authenticated() { length } else { (length / 16).saturating_add(1).saturating_mul(16) }
}
