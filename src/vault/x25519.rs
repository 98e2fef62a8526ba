//! X25519 recipients (C2SP age v1, "The X25519 recipient type"; RFC 7748).

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use zeroize::Zeroizing;

use crate::vault::error::VaultError;
use crate::vault::random::random_octets;
use crate::vault::wrapped::{BODY, FileKey, KEY, Wrapped, hkdf, lock_body, unlock_body};

const INFO: &[u8] = b"age-encryption.org/v1/X25519";
/// The wrap key is used once, so its nonce may be zero.
const NONCE: [u8; 12] = [0; 12];

/// A private scalar and its public point. The library erases the scalar when it is dropped.
pub(crate) struct KeyPair {
    private: PrivateKey,
    /// The public point.
    pub public: [u8; KEY],
}

impl KeyPair {
    /// A fresh one.
    pub(crate) fn generate() -> Result<Self, VaultError> {
        let secret: Zeroizing<[u8; KEY]> = Zeroizing::new(random_octets()?);
        Self::of(&secret)
    }

    /// The one of this scalar.
    pub(crate) fn of(secret: &[u8; KEY]) -> Result<Self, VaultError> {
        let private = PrivateKey::from_private_key(&X25519, secret).map_err(|_| VaultError::CryptographyFailed)?;
        let public = private.compute_public_key()?;
        let public = public.as_ref().try_into().map_err(|_| VaultError::CryptographyFailed)?;
        Ok(Self { private, public })
    }

    /// The secret shared with whoever has this point, `None` if the point is of small order: the secret would be zero,
    /// which the library refuses.
    pub(crate) fn agree(&self, peer: &[u8; KEY]) -> Option<Zeroizing<[u8; KEY]>> {
        let peer = UnparsedPublicKey::new(&X25519, peer);
        agree(&self.private, peer, (), |shared| <[u8; KEY]>::try_from(shared).map(Zeroizing::new).map_err(|_| ())).ok()
    }

    /// The file key, if it was locked to this pair.
    pub(crate) fn unlock(&self, share: &[u8; KEY], body: &[u8; BODY]) -> Result<Option<FileKey>, VaultError> {
        let shared = self.agree(share).ok_or(VaultError::NotAnAgeFile("an X25519 share is of small order"))?;
        let wrap_key = wrap_key(&shared, share, &self.public)?;
        unlock_body(&wrap_key, NONCE, body)
    }
}

/// Locks a file key to whoever has this point.
pub(crate) fn lock(recipient: &[u8; KEY], file_key: &FileKey) -> Result<Wrapped, VaultError> {
    let ephemeral = KeyPair::generate()?;
    let shared = ephemeral.agree(recipient).ok_or(VaultError::CryptographyFailed)?;
    let wrap_key = wrap_key(&shared, &ephemeral.public, recipient)?;
    Ok(Wrapped::X25519 { share: ephemeral.public, body: lock_body(&wrap_key, NONCE, file_key)? })
}

fn wrap_key(shared: &[u8; KEY], share: &[u8; KEY], recipient: &[u8; KEY]) -> Result<Zeroizing<[u8; KEY]>, VaultError> {
    hkdf(shared, &[&share[..], recipient].concat(), INFO)
}
