//! For whom a signature was made (RFC 3183 §2.2): the author, his domain, a reviewer.

use der::oid::ObjectIdentifier;

use crate::cms::attribute::set::identifier;
use crate::cms::element::{Element, OID, SEQUENCE, encode};
use crate::cms::error::CmsError;
use crate::cms::oid;

/// Types that are read of one signature; there are four.
const TYPES: usize = 16;

/// A type of signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureType {
    /// The author's.
    Originator,
    /// A domain's, for its members.
    Domain,
    /// Someone's who adds attributes and says nothing of the content.
    AdditionalAttributes,
    /// A reviewer's.
    Review,
    /// Any other.
    Other(ObjectIdentifier),
}

impl SignatureType {
    /// Reads `SignatureType`.
    pub(crate) fn read_all(value: Element<'_>) -> Result<Vec<Self>, CmsError> {
        if value.tag != SEQUENCE {
            return Err(CmsError::Unexpected("types of a signature that are no sequence"));
        }
        value.fields().all(TYPES)?.into_iter().map(|each| identifier(each).map(Self::of)).collect()
    }

    /// Writes them.
    #[must_use]
    pub fn to_der(types: &[Self]) -> Vec<u8> {
        let each: Vec<u8> = types.iter().flat_map(|each| encode(OID, &[each.oid().as_bytes()])).collect();
        encode(SEQUENCE, &[&each])
    }

    fn of(id: ObjectIdentifier) -> Self {
        match id {
            oid::ORIGINATOR_SIGNATURE => Self::Originator,
            oid::DOMAIN_SIGNATURE => Self::Domain,
            oid::ADDITIONAL_ATTRIBUTES_SIGNATURE => Self::AdditionalAttributes,
            oid::REVIEW_SIGNATURE => Self::Review,
            other => Self::Other(other),
        }
    }

    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Originator => oid::ORIGINATOR_SIGNATURE,
            Self::Domain => oid::DOMAIN_SIGNATURE,
            Self::AdditionalAttributes => oid::ADDITIONAL_ATTRIBUTES_SIGNATURE,
            Self::Review => oid::REVIEW_SIGNATURE,
            Self::Other(other) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::element::Fields;

    #[test]
    fn types_go_there_and_back() {
        let all = [SignatureType::Domain, SignatureType::Other(oid::ANY_POLICY), SignatureType::Review];
        let der = SignatureType::to_der(&all);
        assert_eq!(SignatureType::read_all(Fields::of(&der).any().unwrap()).unwrap(), all);
    }
}
