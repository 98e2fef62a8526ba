//! A file key and the forms it is locked in: one stanza a recipient (C2SP age v1, "Native recipient types").

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use crate::vault::error::VaultError;

/// Octets of a file key.
pub(crate) const FILE_KEY: usize = 16;
/// Octets of every other key here.
pub(crate) const KEY: usize = 32;
/// Octets of a locked file key: itself and its tag.
pub(crate) const BODY: usize = FILE_KEY + 16;
/// Octets of what a hybrid stanza encapsulates its key in: ML-KEM-768 ciphertext and X25519 share.
pub(crate) const ENCAPSULATED: usize = 1088 + 32;
/// Octets of a passphrase stanza's salt.
pub(crate) const SALT: usize = 16;

/// A file key: what a message is locked with.
pub(crate) type FileKey = Zeroizing<[u8; FILE_KEY]>;

/// One stanza's worth of a locked file key. The body is the file key under a key of its own, with its tag.
pub(crate) enum Wrapped {
    /// To an X25519 recipient, by an ephemeral share.
    X25519 { share: [u8; KEY], body: [u8; BODY] },
    /// To a hybrid post-quantum recipient, by an encapsulated key.
    Hybrid { encapsulated: Box<[u8; ENCAPSULATED]>, body: [u8; BODY] },
    /// To a passphrase; the cost is the logarithm of the work.
    Scrypt { salt: [u8; SALT], cost: u8, body: [u8; BODY] },
}

/// HKDF output of a length known when it runs.
pub(crate) struct Length(pub usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA-256 (RFC 5869) to 32 octets.
pub(crate) fn hkdf(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; KEY]>, VaultError> {
    let mut okm = Zeroizing::new([0; KEY]);
    Salt::new(HKDF_SHA256, salt).extract(secret).expand(&[info], Length(KEY))?.fill(okm.as_mut())?;
    Ok(okm)
}

pub(crate) fn aead(key: &[u8; KEY]) -> Result<LessSafeKey, VaultError> {
    Ok(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key)?))
}

/// Locks a file key under a key that is used this once; that is why its nonce may be fixed.
pub(crate) fn lock_body(key: &[u8; KEY], nonce: [u8; 12], file_key: &FileKey) -> Result<[u8; BODY], VaultError> {
    let mut body = [0; BODY];
    let (plain, tag) = body.split_at_mut(FILE_KEY);
    plain.copy_from_slice(file_key.as_ref());
    let sealed = aead(key)?.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), plain)?;
    tag.copy_from_slice(sealed.as_ref());
    Ok(body)
}

/// The file key in a body, if this is the key it was locked under.
pub(crate) fn unlock_body(key: &[u8; KEY], nonce: [u8; 12], body: &[u8; BODY]) -> Result<Option<FileKey>, VaultError> {
    let mut body = Zeroizing::new(*body);
    let opened = aead(key)?.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), body.as_mut());
    let plain: Option<&[u8; FILE_KEY]> = opened.ok().and_then(|plain| (&*plain).try_into().ok());
    Ok(plain.map(|plain| FileKey::new(*plain)))
}
