//! What was found on opening a message: how it came, and who signed it. Pure.

use std::fmt;

use crate::cms::algorithm::ContentEncryption;
use crate::cms::{Certificate, Flaw, PathFault, SignerFault, Weakness};
use crate::mail::{Address, Domain};

/// How a message came, and what was found on opening it: layers from the outermost on.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// How it was sealed.
    pub seals: Vec<SealReport>,
    /// Who signed it.
    pub signatures: Vec<SignatureReport>,
}

/// One seal that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealReport {
    /// By which cipher.
    pub cipher: ContentEncryption,
    /// It was sealed to a domain of ours, not to a mailbox.
    pub is_to_domain: bool,
    /// SHA-256 of our certificate whose key opened it.
    pub opened_by: [u8; 32],
}

/// What is found of one signer.
#[derive(Debug, Clone)]
pub struct SignatureReport {
    /// His certificate, as far as it is at hand.
    pub certificate: Option<Certificate>,
    /// Whether the signature is over the content, not over a seal of somebody else's around it.
    pub is_over_content: bool,
    /// Whether it holds; if so, what weakens it.
    pub holds: Result<Option<Weakness>, SignerFault>,
    /// Whether a path leads from his certificate to somebody we believe.
    pub trusted: Result<(), PathFault>,
    /// Whose he is.
    pub belonging: Belonging,
    /// What can be sealed to him with, if all is well: a certificate that came with the signature.
    pub seal_to: Option<Certificate>,
}

/// Whose a signer is, for the author of the message (RFC 8550 §3, RFC 3183 §3.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Belonging {
    /// The author's: the certificate names his address.
    Author,
    /// A domain's, which is the author's or stands above it: by the tunnel, or by the name of its authority.
    Domain(Domain),
    /// Nobody's that is known: the certificate names no address, as an organisation's may.
    Nobody,
    /// Somebody else's.
    Other,
}

/// All of it in one word, as the fields say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureWord {
    /// The signature holds, its certificate is believed, and it is the author's or his domain's.
    Valid,
    /// It holds by means on which nobody should rely.
    Weak,
    /// It does not hold.
    Invalid,
    /// Its certificate has expired, or is not valid yet.
    Expired,
    /// Its certificate is revoked.
    Revoked,
    /// Nothing tells whether its certificate is revoked.
    Unchecked,
    /// No path leads to somebody we believe.
    Untrusted,
    /// It is somebody else's than the author's, or nobody's that is known.
    Mismatch,
    /// It is over a seal: who put it there need not have seen the content.
    Outside,
}

impl Provenance {
    /// The signature that counts: the best over the content, of those that are as good the innermost.
    #[must_use]
    pub fn signature(&self) -> Option<&SignatureReport> {
        self.signatures.iter().max_by_key(|report| (report.word() == SignatureWord::Valid, report.is_over_content))
    }

    /// What is said of its signatures in a word; none where nobody signed.
    #[must_use]
    pub fn word(&self) -> Option<SignatureWord> {
        self.signature().map(SignatureReport::word)
    }

    /// The domain that vouches for it: whose signature is valid, its own or its author's.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        self.signatures.iter().filter(|report| report.word() == SignatureWord::Valid).find_map(|report| {
            match &report.belonging {
                Belonging::Domain(domain) => Some(domain),
                Belonging::Author | Belonging::Nobody | Belonging::Other => None,
            }
        })
    }

    /// Whether it came from domain to domain: it was sealed to a domain of ours, or signed by a partner's.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.seals.iter().any(|seal| seal.is_to_domain) || self.domain().is_some()
    }

    /// The cipher it was sealed with, if it was.
    #[must_use]
    pub fn cipher(&self) -> Option<ContentEncryption> {
        let strength = |cipher: &ContentEncryption| (!cipher.is_weak(), cipher.is_authenticated(), cipher.key_octets());
        // Of seals within each other the strongest decides who could read it.
        self.seals.iter().map(|seal| seal.cipher).max_by_key(strength)
    }
}

impl SignatureReport {
    /// All of it in one word.
    #[must_use]
    pub fn word(&self) -> SignatureWord {
        if self.holds.is_err() {
            return SignatureWord::Invalid;
        }
        match &self.trusted {
            Err(PathFault { flaw: Flaw::IsRevoked(..), .. }) => return SignatureWord::Revoked,
            Err(PathFault { flaw: Flaw::HasExpired(_) | Flaw::IsNotYetValid(_), .. }) => return SignatureWord::Expired,
            Err(PathFault { flaw: Flaw::RevocationIsUnknown, .. }) => return SignatureWord::Unchecked,
            Err(_) => return SignatureWord::Untrusted,
            Ok(()) => {}
        }
        match (&self.belonging, self.is_over_content, &self.holds) {
            (Belonging::Nobody | Belonging::Other, ..) => SignatureWord::Mismatch,
            (_, false, _) => SignatureWord::Outside,
            (_, _, Ok(Some(_))) => SignatureWord::Weak,
            (Belonging::Author | Belonging::Domain(_), ..) => SignatureWord::Valid,
        }
    }

    /// Who signed, for people: an organisation's number, an address, or the subject.
    #[must_use]
    pub fn signer(&self) -> String {
        self.certificate.as_ref().map(|certificate| certificate.subject().to_string()).unwrap_or_default()
    }

    /// The address that his certificate names first, if any.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.certificate.as_ref().and_then(|certificate| certificate.addresses().into_iter().next())
    }
}

impl SignatureWord {
    /// As it stands in `X-Sealgate-Origin`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Weak => "weak",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unchecked => "unchecked",
            Self::Untrusted => "untrusted",
            Self::Mismatch => "mismatch",
            Self::Outside => "outside",
        }
    }

    /// The result of `smime` that it is (RFC 7281 §3).
    #[must_use]
    pub fn result(self) -> &'static str {
        match self {
            Self::Valid => "pass",
            Self::Invalid | Self::Revoked => "fail",
            Self::Unchecked => "temperror",
            Self::Weak | Self::Expired | Self::Untrusted | Self::Mismatch | Self::Outside => "policy",
        }
    }
}

impl fmt::Display for SignatureWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
