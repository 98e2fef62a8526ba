//! Opens sealed content.

use der::Decode;
use der::oid::ObjectIdentifier;
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::cms::algorithm::{ContentEncryption, ContentParameters};
use crate::cms::cipher::ContentOpener;
use crate::cms::element::{Element, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, constructed, encode};
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::oid;
use crate::cms::private_key::PrivateKey;
use crate::cms::public_key::Strictness;
use crate::cms::recipient::{SealedKey, read_all};
use crate::cms::stream::{Around, Before, ContentKind, Part, Splitter};

/// What stands before sealed content.
#[derive(Debug)]
pub struct Envelope {
    kind: ContentKind,
    keys: Vec<SealedKey>,
    unknown: usize,
    content_type: ObjectIdentifier,
    parameters: ContentParameters,
}

/// How far a message was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All octets are taken, and there may be more.
    More,
    /// The recipients are known: [`Unsealer::unlock`] comes next.
    Recipients,
}

/// What was opened, and may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// What the content says it is, mostly `id-data`.
    pub content_type: ObjectIdentifier,
    /// How it was encrypted: whether anybody could have changed it, and whether anybody could have read it.
    pub cipher: ContentEncryption,
}

/// Opens a ContentInfo that arrives in pieces.
#[derive(Default)]
pub struct Unsealer {
    splitter: Splitter,
    envelope: Option<Envelope>,
    lock: Lock,
    behind: Option<Around>,
}

#[derive(Default)]
enum Lock {
    /// No key was given.
    #[default]
    Closed,
    Open(ContentOpener),
    /// It went wrong; the rest is taken all the same, so that no time tells where.
    Broken,
}

impl Envelope {
    /// The keys, one for each recipient that is named in a way we know.
    #[must_use]
    pub fn keys(&self) -> &[SealedKey] {
        &self.keys
    }

    /// How many recipients there are besides, named or served in ways we do not know.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.unknown
    }

    /// How the content is encrypted.
    #[must_use]
    pub fn cipher(&self) -> ContentEncryption {
        self.parameters.algorithm()
    }

    fn read(before: &Before) -> Result<Self, CmsError> {
        if !before.has_content {
            return Err(CmsError::Unexpected("the sealed content is elsewhere"));
        }
        let mut fields = Element::only(before.fields.as_der(), SEQUENCE)?.fields();
        fields.take(INTEGER)?;
        // Certificates and lists of the sender.
        fields.take_if(constructed(0))?;
        let (keys, unknown) = read_all(&fields.take(SET)?)?;
        fields.end()?;
        let mut inner = Element::only(before.inner.as_der(), SEQUENCE)?.fields();
        let content_type = identifier(&inner.take(OID)?)?;
        let cipher = inner.take(SEQUENCE)?;
        inner.end()?;
        let parameters = ContentParameters::parse(AlgorithmIdentifierRef::from_der(cipher.whole())?)?;
        match (before.kind, parameters.algorithm().is_authenticated()) {
            (ContentKind::Enveloped, false) | (ContentKind::AuthEnveloped, true) => {}
            // RFC 5083 §2.1, RFC 5084 §3.2: each kind has ciphers of its own, so that none is passed off as the other.
            (ContentKind::Enveloped | ContentKind::AuthEnveloped, _) => {
                return Err(CmsError::Unexpected("the cipher is none for this kind of content"));
            }
            (ContentKind::Signed | ContentKind::Compressed, _) => {
                return Err(CmsError::Unexpected("the content is not sealed"));
            }
        }
        Ok(Self { kind: before.kind, keys, unknown, content_type, parameters })
    }
}

