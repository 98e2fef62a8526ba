//! How partners want their mail sealed.

use std::collections::BTreeMap;

use crate::cms::algorithm::{AesKeyLength, ContentEncryption, KeyTransport};
use crate::cms::{Capabilities, Certificate, SealTo, SealWay};
use crate::mail::Domain;

/// Certificates that one message is sealed to: more generations than a partner has side by side.
const CERTIFICATES: usize = 8;

/// By which cipher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CipherWish {
    /// AES-256-GCM where every certificate says that its owner can open it (RFC 4262), else AES-256-CBC.
    #[default]
    Auto,
    /// AES-256-GCM.
    Aes256Gcm,
    /// AES-256-CBC.
    Aes256Cbc,
    /// AES-128-CBC.
    Aes128Cbc,
}

/// How RSA encrypts the content key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TransportWish {
    /// OAEP with SHA-256.
    #[default]
    Oaep,
    /// PKCS #1 version 1.5, for a partner that can do nothing else.
    Pkcs1,
}

/// What stands outside as subject.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SubjectWish {
    /// `[...]` (RFC 9788 §3.2.1).
    #[default]
    Hidden,
    /// A neutral sentence.
    Neutral,
    /// The subject.
    Open,
}

/// How one partner wants its mail sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealWish {
    /// By which cipher.
    pub cipher: CipherWish,
    /// How RSA encrypts the content key.
    pub transport: TransportWish,
    /// What stands outside as subject.
    pub subject: SubjectWish,
}

/// How all of them do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealWishes {
    /// Who says nothing.
    pub usual: SealWish,
    /// Partners of whom something is said.
    pub of: BTreeMap<Domain, SealWish>,
}

impl SealWishes {
    /// What this domain wants.
    #[must_use]
    pub fn of(&self, domain: &Domain) -> SealWish {
        self.of.get(domain).copied().unwrap_or(self.usual)
    }
}

impl SealWish {
    /// The cipher for these certificates.
    #[must_use]
    pub fn cipher(&self, certificates: &[Certificate]) -> ContentEncryption {
        const GCM: ContentEncryption = ContentEncryption::AesGcm(AesKeyLength::Bits256);
        const CBC: ContentEncryption = ContentEncryption::AesCbc(AesKeyLength::Bits256);
        let opens_gcm = |it: &Certificate| {
            Capabilities::of_certificate(it).is_some_and(|able| able.content().any(|cipher| cipher == GCM))
        };
        match self.cipher {
            CipherWish::Auto if certificates.iter().all(opens_gcm) => GCM,
            CipherWish::Auto | CipherWish::Aes256Cbc => CBC,
            CipherWish::Aes256Gcm => GCM,
            CipherWish::Aes128Cbc => ContentEncryption::AesCbc(AesKeyLength::Bits128),
        }
    }

    /// For whom the content key is encrypted, and how; certificates whose keys seal nothing are left out.
    #[must_use]
    pub fn seal_to(&self, certificates: &[Certificate], cipher: ContentEncryption) -> Vec<SealTo> {
        let each = certificates.iter().filter_map(|certificate| SealTo::usual(certificate, cipher));
        let each = each.map(|to| match (&to.way, self.transport) {
            (SealWay::Transport(_), TransportWish::Pkcs1) => {
                SealTo { way: SealWay::Transport(KeyTransport::Pkcs1v15), ..to }
            }
            _ => to,
        });
        each.take(CERTIFICATES).collect()
    }
}

/// The name of the way in which a content key is encrypted, as traces have it.
#[must_use]
pub fn way_name(way: &SealWay) -> &'static str {
    match way {
        SealWay::Transport(KeyTransport::Oaep { .. }) => "rsa-oaep",
        SealWay::Transport(KeyTransport::Pkcs1v15) => "rsa-pkcs1",
        SealWay::Agreement(_) => "ecdh",
        SealWay::Kem => "ml-kem",
    }
}
