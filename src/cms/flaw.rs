//! What can be wrong with a certificate on a path.

use std::fmt;

use crate::cms::constraint::NameFlaw;
use crate::cms::element::Seconds;
use crate::cms::error::CmsError;
use crate::cms::policy::PolicyFlaw;
use crate::cms::public_key::SignatureFault;

/// Why there is no path: what is wrong, and with which certificate, counted from the one that was checked, which is 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("certificate {certificate} of the path: {flaw}")]
pub struct PathFault {
    /// Which.
    pub certificate: usize,
    /// What.
    pub flaw: Flaw,
}

/// What is wrong with a certificate of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// No certificate at hand has its issuer's name.
    IssuerIsMissing,
    /// It is signed by itself, and not trusted.
    IsNotTrusted,
    /// Its signature does not hold.
    Signature(SignatureFault),
    /// It is not valid yet; from when on.
    IsNotYetValid(Seconds),
    /// It has expired; when.
    HasExpired(Seconds),
    /// It is no authority's, and signed another.
    IsNoAuthority,
    /// Its key usage does not allow what it is used for.
    KeyUsage,
    /// Its extended key usage does not allow mail.
    Purpose,
    /// More authorities follow than an authority allows.
    PathIsTooLong,
    /// It has a critical extension that is not understood: the content octets of its identifier.
    CriticalExtension(Vec<u8>),
    /// A name of it may not stand below its authorities.
    Name(NameFlaw),
    /// The policies do not stand.
    Policy(PolicyFlaw),
    /// It was revoked: when, and by which reason code (RFC 5280 §5.3.1).
    IsRevoked(Seconds, u8),
    /// Nothing at hand tells whether it is revoked.
    RevocationIsUnknown,
    /// It cannot be read.
    Malformed(CmsError),
    /// Other certificates of its issuer's name lead too far.
    SearchIsTooLong,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IssuerIsMissing => "the certificate of its issuer is not at hand",
            Self::IsNotTrusted => "it is signed by itself, and is no trust anchor",
            Self::Signature(fault) => return write!(f, "{fault}"),
            Self::IsNotYetValid(_) => "it is not valid yet",
            Self::HasExpired(_) => "it has expired",
            Self::IsNoAuthority => "it signed a certificate, and is not a certificate authority's",
            Self::KeyUsage => "its key usage does not allow this use",
            Self::Purpose => "its extended key usage does not allow mail",
            Self::PathIsTooLong => "more authorities follow than it allows",
            Self::CriticalExtension(_) => "it has a critical extension that is not understood",
            Self::Name(NameFlaw::NotPermitted) => "its authority does not permit its name",
            Self::Name(NameFlaw::Excluded) => "its authority excludes its name",
            Self::Name(NameFlaw::Incomparable) => "its name cannot be compared with its authority's constraint",
            Self::Name(NameFlaw::TooMany) => "there are too many names and constraints",
            Self::Policy(PolicyFlaw::NoneLeft) => "an acceptable policy is demanded, and it has none",
            Self::Policy(PolicyFlaw::AnyIsMapped) => "it maps anyPolicy",
            Self::IsRevoked(..) => "it is revoked",
            Self::RevocationIsUnknown => "nothing at hand tells whether it is revoked",
            Self::Name(NameFlaw::Malformed(fault))
            | Self::Policy(PolicyFlaw::Malformed(fault))
            | Self::Malformed(fault) => return write!(f, "{fault}"),
            Self::SearchIsTooLong => "the search for its issuer leads too far",
        })
    }
}

impl From<CmsError> for Flaw {
    fn from(fault: CmsError) -> Self {
        Self::Malformed(fault)
    }
}

impl Flaw {
    /// This, of that certificate of the path.
    #[must_use]
    pub fn of(self, certificate: usize) -> PathFault {
        PathFault { certificate, flaw: self }
    }

    /// How much it tells: what is found on a whole path outweighs what is found on the way.
    pub(crate) fn weight(&self) -> u8 {
        match self {
            Self::IssuerIsMissing => 0,
            Self::IsNotTrusted | Self::SearchIsTooLong => 1,
            Self::Signature(_) => 2,
            _ => 3,
        }
    }
}
