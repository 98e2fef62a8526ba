//! The keys we sign with, RSA (RFC 6376 §3.3.1) and Ed25519 (RFC 8463): read from PEM, made anew, and told as the record
//! that others verify by.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::sender_auth::canonical::BodyDigest;

/// Characters of a line of PEM (RFC 7468 §2).
const PEM_LINE: usize = 64;
/// Octets of a record that are read.
const RECORD_OCTETS: usize = 8 * 1024;

/// What a signature is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// `rsa-sha256`: everybody can verify it.
    Rsa,
    /// `ed25519-sha256` (RFC 8463): short, and not known everywhere yet.
    Ed25519,
}

/// Not the name of an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are rsa and ed25519")]
pub struct AlgorithmUnknown;

/// A private key. It does not print.
pub struct SigningKey(Pair);

enum Pair {
    Rsa(rsa::KeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyUnusable {
    /// No block of PEM that holds an unencrypted private key.
    #[error("no private key in PEM")]
    NoPem,
    /// Shorter than anybody should believe (RFC 8301 §3.2), or longer than verifiers take.
    #[error("an RSA key of another length than 2048 to 8192 bits")]
    Length,
    /// What is there is neither RSA nor Ed25519, or it is damaged.
    #[error("neither an RSA nor an Ed25519 key")]
    Kind,
    /// The library could not make one.
    #[error("the key cannot be made")]
    NotMade,
}

/// The library could not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no signature could be made")]
pub struct SignFault;

impl Algorithm {
    /// The `a=` tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        }
    }

    /// The `k=` tag, and what operators call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = AlgorithmUnknown;

    fn from_str(text: &str) -> Result<Self, AlgorithmUnknown> {
        [Self::Rsa, Self::Ed25519].into_iter().find(|it| it.name().eq_ignore_ascii_case(text)).ok_or(AlgorithmUnknown)
    }
}

impl SigningKey {
    /// Reads the first private key of a PEM text: PKCS #8 (RSA, Ed25519) or PKCS #1 (RSA).
    ///
    /// # Errors
    /// [`KeyUnusable`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyUnusable> {
        let rsa = |read: Result<rsa::KeyPair, aws_lc_rs::error::KeyRejected>| {
            read.map(|pair| Self(Pair::Rsa(pair))).map_err(|fault| match fault.to_string().as_str() {
                "TooSmall" | "TooLarge" => KeyUnusable::Length,
                _ => KeyUnusable::Kind,
            })
        };
        match PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyUnusable::NoPem)? {
            PrivateKeyDer::Pkcs1(der) => rsa(rsa::KeyPair::from_der(der.secret_pkcs1_der())),
            PrivateKeyDer::Pkcs8(der) => match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()) {
                Ok(pair) => Ok(Self(Pair::Ed25519(pair))),
                Err(_) => rsa(rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der())),
            },
            _ => Err(KeyUnusable::Kind),
        }
    }

    /// Makes a key: RSA of 2048 bits, whose record fits into the DNS everywhere, or Ed25519. RSA takes a good part of a
    /// second.
    ///
    /// # Errors
    /// [`KeyUnusable::NotMade`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyUnusable> {
        let made = match algorithm {
            Algorithm::Rsa => rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map(Pair::Rsa),
            Algorithm::Ed25519 => Ed25519KeyPair::generate().map(Pair::Ed25519),
        };
        made.map(Self).map_err(|_| KeyUnusable::NotMade)
    }

    /// The key as PKCS #8 in PEM, for keeping.
    ///
    /// # Errors
    /// [`KeyUnusable::NotMade`] if the library cannot write it.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyUnusable> {
        let der = match &self.0 {
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map(|der| Zeroizing::new(der.as_ref().to_vec())),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map(|der| Zeroizing::new(der.as_ref().to_vec())),
        };
        let der = der.map_err(|_| KeyUnusable::NotMade)?;
        let text = Zeroizing::new(STANDARD.encode(&*der));
        // Room for all of it: a text that grew would leave copies behind.
        let mut pem = Zeroizing::new(String::with_capacity(text.len() + text.len() / PEM_LINE + 64));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        for line in text.as_bytes().chunks(PEM_LINE) {
            pem.push_str(std::str::from_utf8(line).unwrap_or_default());
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// What it signs by.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Pair::Rsa(_) => Algorithm::Rsa,
            Pair::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// How long it is.
    #[must_use]
    pub fn bits(&self) -> usize {
        match &self.0 {
            Pair::Rsa(pair) => pair.public_modulus_len() * 8,
            Pair::Ed25519(_) => 256,
        }
    }

    /// The public half in base 64, as the `p=` tag has it (RFC 6376 §3.6.1, RFC 8463 §4).
    ///
    /// # Errors
    /// [`KeyUnusable::Kind`] if the library cannot write it.
    pub fn public(&self) -> Result<String, KeyUnusable> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let der: Result<PublicKeyX509Der<'_>, Unspecified> = pair.public_key().as_der();
                der.map(|der| STANDARD.encode(der.as_ref())).map_err(|_| KeyUnusable::Kind)
            }
            Pair::Ed25519(pair) => Ok(STANDARD.encode(pair.public_key().as_ref())),
        }
    }

    /// The TXT record that others verify by (RFC 6376 §3.6.1).
    ///
    /// # Errors
    /// As [`SigningKey::public`].
    pub fn record(&self) -> Result<String, KeyUnusable> {
        Ok(format!("v=DKIM1; k={}; p={}", self.algorithm(), self.public()?))
    }

    /// A signature over these octets. Ed25519 signs their SHA-256 (RFC 8463 §3).
    ///
    /// # Errors
    /// [`SignFault`].
    pub fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, SignFault> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), octets, &mut signature).map_err(|_| SignFault)?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets);
                pair.try_sign(digest.as_ref()).map(|signature| signature.as_ref().to_vec()).map_err(|_| SignFault)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key …", self.algorithm())
    }
}

