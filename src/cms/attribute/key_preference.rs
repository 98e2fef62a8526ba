//! Which certificate a signer wants mail to be sealed to (RFC 8551 §2.5.3).

use crate::cms::attribute::signer_id::IssuerAndSerial;
use crate::cms::certificate::Certificate;
use crate::cms::element::{Element, OCTET_STRING, constructed, context, encode};
use crate::cms::error::CmsError;

/// The preferred certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPreference {
    /// By issuer and serial number.
    Issued(IssuerAndSerial),
    /// By the identifier of its key.
    KeyId(Vec<u8>),
}

impl KeyPreference {
    /// Reads `SMIMEEncryptionKeyPreference`, whose tags are implicit.
    pub(crate) fn read(value: Element<'_>) -> Result<Self, CmsError> {
        const ISSUED: u8 = constructed(0);
        const RECIPIENT_KEY_ID: u8 = constructed(1);
        const SUBJECT_KEY_ID: u8 = context(2);
        match value.tag {
            ISSUED => IssuerAndSerial::read(value.content()).map(Self::Issued),
            RECIPIENT_KEY_ID => Ok(Self::KeyId(value.fields().take(OCTET_STRING)?.content().to_vec())),
            SUBJECT_KEY_ID => Ok(Self::KeyId(value.content().to_vec())),
            _ => Err(CmsError::Unexpected("a preference for a key that names none")),
        }
    }

    /// Writes it.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        match self {
            Self::Issued(issued) => encode(constructed(0), &[&issued.to_content()]),
            Self::KeyId(id) => encode(context(2), &[id]),
        }
    }

    /// Whether it is this certificate.
    #[must_use]
    pub fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Issued(issued) => issued.names(certificate),
            Self::KeyId(id) => certificate.subject_key_id().is_ok_and(|own| own == Some(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::element::Fields;

    #[test]
    fn preferences_go_there_and_back() {
        let issued = IssuerAndSerial::read(&[0x30, 0, 0x02, 1, 7]).unwrap();
        for preference in [KeyPreference::Issued(issued), KeyPreference::KeyId(vec![1, 2, 3])] {
            let der = preference.to_der();
            assert_eq!(KeyPreference::read(Fields::of(&der).any().unwrap()), Ok(preference));
        }
        let recipient = [0xa1, 4, 0x04, 2, 8, 9];
        let read = KeyPreference::read(Fields::of(&recipient).any().unwrap());
        assert_eq!(read, Ok(KeyPreference::KeyId(vec![8, 9])));
    }
}
