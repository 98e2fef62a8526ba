//! Recipients and identities as the age format writes them (C2SP age v1, "Native recipient types").

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::vault::bech32;
use crate::vault::error::VaultError;
use crate::vault::hybrid::{HybridKeyPair, HybridRecipient};
use crate::vault::random::random_octets;
use crate::vault::wrapped::{FileKey, KEY, Wrapped};
use crate::vault::x25519::{self, KeyPair};

const X25519_RECIPIENT: &str = "age";
const X25519_IDENTITY: &str = "age-secret-key-";
const HYBRID_RECIPIENT: &str = "age1pq";
const HYBRID_IDENTITY: &str = "age-secret-key-pq-";

/// Who can unlock, by public key: `age1…` (X25519) or `age1pq1…` (hybrid post-quantum).
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(Public);

#[derive(Clone, PartialEq, Eq)]
enum Public {
    X25519([u8; KEY]),
    Hybrid(HybridRecipient),
}

/// The private half: `AGE-SECRET-KEY-1…` or `AGE-SECRET-KEY-PQ-1…`. Does not print; zeroized when its last clone is
/// dropped.
#[derive(Clone)]
pub struct Identity(Arc<Private>);

struct Private {
    secret: Zeroizing<[u8; KEY]>,
    pair: Pair,
}

enum Pair {
    X25519(KeyPair),
    Hybrid(Box<HybridKeyPair>),
}

/// The text is no key of the age format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Not bech32, or the wrong prefix or length.
    #[error("not an age key (age1…, age1pq1…, AGE-SECRET-KEY-1… or AGE-SECRET-KEY-PQ-1…)")]
    NotAKey,
}

impl Recipient {
    /// Locks a file key to this recipient.
    pub(crate) fn wrap(&self, file_key: &FileKey) -> Result<Wrapped, VaultError> {
        match &self.0 {
            Public::X25519(public) => x25519::lock(public, file_key),
            Public::Hybrid(public) => public.lock(file_key),
        }
    }
}

impl Identity {
    /// A fresh X25519 identity: small, fast, opened by every age program.
    ///
    /// # Errors
    /// [`VaultError::CryptographyFailed`] if the system has no randomness.
    pub fn generate() -> Result<Self, VaultError> {
        Self::x25519(Zeroizing::new(random_octets()?))
    }

    /// A fresh hybrid identity, which a quantum computer does not break; age 1.3 and later open what is locked to it.
    ///
    /// # Errors
    /// [`VaultError::CryptographyFailed`] if the system has no randomness.
    pub fn generate_hybrid() -> Result<Self, VaultError> {
        Self::hybrid(Zeroizing::new(random_octets()?))
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        match &self.0.pair {
            Pair::X25519(pair) => Recipient(Public::X25519(pair.public)),
            Pair::Hybrid(pair) => Recipient(Public::Hybrid(pair.recipient.clone())),
        }
    }

    /// The text of an identity file's line, zeroized when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let hrp = match &self.0.pair {
            Pair::X25519(_) => X25519_IDENTITY,
            Pair::Hybrid(_) => HYBRID_IDENTITY,
        };
        let lower = Zeroizing::new(bech32::encode(hrp, self.0.secret.as_ref()));
        Zeroizing::new(lower.to_ascii_uppercase())
    }

    /// The file key, if it was locked to this identity.
    ///
    /// # Errors
    /// [`VaultError::NotAnAgeFile`] if the stanza is one that nobody honest writes.
    pub(crate) fn unwrap_key(&self, wrapped: &Wrapped) -> Result<Option<FileKey>, VaultError> {
        match (&self.0.pair, wrapped) {
            (Pair::X25519(pair), Wrapped::X25519 { share, body }) => pair.unlock(share, body),
            (Pair::Hybrid(pair), Wrapped::Hybrid { encapsulated, body }) => pair.unlock(encapsulated, body),
            (Pair::X25519(_), Wrapped::Hybrid { .. } | Wrapped::Scrypt { .. })
            | (Pair::Hybrid(_), Wrapped::X25519 { .. } | Wrapped::Scrypt { .. }) => Ok(None),
        }
    }

    fn x25519(secret: Zeroizing<[u8; KEY]>) -> Result<Self, VaultError> {
        let pair = Pair::X25519(KeyPair::of(&secret)?);
        Ok(Self(Arc::new(Private { secret, pair })))
    }

    fn hybrid(secret: Zeroizing<[u8; KEY]>) -> Result<Self, VaultError> {
        let pair = Pair::Hybrid(Box::new(HybridKeyPair::of(&secret)?));
        Ok(Self(Arc::new(Private { secret, pair })))
    }
}

impl FromStr for Recipient {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        let (hrp, octets) = bech32::decode(text.trim()).ok_or(KeyFault::NotAKey)?;
        let public = match hrp.as_str() {
            X25519_RECIPIENT => octets.try_into().ok().map(Public::X25519),
            HYBRID_RECIPIENT => octets.try_into().ok().and_then(HybridRecipient::of).map(Public::Hybrid),
            _ => None,
        };
        public.map(Self).ok_or(KeyFault::NotAKey)
    }
}

impl FromStr for Identity {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        let (hrp, octets) = bech32::decode(text.trim()).ok_or(KeyFault::NotAKey)?;
        let octets = Zeroizing::new(octets);
        let secret: [u8; KEY] = octets.as_slice().try_into().map_err(|_| KeyFault::NotAKey)?;
        let secret = Zeroizing::new(secret);
        let identity = match hrp.as_str() {
            X25519_IDENTITY => Self::x25519(secret),
            HYBRID_IDENTITY => Self::hybrid(secret),
            _ => return Err(KeyFault::NotAKey),
        };
        identity.map_err(|_| KeyFault::NotAKey)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match &self.0 {
            Public::X25519(public) => bech32::encode(X25519_RECIPIENT, public),
            Public::Hybrid(public) => bech32::encode(HYBRID_RECIPIENT, public.as_bytes()),
        })
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

#[cfg(test)]
mod tests {
    use crate::vault::key::*;

    #[test]
    fn keys_survive_the_way_there_and_back() {
        for identity in [Identity::generate().unwrap(), Identity::generate_hybrid().unwrap()] {
            let again: Identity = identity.to_text().parse().unwrap();
            assert_eq!(again.recipient(), identity.recipient());
            let recipient = identity.recipient().to_string();
            assert_eq!(recipient.parse::<Recipient>().unwrap(), identity.recipient());
            assert_eq!(format!("{identity:?}"), "…");
            // The halves are told apart, and a changed letter is found.
            assert!(recipient.parse::<Identity>().is_err());
            assert!(identity.to_text().parse::<Recipient>().is_err());
            let changed = if recipient.ends_with('q') { "p" } else { "q" };
            assert!(format!("{}{changed}", &recipient[..recipient.len() - 1]).parse::<Recipient>().is_err());
        }
    }

    /// The age specification's example.
    #[test]
    fn the_specifications_pair_belongs_together() {
        let identity: Identity =
            "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX".parse().unwrap();
        let recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
        assert_eq!(identity.recipient().to_string(), recipient);
    }
}
