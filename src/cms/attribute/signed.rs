//! What the signed attributes of one signer say (RFC 5652 §11, RFC 8551 §2.5).

use der::oid::ObjectIdentifier;

use crate::cms::attribute::capability::Capabilities;
use crate::cms::attribute::certificate_id::CertificateId;
use crate::cms::attribute::key_preference::KeyPreference;
use crate::cms::attribute::protection::AlgorithmProtection;
use crate::cms::attribute::purpose::SignatureType;
use crate::cms::attribute::set::{AttributeFault, Attributes, attribute, set_of};
use crate::cms::element::{GENERALIZED_TIME, OCTET_STRING, OID, Seconds, UTC_TIME, encode};
use crate::cms::error::CmsError;
use crate::cms::oid;

/// The first second of the year 2050, from which on a time is written with the whole year (RFC 5652 §11.3).
const YEAR_2050: Seconds = 2_524_608_000;
/// The first second of the year 1950.
const YEAR_1950: Seconds = -631_152_000;
/// The last second that four digits of a year can tell.
const YEAR_9999: Seconds = 253_402_300_799;

/// The signed attributes that mean something to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAttributes {
    /// What the content is.
    pub content_type: ObjectIdentifier,
    /// The digest of the content.
    pub message_digest: Vec<u8>,
    /// When the signer says that he signed.
    pub signing_time: Option<Seconds>,
    /// What he can open and check.
    pub capabilities: Option<Capabilities>,
    /// Which certificate mail to him is to be sealed to.
    pub key_preference: Option<KeyPreference>,
    /// His certificate, by SHA-1 (read alone).
    pub certificate_v1: Option<CertificateId>,
    /// His certificate.
    pub certificate: Option<CertificateId>,
    /// The algorithms he used.
    pub protection: Option<AlgorithmProtection>,
    /// For whom he signed; nothing is said where it is empty.
    pub signature_types: Vec<SignatureType>,
}

impl SignedAttributes {
    /// What must be there.
    #[must_use]
    pub fn new(content_type: ObjectIdentifier, message_digest: Vec<u8>) -> Self {
        Self {
            content_type,
            message_digest,
            signing_time: None,
            capabilities: None,
            key_preference: None,
            certificate_v1: None,
            certificate: None,
            protection: None,
            signature_types: Vec::new(),
        }
    }

    /// What stands in a set of attributes. What is unknown is passed over; the list of capabilities and the preferred key
    /// are, too, where they are malformed, since they say nothing of the signature.
    ///
    /// # Errors
    /// One that must be there is missing, has not exactly one value, or an attribute that binds the signature is
    /// malformed.
    pub fn of(attributes: &Attributes) -> Result<Self, AttributeFault> {
        let content_type = attributes.content_type()?.ok_or(AttributeFault::Missing("contentType"))?;
        let digest = attributes.value(oid::MESSAGE_DIGEST, "messageDigest")?;
        let digest = digest.ok_or(AttributeFault::Missing("messageDigest"))?;
        if digest.tag != OCTET_STRING {
            return Err(CmsError::Unexpected("a digest that is no octet string").into());
        }
        let time = attributes.value(oid::SIGNING_TIME, "signingTime")?;
        let capabilities = attributes.value(oid::SMIME_CAPABILITIES, "SMIMECapabilities")?;
        let preference = attributes.value(oid::ENCRYPTION_KEY_PREFERENCE, "encrypKeyPref")?;
        let v1 = attributes.value(oid::SIGNING_CERTIFICATE, "signingCertificate")?;
        let v2 = attributes.value(oid::SIGNING_CERTIFICATE_V2, "signingCertificateV2")?;
        let protection = attributes.value(oid::ALGORITHM_PROTECTION, "cmsAlgorithmProtection")?;
        let types = attributes.value(oid::SIGNATURE_TYPE, "signatureType")?;
        Ok(Self {
            content_type,
            message_digest: digest.content().to_vec(),
            signing_time: time.map(|time| time.time()).transpose()?,
            capabilities: capabilities.and_then(|value| Capabilities::read(value).ok()),
            key_preference: preference.and_then(|value| KeyPreference::read(value).ok()),
            certificate_v1: v1.map(CertificateId::read_v1).transpose()?,
            certificate: v2.map(CertificateId::read_v2).transpose()?,
            protection: protection.map(AlgorithmProtection::read).transpose()?,
            signature_types: types.map(SignatureType::read_all).transpose()?.unwrap_or_default(),
        })
    }

