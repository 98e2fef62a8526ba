//! Distinguished names (RFC 5280 §4.1.2.4), compared as they were written first, and by RFC 5280 §7.1 where that fails.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::cms::element::{Element, Fields, OID, SEQUENCE, SET};
use crate::cms::error::CmsError;
use crate::cms::oid;

/// Attributes of a name that are read.
const ATTRIBUTES: usize = 64;

/// A distinguished name: a sequence of relative names, in the order in which they were encoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name<'a>(&'a [u8]);

/// A name in the form in which RFC 5280 §7.1 compares: letter case, spaces and string types are gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey(Vec<Vec<u8>>);

/// Who an organisation of OCES is, over all renewals of its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OcesIdentity {
    /// The organisation's number in the Central Business Register (CVR), eight digits.
    pub cvr: String,
    /// What stays the same when the certificate is renewed: the key's UUID of OCES3 (`UI:DK-O:G:…`), or the UID, RID or
    /// FID of OCES2 with its name in front (`UID:…`).
    pub key: Option<String>,
}

impl<'a> Name<'a> {
    /// A name in DER: a `SEQUENCE` with its tag. Whether its inside is well-formed shows when it is read.
    #[must_use]
    pub fn new(der: &'a [u8]) -> Self {
        Self(der)
    }

    /// As it was encoded, fit for an issuerAndSerialNumber.
    #[must_use]
    pub fn as_der(self) -> &'a [u8] {
        self.0
    }

    /// Whether it has no attribute.
    #[must_use]
    pub fn is_empty(self) -> bool {
        Element::only(self.0, SEQUENCE).is_ok_and(|name| name.content().is_empty())
    }

    /// Whether both are one name: octet by octet, or else by RFC 5280 §7.1.
    #[must_use]
    pub fn matches(self, other: Name<'_>) -> bool {
        self.0 == other.0 || self.key().is_some_and(|key| other.key().is_some_and(|theirs| key == theirs))
    }

    /// The form to compare and to index by, or none if the name is malformed.
    #[must_use]
    pub fn key(self) -> Option<NameKey> {
        let mut relative_names = Vec::new();
        for relative in self.relative_names().ok()? {
            let mut attributes = Vec::new();
            for attribute in relative.fields().all(ATTRIBUTES).ok()? {
                attributes.push(attribute_key(attribute).ok()?);
            }
            // A SET: in whatever order the attributes were written.
            attributes.sort_unstable();
            relative_names.push(attributes.concat());
        }
        Some(NameKey(relative_names))
    }

    /// The texts of all attributes of this type (the OID's content octets), in order.
    #[must_use]
    pub fn texts(self, attribute_type: &[u8]) -> Vec<String> {
        self.attributes()
            .unwrap_or_default()
            .into_iter()
            .filter(|(oid, _)| *oid == attribute_type)
            .filter_map(|(_, value)| value.text())
            .collect()
    }

    /// The mailboxes in `emailAddress` attributes (RFC 8550 §3), as they were written.
    #[must_use]
    pub fn email_addresses(self) -> Vec<String> {
        self.texts(oid::AT_EMAIL_ADDRESS.as_bytes())
    }

    /// Who this is in the public certificates of Denmark: OCES3 puts `NTRDK-<CVR>` into organizationIdentifier and
    /// `UI:DK-O:G:<uuid>` into serialNumber; OCES2 had `CVR:<CVR>-UID:<uid>` in serialNumber.
    #[must_use]
    pub fn oces(self) -> Option<OcesIdentity> {
        let serials = self.texts(oid::AT_SERIAL_NUMBER.as_bytes());
        for text in self.texts(oid::AT_ORGANIZATION_IDENTIFIER.as_bytes()) {
            if let Some(cvr) = text.strip_prefix("NTRDK-").filter(|number| is_cvr(number)) {
                let key = serials.iter().find_map(|serial| serial.strip_prefix("UI:DK-O:G:"));
                return Some(OcesIdentity { cvr: cvr.to_owned(), key: key.map(str::to_lowercase) });
            }
        }
        serials.iter().find_map(|serial| {
            let (cvr, key) = serial.strip_prefix("CVR:")?.split_once('-')?;
            let known = ["UID:", "RID:", "FID:"].iter().any(|kind| key.starts_with(kind));
            (is_cvr(cvr) && known).then(|| OcesIdentity { cvr: cvr.to_owned(), key: Some(key.to_owned()) })
        })
    }

    fn relative_names(self) -> Result<Vec<Element<'a>>, CmsError> {
        let names = Element::only(self.0, SEQUENCE)?.fields().all(ATTRIBUTES)?;
        if names.iter().all(|name| name.tag == SET && !name.content().is_empty()) {
            Ok(names)
        } else {
            Err(CmsError::Unexpected("a name whose part is no set"))
        }
    }

    fn attributes(self) -> Result<Vec<(&'a [u8], Element<'a>)>, CmsError> {
        let mut attributes = Vec::new();
        for relative in self.relative_names()? {
            for attribute in relative.fields().all(ATTRIBUTES)? {
                attributes.push(type_and_value(attribute)?);
            }
        }
        Ok(attributes)
    }
}

