//! Content encrypted and decrypted piece by piece. What it is decrypted to is not to be used before the end has said so.

#[expect(deprecated, reason = "opens what old peers sealed, where that is configured")]
use aws_lc_rs::cipher::DES_EDE3_FOR_LEGACY_USE_ONLY;
use aws_lc_rs::cipher::{
    DecryptionContext, EncryptionContext, StreamingDecryptingKey, StreamingEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use subtle::ConstantTimeEq;

use crate::cms::algorithm::ContentParameters;
use crate::cms::cipher::aes::{AT_ONCE, BLOCK, append, unbound};
use crate::cms::cipher::gcm::Gcm;
use crate::cms::error::CmsError;

/// Encrypts content.
pub(crate) struct ContentSealer(Seals);

enum Seals {
    Cbc(StreamingEncryptingKey),
    Gcm(Box<Gcm>),
}

/// Decrypts content.
pub(crate) struct ContentOpener(Opens);

enum Opens {
    Cbc(StreamingDecryptingKey),
    Gcm { gcm: Box<Gcm>, tag_octets: usize },
}

impl ContentSealer {
    /// With this key. A key and a nonce make one message, never two.
    ///
    /// # Errors
    /// The key is of another length, or the cipher is one that we do not seal with.
    pub(crate) fn new(parameters: &ContentParameters, key: &[u8]) -> Result<Self, CmsError> {
        check_length(parameters, key)?;
        match parameters {
            ContentParameters::AesCbc { iv, .. } => {
                let start = EncryptionContext::Iv128(FixedLength::from(iv));
                Ok(Self(Seals::Cbc(StreamingEncryptingKey::less_safe_cbc_pkcs7(unbound(key)?, start)?)))
            }
            ContentParameters::AesGcm { nonce, .. } => Ok(Self(Seals::Gcm(Box::new(Gcm::new(key, nonce)?)))),
            ContentParameters::TripleDesCbc { .. } => Err(CmsError::Weak("Triple DES")),
        }
    }

    /// Encrypts a piece, and appends as much ciphertext as there is.
    ///
    /// # Errors
    /// There is more than may stand under one nonce.
    pub(crate) fn update(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CmsError> {
        match &mut self.0 {
            Seals::Gcm(gcm) => gcm.seal(plain, out),
            Seals::Cbc(cbc) => plain.chunks(AT_ONCE).try_for_each(|piece| {
                append(out, piece.len() + BLOCK, |room| Ok(cbc.update(piece, room)?.written().len()))
            }),
        }
    }

    /// Appends what is left of the ciphertext, and gives the tag over it and the additional data, if the cipher has one.
    ///
    /// # Errors
    /// [`CmsError::LibraryFailed`].
    pub(crate) fn finish(self, additional: &[u8], out: &mut Vec<u8>) -> Result<Option<[u8; BLOCK]>, CmsError> {
        match self.0 {
            Seals::Gcm(gcm) => Ok(Some(gcm.tag(additional))),
            Seals::Cbc(cbc) => {
                append(out, BLOCK, |room| Ok(cbc.finish(room)?.1.written().len()))?;
                Ok(None)
            }
        }
    }
}

impl ContentOpener {
    /// With this key.
    ///
    /// # Errors
    /// The key is of another length, or none for Triple DES.
    pub(crate) fn new(parameters: &ContentParameters, key: &[u8]) -> Result<Self, CmsError> {
        check_length(parameters, key)?;
        match parameters {
            ContentParameters::AesCbc { iv, .. } => {
                let start = DecryptionContext::Iv128(FixedLength::from(iv));
                Ok(Self(Opens::Cbc(StreamingDecryptingKey::cbc_pkcs7(unbound(key)?, start)?)))
            }
            ContentParameters::TripleDesCbc { iv } => {
                let start = DecryptionContext::Iv64(FixedLength::from(iv));
                #[expect(deprecated, reason = "opens what old peers sealed, where that is configured")]
                let key = UnboundCipherKey::new(&DES_EDE3_FOR_LEGACY_USE_ONLY, key)?;
                Ok(Self(Opens::Cbc(StreamingDecryptingKey::cbc_pkcs7(key, start)?)))
            }
            ContentParameters::AesGcm { nonce, tag_octets, .. } => {
                Ok(Self(Opens::Gcm { gcm: Box::new(Gcm::new(key, nonce)?), tag_octets: *tag_octets }))
            }
        }
    }

    /// Decrypts a piece, and appends as much as there is.
    ///
    /// # Errors
    /// There is more than may stand under one nonce.
    pub(crate) fn update(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), CmsError> {
        match &mut self.0 {
            Opens::Gcm { gcm, .. } => gcm.open(sealed, out),
            Opens::Cbc(cbc) => sealed.chunks(AT_ONCE).try_for_each(|piece| {
                append(out, piece.len() + BLOCK, |room| Ok(cbc.update(piece, room)?.written().len()))
            }),
        }
    }

    /// Appends what is left, and says whether all that was appended may be used: the tag, as long as the parameters say,
    /// is compared; without one, the padding tells all that can be told.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn finish(self, additional: &[u8], tag: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), CmsError> {
        match (self.0, tag) {
            (Opens::Gcm { gcm, tag_octets }, Some(tag)) => {
                let computed = gcm.tag(additional);
                let expected = computed.get(..tag_octets).ok_or(CmsError::CannotBeOpened)?;
                if bool::from(expected.ct_eq(tag)) { Ok(()) } else { Err(CmsError::CannotBeOpened) }
            }
            (Opens::Cbc(cbc), None) => append(out, BLOCK, |room| Ok(cbc.finish(room)?.written().len())),
            _ => Err(CmsError::CannotBeOpened),
        }
    }
}

fn check_length(parameters: &ContentParameters, key: &[u8]) -> Result<(), CmsError> {
    if key.len() == parameters.algorithm().key_octets() { Ok(()) } else { Err(CmsError::LibraryFailed) }
}
