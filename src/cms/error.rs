//! What can go wrong with CMS structures.

use aws_lc_rs::error::Unspecified;
use der::oid::ObjectIdentifier;

/// Why a structure was not read, written, opened or sealed. Nothing here may be told to a peer in detail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    /// The octets are no ASN.1 that X.690 allows.
    #[error("the ASN.1 is broken at octet {at}: {what}")]
    Broken {
        /// Octets before the place.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The octets end within an element.
    #[error("the ASN.1 ends at octet {0}, in the middle")]
    CutOff(u64),
    /// A bound in [`crate::cms::limits`] is passed.
    #[error("there are more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// The ASN.1 is whole, and not the structure that belongs here.
    #[error("{0}")]
    Unexpected(&'static str),
    /// Strict DER says no.
    #[error("the structure does not follow its definition: {0}")]
    Structure(der::Error),
    /// An algorithm that we do not know where one of its kind belongs.
    #[error("{kind} {oid} is not known")]
    UnknownAlgorithm {
        /// Of which kind.
        kind: &'static str,
        /// Which.
        oid: ObjectIdentifier,
    },
    /// The algorithm is known, its parameters are not what its standard says.
    #[error("the parameters of {0} are not what its standard says")]
    BadParameters(&'static str),
    /// The algorithm is known, and nothing here computes it.
    #[error("{0} is not served")]
    NotServed(&'static str),
    /// The algorithm is too weak for what it was to do.
    #[error("{0} is too weak")]
    Weak(&'static str),
    /// Decryption failed: for a wrong key, a damaged message or a forged one alike. Nothing decrypted is to be used.
    #[error("the message cannot be opened")]
    CannotBeOpened,
    /// The cryptographic library did not do what it always does; or a key is none for its algorithm.
    #[error("the cryptographic library failed")]
    LibraryFailed,
}

/// Why a file with certificates or keys was not taken. It is told to whoever brought the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// A structure in it is not what it should be.
    #[error(transparent)]
    Cms(#[from] CmsError),
    /// None of the forms we read.
    #[error("neither PEM nor a certificate, a revocation list, a key, PKCS #7 or PKCS #12")]
    NoKnownForm,
    /// A block has no end, or is no base64.
    #[error("the PEM is damaged")]
    Pem,
    /// More than anybody needs.
    #[error("there are more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// It is locked, and there is no password.
    #[error("it is locked, and no password was given")]
    PasswordMissing,
    /// It is locked with another password, or damaged.
    #[error("the password does not open it")]
    PasswordWrong,
    /// To try a password would take longer than anybody waits.
    #[error("its password is hashed more often than anybody needs")]
    TooMuchWork,
    /// Locked by ciphers that everybody can break, which are not served.
    #[error("it is locked by a cipher of the last century (RC2, RC4, DES or triple DES)")]
    LegacyLock,
    /// A key locked in the way of RFC 1421.
    #[error("the key is locked in the old way of PEM, by a password that is hashed once with MD5")]
    LegacyKey,
    /// Locked by something else.
    #[error("it is locked by {0}, which is not known")]
    UnknownLock(ObjectIdentifier),
    /// A key of no kind that is served.
    #[error("a key that is damaged, or not of RSA from 2048 bits on, P-256, P-384, Ed25519, X25519 or ML-KEM-768")]
    KeyKind,
}

impl ImportFault {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::PasswordMissing => "give the file with its password by `--password-file`, - for standard input",
            Self::PasswordWrong => "give the password that the file was written with",
            Self::LegacyLock => {
                "lock it anew: `openssl pkcs12 -legacy -noenc -in OLD.p12 -out all.pem`, then `openssl pkcs12 -export -in all.pem -out NEW.p12`, and remove all.pem"
            }
            Self::LegacyKey => "lock it anew: `openssl pkcs8 -topk8 -in OLD.key -out NEW.key`",
            Self::UnknownLock(_) | Self::TooMuchWork => {
                "lock it anew: `openssl pkcs12 -noenc -in OLD.p12 -out all.pem`, then `openssl pkcs12 -export -in all.pem -out NEW.p12`, and remove all.pem"
            }
            Self::Cms(_) | Self::NoKnownForm | Self::Pem | Self::TooMany { .. } => {
                "`openssl asn1parse -in FILE` shows what is in it; add `-inform DER` for a file that is not text"
            }
            Self::KeyKind => "ask for a certificate with a key of RSA 3072 or of the curve P-256",
        }
    }
}

impl From<der::Error> for CmsError {
    fn from(fault: der::Error) -> Self {
        Self::Structure(fault)
    }
}

impl From<Unspecified> for CmsError {
    fn from(_: Unspecified) -> Self {
        Self::LibraryFailed
    }
}