impl BodyDigest {
    /// In base 64, as the `bh=` tag has it.
    #[must_use]
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }
}

/// Whether a TXT record publishes this public half, as [`SigningKey::public`] tells it: the tags are read as a verifier
/// would (RFC 6376 §3.6.1).
#[must_use]
pub fn publishes(record: &str, algorithm: Algorithm, public: &str) -> bool {
    if record.len() > RECORD_OCTETS {
        return false;
    }
    let (mut kind, mut key) = ("rsa", None);
    for (place, tag) in record.split(';').enumerate() {
        let Some((name, value)) = tag.split_once('=') else { continue };
        match (name.trim(), value.trim()) {
            ("v", version) if place > 0 || version != "DKIM1" => return false,
            ("k", name) => kind = name,
            ("p", text) => key = Some(text),
            ("h", hashes) if hashes.split(':').all(|hash| hash.trim() != "sha256") => return false,
            ("s", uses) if uses.split(':').all(|only| !matches!(only.trim(), "*" | "email")) => return false,
            _ => {}
        }
    }
    let bare = key.map(|key| key.chars().filter(|c| !c.is_whitespace()).collect::<String>());
    kind == algorithm.name() && bare.is_some_and(|bare| bare == public)
}

#[cfg(test)]
mod tests {
    use crate::sender_auth::signing_key::*;

    #[test]
    fn a_key_that_is_made_is_read_again() {
        for (algorithm, bits) in [(Algorithm::Rsa, 2048), (Algorithm::Ed25519, 256)] {
            let key = SigningKey::generate(algorithm).unwrap();
            let read = SigningKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
            assert_eq!((read.algorithm(), read.bits()), (algorithm, bits));
            assert_eq!(read.record(), key.record());
            assert!(publishes(&key.record().unwrap(), algorithm, &key.public().unwrap()));
            assert!(!format!("{key:?}").contains(key.to_pem().unwrap().lines().nth(1).unwrap()));
        }
    }

    #[test]
    fn what_is_no_key_of_ours_is_told() {
        let ec = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let damaged = SigningKey::generate(Algorithm::Rsa).unwrap().to_pem().unwrap().replacen("MII", "MIJ", 1);
        for (pem, fault) in [
            ("", KeyUnusable::NoPem),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", KeyUnusable::NoPem),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", KeyUnusable::NoPem),
            (ec.as_str(), KeyUnusable::Kind),
            (damaged.as_str(), KeyUnusable::Kind),
        ] {
            assert_eq!(SigningKey::from_pem(pem.as_bytes()).unwrap_err(), fault, "{pem}");
        }
    }

    #[test]
    fn a_record_is_read_as_a_verifier_would() {
        for (record, fits) in [
            ("v=DKIM1; k=ed25519; p=AAAA", true),
            ("k=ed25519;p= AA\tAA ;", true),
            ("v=DKIM1; h=sha1:sha256; s=*; k=ed25519; p=AAAA; t=s", true),
            ("k=ed25519; v=DKIM1; p=AAAA", false),
            ("v=DKIM2; k=ed25519; p=AAAA", false),
            ("v=DKIM1; p=AAAA", false),
            ("v=DKIM1; k=ed25519; p=", false),
            ("v=DKIM1; k=ed25519", false),
            ("v=DKIM1; h=sha1; k=ed25519; p=AAAA", false),
            ("v=DKIM1; s=other; k=ed25519; p=AAAA", false),
            ("", false),
        ] {
            assert_eq!(publishes(record, Algorithm::Ed25519, "AAAA"), fits, "{record}");
        }
    }
}
