//! A set of attributes (RFC 5652 §5.3), read strictly and kept as it came: a signature is over its octets.

use der::oid::ObjectIdentifier;

use crate::cms::element::{Element, Fields, OID, SEQUENCE, SET, encode};
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::oid;

/// Attributes, each of a type of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// The content of the set.
    content: Vec<u8>,
}

/// What is wrong with a set of attributes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeFault {
    /// It cannot be read.
    #[error("the attributes are malformed: {0}")]
    Malformed(CmsError),
    /// Two attributes are of one type: readers would disagree about which counts.
    #[error("an attribute stands twice")]
    Twice,
    /// The attribute has no value, or several, where its standard wants one.
    #[error("the attribute {0} has not exactly one value")]
    NotOneValue(&'static str),
    /// The attribute must be there, and is not.
    #[error("the attribute {0} is missing")]
    Missing(&'static str),
}

impl From<CmsError> for AttributeFault {
    fn from(fault: CmsError) -> Self {
        Self::Malformed(fault)
    }
}

impl From<AttributeFault> for CmsError {
    fn from(fault: AttributeFault) -> Self {
        match fault {
            AttributeFault::Malformed(fault) => fault,
            AttributeFault::Twice => Self::Unexpected("an attribute stands twice"),
            AttributeFault::NotOneValue(_) => Self::Unexpected("an attribute has not exactly one value"),
            AttributeFault::Missing(_) => Self::Unexpected("an attribute is missing"),
        }
    }
}

impl Attributes {
    /// Reads the content of a SET OF Attribute in DER, whatever tag it stood under.
    ///
    /// # Errors
    /// It is malformed, has no attribute or more than [`limits::ATTRIBUTES`], or one of them twice or without a value.
    pub fn read(content: &[u8]) -> Result<Self, AttributeFault> {
        let elements = Fields::of(content).all(limits::ATTRIBUTES)?;
        let mut types = Vec::with_capacity(elements.len());
        for element in elements {
            let (id, values) = type_and_values(element)?;
            if values.content().is_empty() {
                return Err(AttributeFault::NotOneValue("of some type"));
            }
            values.fields().all(limits::ATTRIBUTES)?;
            types.push(id);
        }
        if types.is_empty() {
            return Err(CmsError::Unexpected("a set of attributes without any").into());
        }
        types.sort_unstable();
        if types.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(AttributeFault::Twice);
        }
        Ok(Self { content: content.to_vec() })
    }

    /// What is signed, or authenticated: the set as it came, under the tag of a SET (RFC 5652 §5.4, RFC 5083 §2.2).
    #[must_use]
    pub fn to_set(&self) -> Vec<u8> {
        encode(SET, &[&self.content])
    }

    /// The same in the order of DER (X.690 §11.6), if it came in another.
    #[must_use]
    pub fn to_sorted_set(&self) -> Option<Vec<u8>> {
        let elements = Fields::of(&self.content).all(limits::ATTRIBUTES).ok()?;
        let elements = elements.iter().map(|element| element.whole().to_vec()).collect();
        let sorted = set_of(elements);
        (sorted != self.content).then(|| encode(SET, &[&sorted]))
    }

    /// The one value of the attribute of this type, if it is there; `name` is for the fault.
    ///
    /// # Errors
    /// It has several.
    pub(crate) fn value(
        &self,
        id: ObjectIdentifier,
        name: &'static str,
    ) -> Result<Option<Element<'_>>, AttributeFault> {
        for element in Fields::of(&self.content).all(limits::ATTRIBUTES)? {
            let (found, values) = type_and_values(element)?;
            if found == id.as_bytes() {
                let mut values = values.fields();
                let value = values.any()?;
                return if values.is_empty() { Ok(Some(value)) } else { Err(AttributeFault::NotOneValue(name)) };
            }
        }
        Ok(None)
    }

    /// What the content is, by the attribute that tells it (RFC 5652 §11.1).
    ///
    /// # Errors
    /// It has not one value, or that is no object identifier.
    pub fn content_type(&self) -> Result<Option<ObjectIdentifier>, AttributeFault> {
        let Some(value) = self.value(oid::CONTENT_TYPE, "contentType")? else { return Ok(None) };
        Ok(Some(identifier(value)?))
    }
}

/// The object identifier that an element is.
pub(crate) fn identifier(element: Element<'_>) -> Result<ObjectIdentifier, CmsError> {
    if element.tag != OID {
        return Err(CmsError::Unexpected("something else where an object identifier belongs"));
    }
    ObjectIdentifier::from_bytes(element.content())
        .map_err(|_| CmsError::Unexpected("an object identifier that is none"))
}

fn type_and_values(element: Element<'_>) -> Result<(&[u8], Element<'_>), CmsError> {
    if element.tag != SEQUENCE {
        return Err(CmsError::Unexpected("an attribute that is no sequence"));
    }
    let mut fields = element.fields();
    let id = fields.take(OID)?.content();
    let values = fields.take(SET)?;
    fields.end()?;
    Ok((id, values))
}

/// Writes one attribute with one value in DER.
#[must_use]
pub fn attribute(id: ObjectIdentifier, value: &[u8]) -> Vec<u8> {
    encode(SEQUENCE, &[&encode(OID, &[id.as_bytes()]), &encode(SET, &[value])])
}

/// The content of a SET OF: these elements, in the order of DER (X.690 §11.6).
#[must_use]
pub fn set_of(mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    // Where one is the beginning of another, zeros are thought behind it; with lengths in front, none ever is.
    elements.sort_unstable();
    elements.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: [u8; 3] = [0x02, 1, 5];

    #[test]
    fn attributes_go_there_and_back_in_the_order_of_der() {
        let content =
            set_of(vec![attribute(oid::SIGNING_TIME, &VALUE), attribute(oid::CONTENT_TYPE, &[0x06, 1, 0x2a])]);
        let attributes = Attributes::read(&content).unwrap();
        assert_eq!(attributes.content_type().unwrap().unwrap().to_string(), "1.2");
        assert_eq!(attributes.to_sorted_set(), None);
        assert_eq!(attributes.to_set(), encode(SET, &[&content]));
        let other = [attribute(oid::SIGNING_TIME, &VALUE), attribute(oid::CONTENT_TYPE, &VALUE)].concat();
        let other = Attributes::read(&other).unwrap();
        assert_ne!(other.to_sorted_set(), Some(other.to_set()));
        assert!(other.to_sorted_set().is_some());
    }

    #[test]
    fn what_stands_twice_or_is_empty_or_has_two_values_is_refused() {
        let one = attribute(oid::SIGNING_TIME, &VALUE);
        assert_eq!(Attributes::read(&[one.clone(), one.clone()].concat()), Err(AttributeFault::Twice));
        assert!(Attributes::read(&[]).is_err());
        assert!(Attributes::read(&attribute(oid::SIGNING_TIME, &[])).is_err());
        assert!(Attributes::read(&one[..one.len() - 1]).is_err());
        let two = Attributes::read(&attribute(oid::CONTENT_TYPE, &[VALUE, VALUE].concat())).unwrap();
        assert_eq!(two.content_type(), Err(AttributeFault::NotOneValue("contentType")));
    }

    #[test]
    fn more_attributes_than_anybody_needs_are_refused() {
        let many: Vec<u8> = (0..=u8::try_from(limits::ATTRIBUTES).unwrap())
            .flat_map(|number| encode(SEQUENCE, &[&[0x06, 2, 0x2a, number & 0x7f], &[0x31, 3], &VALUE]))
            .collect();
        assert!(matches!(Attributes::read(&many), Err(AttributeFault::Malformed(_))));
    }
}
