//! What a ContentInfo holds, and where its content stands.

use der::oid::ObjectIdentifier;

use crate::cms::error::CmsError;
use crate::cms::oid;

/// The kinds of protected content that S/MIME has (RFC 8551 §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// SignedData, RFC 5652 §5.
    Signed,
    /// EnvelopedData, RFC 5652 §6.
    Enveloped,
    /// AuthEnvelopedData, RFC 5083 §2.1.
    AuthEnveloped,
    /// CompressedData, RFC 3274 §1.1.
    Compressed,
}

impl ContentKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Signed, Self::Enveloped, Self::AuthEnveloped, Self::Compressed];

    /// The kind of this object identifier.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn of(identifier: ObjectIdentifier) -> Result<Self, CmsError> {
        let kind = Self::ALL.into_iter().find(|kind| kind.oid() == identifier);
        kind.ok_or(CmsError::UnknownAlgorithm { kind: "the content type", oid: identifier })
    }

    /// Its object identifier.
    #[must_use]
    pub fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Signed => oid::SIGNED_DATA,
            Self::Enveloped => oid::ENVELOPED_DATA,
            Self::AuthEnveloped => oid::AUTH_ENVELOPED_DATA,
            Self::Compressed => oid::COMPRESSED_DATA,
        }
    }

    /// How many sequences stand among the fields before the one that has the content.
    pub(crate) fn sequences_before(self) -> usize {
        match self {
            Self::Signed | Self::Enveloped | Self::AuthEnveloped => 0,
            Self::Compressed => 1,
        }
    }

    /// Whether the content is an octet string within `[0]`; else `[0]` itself is the string.
    pub(crate) fn is_explicit(self) -> bool {
        matches!(self, Self::Signed | Self::Compressed)
    }
}
