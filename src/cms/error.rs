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
