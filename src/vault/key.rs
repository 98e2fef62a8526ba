//! X25519 recipients and identities (C2SP age v1, "The X25519 recipient type").

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use crate::vault::bech32;
use crate::vault::error::VaultError;
use crate::vault::random::random_octets;

/// Octets of a file key.
pub(crate) const FILE_KEY: usize = 16;
const KEY: usize = 32;
const TAG: usize = 16;
const INFO: &[u8] = b"age-encryption.org/v1/X25519";
const RECIPIENT_HRP: &str = "age";
const IDENTITY_HRP: &str = "age-secret-key-";

/// A file key: what a message is locked with.
pub(crate) type FileKey = Zeroizing<[u8; FILE_KEY]>;

/// Who can unlock, by public key: `age1…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient([u8; KEY]);

/// The private half: `AGE-SECRET-KEY-1…`. Does not print; zeroized when dropped.
#[derive(Clone)]
pub struct Identity {
    secret: Zeroizing<[u8; KEY]>,
    public: [u8; KEY],
}

/// The text is no key of the age format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Not bech32, or the wrong prefix or length.
    #[error("not an age X25519 key (age1… or AGE-SECRET-KEY-1…)")]
    NotAKey,
}

/// One stanza's worth of a locked file key.
pub(crate) struct Wrapped {
    /// The ephemeral share.
    pub share: [u8; KEY],
    /// The file key under the wrap key, with its tag.
    pub body: [u8; FILE_KEY + TAG],
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

impl Recipient {
    /// Locks a file key to this recipient.
    pub(crate) fn wrap(&self, file_key: &FileKey) -> Result<Wrapped, VaultError> {
        let ephemeral = Identity::generate()?;
        let wrap_key = wrap_key(&ephemeral.secret, &self.0, &ephemeral.public, &self.0)?;
        let mut body = [0; FILE_KEY + TAG];
        let (plain, tag) = body.split_at_mut(FILE_KEY);
        plain.copy_from_slice(file_key.as_ref());
        let sealed = aead(&wrap_key)?.seal_in_place_separate_tag(zero_nonce(), Aad::empty(), plain)?;
        tag.copy_from_slice(sealed.as_ref());
        Ok(Wrapped { share: ephemeral.public, body })
    }
}

impl Identity {
    /// A fresh identity.
    ///
    /// # Errors
    /// [`VaultError::CryptographyFailed`] if the system has no randomness.
    pub fn generate() -> Result<Self, VaultError> {
        Self::of(Zeroizing::new(random_octets()?))
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(self.public)
    }

    /// The text of an identity file's line, zeroized when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let lower = Zeroizing::new(bech32::encode(IDENTITY_HRP, self.secret.as_ref()));
        Zeroizing::new(lower.to_ascii_uppercase())
    }

    /// The file key, if it was locked to this identity.
    pub(crate) fn unwrap_key(&self, wrapped: &Wrapped) -> Option<FileKey> {
        let wrap_key = wrap_key(&self.secret, &wrapped.share, &wrapped.share, &self.public).ok()?;
        let mut body = Zeroizing::new(wrapped.body);
        let plain = aead(&wrap_key).ok()?.open_in_place(zero_nonce(), Aad::empty(), body.as_mut()).ok()?;
        let mut file_key = FileKey::default();
        (plain.len() == FILE_KEY).then(|| file_key.copy_from_slice(plain))?;
        Some(file_key)
    }

    fn of(secret: Zeroizing<[u8; KEY]>) -> Result<Self, VaultError> {
        let private =
            PrivateKey::from_private_key(&X25519, secret.as_ref()).map_err(|_| VaultError::CryptographyFailed)?;
        let public = private.compute_public_key()?;
        let public = public.as_ref().try_into().map_err(|_| VaultError::CryptographyFailed)?;
        Ok(Self { secret, public })
    }
}

/// HKDF over the shared secret, with the share and the recipient as salt. A share of small order gives an all-zero
/// secret, which the library refuses.
fn wrap_key(
    secret: &[u8; KEY],
    peer: &[u8; KEY],
    share: &[u8; KEY],
    recipient: &[u8; KEY],
) -> Result<Zeroizing<[u8; KEY]>, VaultError> {
    let private = PrivateKey::from_private_key(&X25519, secret).map_err(|_| VaultError::CryptographyFailed)?;
    let salt = [&share[..], recipient].concat();
    agree(&private, UnparsedPublicKey::new(&X25519, peer), VaultError::CryptographyFailed, |shared| {
        hkdf(shared, &salt, INFO)
    })
}

pub(crate) fn aead(key: &[u8; KEY]) -> Result<LessSafeKey, VaultError> {
    Ok(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key)?))
}

/// The wrap key is used once, so its nonce may be zero.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

impl FromStr for Recipient {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        let (hrp, octets) = bech32::decode(text.trim()).ok_or(KeyFault::NotAKey)?;
        if hrp != RECIPIENT_HRP {
            return Err(KeyFault::NotAKey);
        }
        octets.try_into().map(Self).map_err(|_| KeyFault::NotAKey)
    }
}

impl FromStr for Identity {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        let (hrp, octets) = bech32::decode(text.trim()).ok_or(KeyFault::NotAKey)?;
        let octets = Zeroizing::new(octets);
        if hrp != IDENTITY_HRP {
            return Err(KeyFault::NotAKey);
        }
        let secret: [u8; KEY] = octets.as_slice().try_into().map_err(|_| KeyFault::NotAKey)?;
        Self::of(Zeroizing::new(secret)).map_err(|_| KeyFault::NotAKey)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode(RECIPIENT_HRP, &self.0))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