impl Unsealer {
    /// Takes octets off the front of `input` and appends what they are decrypted to; none of that is to be used before
    /// [`Self::finish`] has said so. It stops once, when the recipients are known.
    ///
    /// # Errors
    /// Before a key was given: the message is malformed, or of a kind that we do not open. After it:
    /// [`CmsError::CannotBeOpened`] alone.
    pub fn read(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<Progress, CmsError> {
        let is_locked = matches!(self.lock, Lock::Closed);
        self.take(input, out).map_err(|fault| if is_locked { fault } else { CmsError::CannotBeOpened })
    }

    fn take(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<Progress, CmsError> {
        while let Some(part) = self.splitter.next(input)? {
            match part {
                Part::Before(before) => {
                    self.envelope = Some(Envelope::read(&before)?);
                    return Ok(Progress::Recipients);
                }
                Part::Content(sealed) => match &mut self.lock {
                    Lock::Closed => return Err(CmsError::Unexpected("no key was given")),
                    Lock::Broken => {}
                    Lock::Open(opener) => {
                        if opener.update(sealed, out).is_err() {
                            self.lock = Lock::Broken;
                        }
                    }
                },
                Part::Behind(behind) => self.behind = Some(behind),
            }
        }
        Ok(Progress::More)
    }

    /// What stands before the content, once the recipients are known.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_ref()
    }

    /// Gives the private key that one of the keys was sealed for, by its place in [`Envelope::keys`]. Whether it fits
    /// shows at the end.
    ///
    /// # Errors
    /// The cipher is weak and that is not allowed; the private key is of another kind, or its device is not served.
    pub fn unlock(&mut self, place: usize, key: &dyn PrivateKey, strictness: Strictness) -> Result<(), CmsError> {
        let envelope = self.envelope.as_ref().ok_or(CmsError::Unexpected("no recipients are known"))?;
        if envelope.cipher().is_weak() && strictness == Strictness::Strict {
            return Err(CmsError::Weak("Triple DES"));
        }
        let sealed = envelope.keys.get(place).ok_or(CmsError::Unexpected("there is no such recipient"))?;
        let content_key = sealed.open(key, envelope.cipher().key_octets())?;
        self.lock = match ContentOpener::new(&envelope.parameters, &content_key) {
            Ok(opener) => Lock::Open(opener),
            Err(_) => Lock::Broken,
        };
        Ok(())
    }

    /// Says that the input has ended, appends what is left, and says what may be used: all that was appended, or nothing.
    ///
    /// # Errors
    /// [`CmsError::CannotBeOpened`]. Before a key was given: the message has not ended.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<Opened, CmsError> {
        if matches!(self.lock, Lock::Closed) {
            self.splitter.finish()?;
            return Err(CmsError::Unexpected("no key was given"));
        }
        self.end(out).map_err(|_| CmsError::CannotBeOpened)
    }

    fn end(self, out: &mut Vec<u8>) -> Result<Opened, CmsError> {
        self.splitter.finish()?;
        let envelope = self.envelope.ok_or(CmsError::CannotBeOpened)?;
        let behind = self.behind.ok_or(CmsError::CannotBeOpened)?;
        let mut fields = Element::only(behind.as_der(), SEQUENCE)?.fields();
        let Lock::Open(opener) = self.lock else { return Err(CmsError::CannotBeOpened) };
        if envelope.kind == ContentKind::AuthEnveloped {
            let attributes = match fields.take_if(constructed(1))? {
                Some(attributes) => Some(authenticated(&attributes, envelope.content_type)?),
                None if envelope.content_type == oid::DATA => None,
                None => return Err(CmsError::CannotBeOpened),
            };
            let tag = fields.take(OCTET_STRING)?.content();
            // Unauthenticated attributes.
            fields.take_if(constructed(2))?;
            fields.end()?;
            opener.finish(attributes.as_deref().unwrap_or_default(), Some(tag), out)?;
        } else {
            // Unprotected attributes.
            fields.take_if(constructed(1))?;
            fields.end()?;
            opener.finish(&[], None, out)?;
        }
        let cipher = envelope.parameters.algorithm();
        Ok(Opened { content_type: envelope.content_type, cipher })
    }
}

/// The authenticated attributes as the tag covers them: in DER, with the tag of a SET OF (RFC 5083 §2.2). The type that
/// stands among them must be the content's.
fn authenticated(attributes: &Element<'_>, content_type: ObjectIdentifier) -> Result<Vec<u8>, CmsError> {
    let mut all: Vec<&[u8]> = Vec::new();
    let mut found = None;
    for attribute in attributes.fields().all(limits::ATTRIBUTES)? {
        all.push(attribute.whole());
        let mut fields = Element::only(attribute.whole(), SEQUENCE)?.fields();
        if identifier(&fields.take(OID)?)? == oid::CONTENT_TYPE {
            let value = identifier(&fields.take(SET)?.inner(OID)?)?;
            if found.replace(value).is_some() {
                return Err(CmsError::Unexpected("the content has two types"));
            }
        }
    }
    if found.unwrap_or(oid::DATA) != content_type {
        return Err(CmsError::Unexpected("the content's type is not the authenticated one"));
    }
    all.sort_unstable();
    Ok(encode(SET, &all))
}

fn identifier(element: &Element<'_>) -> Result<ObjectIdentifier, CmsError> {
    ObjectIdentifier::from_bytes(element.content()).map_err(|_| CmsError::Unexpected("no object identifier"))
}