    /// The content of the set, in DER.
    ///
    /// # Errors
    /// The time has no form, or an algorithm no identifier.
    pub fn to_content(&self) -> Result<Vec<u8>, CmsError> {
        let mut all = vec![
            attribute(oid::CONTENT_TYPE, &encode(OID, &[self.content_type.as_bytes()])),
            attribute(oid::MESSAGE_DIGEST, &encode(OCTET_STRING, &[&self.message_digest])),
        ];
        if let Some(time) = self.signing_time {
            all.push(attribute(oid::SIGNING_TIME, &time_of(time)?));
        }
        if let Some(capabilities) = &self.capabilities {
            all.push(attribute(oid::SMIME_CAPABILITIES, &capabilities.to_der()?));
        }
        if let Some(preference) = &self.key_preference {
            all.push(attribute(oid::ENCRYPTION_KEY_PREFERENCE, &preference.to_der()));
        }
        if let Some(certificate) = &self.certificate {
            all.push(attribute(oid::SIGNING_CERTIFICATE_V2, &certificate.to_v2()?));
        }
        if let Some(protection) = &self.protection {
            all.push(attribute(oid::ALGORITHM_PROTECTION, &protection.to_der()?));
        }
        if !self.signature_types.is_empty() {
            all.push(attribute(oid::SIGNATURE_TYPE, &SignatureType::to_der(&self.signature_types)));
        }
        Ok(set_of(all))
    }
}

/// A time as RFC 5652 §11.3 wants it: UTCTime from 1950 to 2049, else GeneralizedTime.
fn time_of(seconds: Seconds) -> Result<Vec<u8>, CmsError> {
    if !(YEAR_1950..=YEAR_9999).contains(&seconds) {
        return Err(CmsError::Unexpected("a time beyond the years that can be written"));
    }
    let (year, month, day) = date_of(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let rest = format!("{month:02}{day:02}{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60);
    Ok(if (YEAR_1950..YEAR_2050).contains(&seconds) {
        encode(UTC_TIME, &[format!("{:02}{rest}", year.rem_euclid(100)).as_bytes()])
    } else {
        encode(GENERALIZED_TIME, &[format!("{year:04}{rest}").as_bytes()])
    })
}

/// Year, month and day of a day since 1970. Counts from 1 March, so that the leap day ends the year.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
    use crate::cms::element::Fields;

    #[test]
    fn attributes_go_there_and_back() {
        let mut attributes = SignedAttributes::new(oid::CONTENT_TYPE, vec![7; 32]);
        assert_eq!(read(&attributes), Ok(attributes.clone()));
        attributes.signing_time = Some(1_800_000_000);
        attributes.capabilities = Some(Capabilities::ours());
        attributes.key_preference = Some(KeyPreference::KeyId(vec![1, 2]));
        let ecdsa = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
        attributes.protection = Some(AlgorithmProtection::of(DigestAlgorithm::Sha256, ecdsa).unwrap());
        attributes.signature_types = vec![SignatureType::Domain];
        assert_eq!(read(&attributes), Ok(attributes.clone()));
    }

    fn read(attributes: &SignedAttributes) -> Result<SignedAttributes, AttributeFault> {
        SignedAttributes::of(&Attributes::read(&attributes.to_content().unwrap())?)
    }

    #[test]
    fn the_two_that_must_be_there_are_demanded() {
        let digest = attribute(oid::MESSAGE_DIGEST, &encode(OCTET_STRING, &[&[7; 32]]));
        let alone = Attributes::read(&digest).unwrap();
        assert_eq!(SignedAttributes::of(&alone), Err(AttributeFault::Missing("contentType")));
        let content = attribute(oid::CONTENT_TYPE, &encode(OID, &[oid::P256.as_bytes()]));
        let alone = Attributes::read(&content).unwrap();
        assert_eq!(SignedAttributes::of(&alone), Err(AttributeFault::Missing("messageDigest")));
    }

    #[test]
    fn times_are_written_over_leap_days_and_the_change_of_form() {
        let mut time = YEAR_1950;
        while time <= YEAR_9999 {
            let der = time_of(time).unwrap();
            assert_eq!(Fields::of(&der).any().unwrap().time(), Ok(time));
            assert_eq!(der[0] == UTC_TIME, time < YEAR_2050);
            time += 86_400 * 13 + 4_567;
        }
        for edge in [0, 951_782_399, 951_782_400, YEAR_2050 - 1, YEAR_2050, YEAR_9999] {
            assert_eq!(Fields::of(&time_of(edge).unwrap()).any().unwrap().time(), Ok(edge));
        }
        assert!(time_of(YEAR_9999 + 1).is_err() && time_of(YEAR_1950 - 1).is_err());
    }
}