impl NameKey {
    /// Whether this name lies in the subtree of `base` (RFC 5280 §4.2.1.10): it begins with it.
    #[must_use]
    pub fn is_within(&self, base: &NameKey) -> bool {
        self.0.starts_with(&base.0)
    }
}

fn is_cvr(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|octet| octet.is_ascii_digit())
}

fn type_and_value(attribute: Element<'_>) -> Result<(&[u8], Element<'_>), CmsError> {
    let mut fields = attribute.fields();
    let attribute_type = fields.take(OID)?.content();
    let value = fields.any()?;
    fields.end()?;
    Ok((attribute_type, value))
}

/// Type and value, each behind its length. A text is prepared as RFC 4518 has it, as far as names in the field need it:
/// compatibility forms and letter case folded, spaces at the ends gone, others made one.
fn attribute_key(attribute: Element<'_>) -> Result<Vec<u8>, CmsError> {
    let (attribute_type, value) = type_and_value(attribute)?;
    let prepared = match value.text() {
        Some(text) => {
            let folded = text.nfkc().flat_map(char::to_lowercase).nfkc().collect::<String>();
            let words: Vec<&str> = folded.split_whitespace().collect();
            [&[0], words.join(" ").as_bytes()].concat()
        }
        None => [&[1], value.whole()].concat(),
    };
    let mut key = Vec::with_capacity(attribute_type.len() + prepared.len() + 8);
    for part in [attribute_type, &prepared] {
        key.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        key.extend_from_slice(part);
    }
    Ok(key)
}

/// The attributes' values, most significant first as encoded: for a person to read, never to compare.
impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (attribute_type, value) in self.attributes().unwrap_or_default() {
            let label = oid::attribute_label(attribute_type);
            let text = value.text().unwrap_or_else(|| "?".to_owned());
            let text: String = text.chars().filter(|letter| !letter.is_control()).take(256).collect();
            write!(f, "{}{label}={text}", if first { "" } else { ", " })?;
            first = false;
        }
        Ok(())
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(…)")
    }
}

/// All names of a list of general names that are directory names.
pub fn directory_name(element: Element<'_>) -> Result<Name<'_>, CmsError> {
    let mut fields = Fields::of(element.content());
    let name = fields.take(SEQUENCE)?;
    fields.end()?;
    Ok(Name::new(name.whole()))
}

#[cfg(test)]
mod tests {
    use crate::cms::name::Name;

    /// Relative names of one attribute each: last octet of `id-at`, string tag, text.
    fn name(parts: &[(u8, u8, &str)]) -> Vec<u8> {
        let wrap = |tag: u8, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()], inner].concat();
        let sets: Vec<u8> = parts
            .iter()
            .flat_map(|(attribute, tag, text)| {
                let value = wrap(*tag, text.as_bytes());
                wrap(0x31, &wrap(0x30, &[&[0x06, 3, 0x55, 0x04, *attribute][..], &value].concat()))
            })
            .collect();
        wrap(0x30, &sets)
    }

    #[test]
    fn names_are_one_over_letter_case_spaces_and_string_types() {
        let one = name(&[(3, 0x13, "Good  CA"), (10, 0x13, " Test ")]);
        let other = name(&[(3, 0x0c, "GOOD ca"), (10, 0x0c, "test")]);
        assert!(Name::new(&one).matches(Name::new(&other)));
        let order = name(&[(10, 0x0c, "test"), (3, 0x0c, "GOOD ca")]);
        assert!(!Name::new(&one).matches(Name::new(&order)));
        let longer = name(&[(3, 0x0c, "good ca"), (10, 0x0c, "test"), (11, 0x0c, "x")]);
        let (one, longer) = (Name::new(&one).key().unwrap(), Name::new(&longer).key().unwrap());
        assert!(longer.is_within(&one) && !one.is_within(&longer));
    }

    #[test]
    fn an_organisation_of_oces_keeps_its_identity() {
        let oces3 = name(&[
            (3, 0x0c, "Sundby"),
            (5, 0x13, "UI:DK-O:G:0a1b2c3d-0000-4000-8000-000000000001"),
            (97, 0x0c, "NTRDK-29189846"),
        ]);
        let identity = Name::new(&oces3).oces().unwrap();
        assert_eq!(identity.cvr, "29189846");
        assert_eq!(identity.key.as_deref(), Some("0a1b2c3d-0000-4000-8000-000000000001"));
        let oces2 = name(&[(5, 0x13, "CVR:29189846-UID:1234567890123")]);
        assert_eq!(Name::new(&oces2).oces().unwrap().key.as_deref(), Some("UID:1234567890123"));
        for stranger in ["CVR:2918984-UID:1", "CVR:29189846", "PID:9208-2002-2-123456789012"] {
            assert!(Name::new(&name(&[(5, 0x13, stranger)])).oces().is_none(), "{stranger}");
        }
    }

    #[test]
    fn a_malformed_name_matches_itself_alone() {
        let broken = [0x30, 0x02, 0x31, 0x00];
        assert!(Name::new(&broken).matches(Name::new(&broken)));
        assert!(Name::new(&broken).key().is_none());
        assert!(!Name::new(&broken).matches(Name::new(&[0x30, 0x00])));
    }
}
