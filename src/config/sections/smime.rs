//! `[[own_certificate]]`, `[trust]` and `[[tunnel]]`: S/MIME, ours and theirs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::directory::{NoScope, Scope};
use crate::fault::{
    At, FilePath, Key, Keys, Place, Reader, Secret, Section, Setting, TextSetting, UnknownWord, Value, settings, words,
};
use crate::mail::Domain;

settings! {
    /// A certificate of ours for S/MIME; several generations may stand side by side. The newest that is valid signs, and all of
    /// them open what was sealed to them: keep the old ones. What comes in sealed to
    /// one of them is opened.
    pub struct OwnCertificate named "for" {
        /// A domain (the tunnel) or a mailbox (a department, a person).
        r#for: CertificateFor,
        /// The certificate in PEM, or as PKCS #7 or DER: leaf first, then its chain.
        certificate: FilePath,
        /// Its private key, unencrypted: a file nobody else may read, `credential:NAME` or `pkcs11:…`.
        key: KeySource,
    }

    /// How mail is sealed with S/MIME, where `[[tunnel]]` does not say otherwise for a partner.
    pub struct Smime {
        /// The cipher: `auto` is AES-256-GCM where the partner's certificates say that it can be opened, else AES-256-CBC.
        cipher: CipherWord = "auto",
        /// How the content key is encrypted for an RSA key. `pkcs1` is for partners that can do nothing else.
        key_transport: KeyTransportWord = "oaep",
        /// What stands outside as subject; the true one is sealed (RFC 9788). `hidden` is `[...]`; `neutral` is a sentence that says
        /// who has sent a secure message; `open` is the subject itself, for partners whose programs look nowhere else.
        subject: SubjectWord = "hidden",
    }

    /// Whom we believe about S/MIME certificates, of partners and of those who sign what comes in.
    pub struct Trust {
        /// Files of certificates, in PEM or DER, each of which is a trust anchor.
        roots: Vec<FilePath>,
        /// Revocation lists, files or http addresses, beside those named in certificates.
        crls: Vec<ListPlace>,
        /// How long a revocation list or an OCSP answer is believed after the next was due: how long an outage of the authority
        /// may last.
        grace: Duration = "3d",
        /// What is done with a certificate that names places where its revocation is told, when none of them tells.
        unknown_revocation: UnknownRevocation = "refuse",
        /// What is done with certificates that come with signed mail.
        strangers: StrangersWord = "ask",
    }

    /// Another organisation whose mail is sealed domain to domain. While none of its certificates can be used, mail to it waits.
    /// `sealgate tunnel import` and `sealgate tunnel add` take up others without an entry here.
    pub struct Tunnel named "domain" {
        /// Their domain.
        domain: Domain,
        /// Their domain certificate in PEM or DER; several generations may stand in the file.
        certificate: FilePath,
        /// What it is trusted for.
        trust: TunnelTrust = "roots",
        /// As `smime.cipher`, for this partner.
        cipher: Option<CipherWord>,
        /// As `smime.key_transport`, for this partner.
        key_transport: Option<KeyTransportWord>,
        /// As `smime.subject`, for this partner.
        subject: Option<SubjectWord>,
    }
}

words! {
    /// What is done when nothing tells whether a certificate is revoked.
    pub enum UnknownRevocation {
        /// It is not used: another channel serves, or the mail waits.
        Refuse = "refuse",
        /// It is used.
        Use = "use",
    }

    /// What is done with certificates that come with signed mail.
    pub enum StrangersWord {
        /// Somebody accepts them first.
        Ask = "ask",
        /// They are used if a path leads to a root, and the address had no other.
        Trusted = "trusted",
    }

    /// By which cipher mail is sealed.
    pub enum CipherWord {
        /// The best that the partner says it can open.
        Auto = "auto",
        /// AES-256-GCM (AuthEnvelopedData).
        Aes256Gcm = "aes256-gcm",
        /// AES-256-CBC.
        Aes256Cbc = "aes256-cbc",
        /// AES-128-CBC.
        Aes128Cbc = "aes128-cbc",
    }

    /// How RSA encrypts a content key.
    pub enum KeyTransportWord {
        /// RSAES-OAEP with SHA-256.
        Oaep = "oaep",
        /// PKCS #1 version 1.5.
        Pkcs1 = "pkcs1",
    }

    /// What stands outside as subject.
    pub enum SubjectWord {
        /// `[...]`.
        Hidden = "hidden",
        /// A sentence that says nothing of the message.
        Neutral = "neutral",
        /// The subject.
        Open = "open",
    }

    /// What a tunnel's certificate is trusted for.
    pub enum TunnelTrust {
        /// A path that leads to a root.
        Roots = "roots",
        /// Being named here.
        Pinned = "pinned",
    }
}

/// A domain or a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFor(pub Scope);

impl FromStr for CertificateFor {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        text.parse().map(Self)
    }
}

impl fmt::Display for CertificateFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TextSetting for CertificateFor {
    const FORM: &'static str = "a domain such as \"sundby.example\" or a mailbox such as \"bygg@sundby.example\"";
}

/// Where a private key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file or a credential.
    Secret(Secret),
    /// In a device: an address by RFC 7512.
    Pkcs11(String),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(secret) => write!(f, "{secret}"),
            Self::Pkcs11(address) => f.write_str(address),
        }
    }
}

impl Setting for KeySource {
    fn form() -> String {
        "a file's path, relative to this file, \"credential:NAME\" or \"pkcs11:…\"".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        match Secret::read(value, at)? {
            Secret::File(file) if file.written.starts_with("pkcs11:") => Some(Self::Pkcs11(file.written)),
            secret => Some(Self::Secret(secret)),
        }
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }

    fn stand_in() -> Option<Self> {
        Secret::stand_in().map(Self::Secret)
    }
}

/// Where a revocation list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListPlace {
    /// In a file.
    File(FilePath),
    /// At an http address.
    Url(String),
}

impl fmt::Display for ListPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(&file.written),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl Setting for ListPlace {
    fn form() -> String {
        "a file's path, relative to this file, or an http address".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let file = FilePath::read(value, at)?;
        if !file.written.contains("://") {
            return Some(Self::File(file));
        }
        if !file.written.starts_with("http://") {
            let hint = "lists are fetched over http, as certificates name them (RFC 5280 §8), or read from a file";
            at.fault(format!("neither a file nor an http address: {}", file.written), hint);
            return None;
        }
        Some(Self::Url(file.written))
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }

    fn stand_in() -> Option<Self> {
        FilePath::stand_in().map(Self::File)
    }
}
