//! Key transport by RSA: PKCS #1 version 1.5 (RFC 3370 §4.2.1) and OAEP (RFC 3560, 4055 §4.1).

use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence};
use x509_cert::spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};

use crate::cms::algorithm::digest::DigestAlgorithm;
use crate::cms::algorithm::oid::{borrowed, no_parameters, parameters, with, with_null};
use crate::cms::error::CmsError;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSAES_OAEP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const P_SPECIFIED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.9");

/// How a content key is encrypted to an RSA key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyTransport {
    /// PKCS #1 version 1.5: open to padding oracles, hence answered without one.
    Pkcs1v15,
    /// OAEP.
    Oaep {
        /// The hash of the label.
        hash: DigestAlgorithm,
        /// The hash of the mask; RFC 4055 §4.1 wants it to be the same, and Java does otherwise.
        mask: DigestAlgorithm,
        /// The label, nearly always empty.
        label: Vec<u8>,
    },
}

/// RSAES-OAEP-params, RFC 4055 §4.1.
#[derive(Sequence)]
struct OaepParameters {
    #[asn1(context_specific = "0", optional = "true")]
    hash: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", optional = "true")]
    mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", optional = "true")]
    source: Option<AlgorithmIdentifierOwned>,
}

impl KeyTransport {
    /// OAEP with SHA-256 throughout: what we write.
    #[must_use]
    pub fn oaep() -> Self {
        Self::Oaep { hash: DigestAlgorithm::Sha256, mask: DigestAlgorithm::Sha256, label: Vec::new() }
    }

    /// The algorithm that an identifier names.
    ///
    /// # Errors
    /// It is none of ours, or its parameters are not what its standard says.
    pub fn parse(identifier: AlgorithmIdentifierRef<'_>) -> Result<Self, CmsError> {
        match identifier.oid {
            RSA_ENCRYPTION => no_parameters(identifier, "RSA").map(|()| Self::Pkcs1v15),
            RSAES_OAEP => Self::parse_oaep(identifier),
            oid => Err(CmsError::UnknownAlgorithm { kind: "the key transport", oid }),
        }
    }

    fn parse_oaep(identifier: AlgorithmIdentifierRef<'_>) -> Result<Self, CmsError> {
        let encoded = parameters(identifier, "OAEP")?.to_der()?;
        let found = OaepParameters::from_der(&encoded).map_err(|_| CmsError::BadParameters("OAEP"))?;
        let hash =
            found.hash.as_ref().map_or(Ok(DigestAlgorithm::Sha1), |hash| DigestAlgorithm::parse(borrowed(hash)))?;
        let mask = found.mask.as_ref().map_or(Ok(DigestAlgorithm::Sha1), |mask| mask_hash(borrowed(mask)))?;
        let label = match &found.source {
            None => Vec::new(),
            Some(source) if source.oid == P_SPECIFIED => {
                let label: OctetString =
                    parameters(borrowed(source), "OAEP")?.decode_as().map_err(|_| CmsError::BadParameters("OAEP"))?;
                label.into_bytes().into_vec()
            }
            Some(_) => return Err(CmsError::BadParameters("OAEP")),
        };
        Ok(Self::Oaep { hash, mask, label })
    }

    /// Its identifier. What equals a default of RFC 4055 is left out, as DER wants it.
    ///
    /// # Errors
    /// The label is longer than DER can say.
    pub fn identifier(&self) -> Result<AlgorithmIdentifierOwned, CmsError> {
        let Self::Oaep { hash, mask, label } = self else { return Ok(with_null(RSA_ENCRYPTION)) };
        let source =
            if label.is_empty() { None } else { Some(with(P_SPECIFIED, &OctetString::new(label.as_slice())?)?) };
        let hash = (*hash != DigestAlgorithm::Sha1).then(|| hash.identifier_with_null());
        let mask = if *mask == DigestAlgorithm::Sha1 { None } else { Some(mask_of(*mask)?) };
        with(RSAES_OAEP, &OaepParameters { hash, mask, source })
    }
}

/// The identifier of MGF1 with this hash.
pub(crate) fn mask_of(hash: DigestAlgorithm) -> Result<AlgorithmIdentifierOwned, CmsError> {
    with(MGF1, &hash.identifier_with_null())
}

/// The hash of MGF1, the one mask generation function there is (RFC 8017 §B.2.1).
pub(crate) fn mask_hash(identifier: AlgorithmIdentifierRef<'_>) -> Result<DigestAlgorithm, CmsError> {
    if identifier.oid != MGF1 {
        return Err(CmsError::UnknownAlgorithm { kind: "the mask generation", oid: identifier.oid });
    }
    let hash = parameters(identifier, "MGF1")?.decode_as().map_err(|_| CmsError::BadParameters("MGF1"))?;
    DigestAlgorithm::parse(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::algorithm::oid::bare;
    use der::asn1::Any;

    #[test]
    fn transports_go_there_and_back() {
        let mut all = vec![KeyTransport::Pkcs1v15];
        for hash in DigestAlgorithm::ALL {
            for mask in DigestAlgorithm::ALL {
                for label in [vec![], vec![1, 2]] {
                    all.push(KeyTransport::Oaep { hash, mask, label });
                }
            }
        }
        for transport in all {
            let identifier = transport.identifier().unwrap();
            assert_eq!(KeyTransport::parse(borrowed(&identifier)), Ok(transport));
        }
    }

    #[test]
    fn empty_parameters_of_oaep_are_its_defaults() {
        let parameters = Some(Any::from_der(&[0x30, 0]).unwrap());
        let identifier = AlgorithmIdentifierOwned { oid: RSAES_OAEP, parameters };
        let (hash, mask) = (DigestAlgorithm::Sha1, DigestAlgorithm::Sha1);
        assert_eq!(KeyTransport::parse(borrowed(&identifier)), Ok(KeyTransport::Oaep { hash, mask, label: vec![] }));
        assert_eq!(KeyTransport::parse(borrowed(&bare(RSAES_OAEP))), Err(CmsError::BadParameters("OAEP")));
    }

    #[test]
    fn oaep_is_written_as_openssl_writes_it() {
        // openssl cms -encrypt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256
        let expected = [
            "303c06092a864886f70d010107302fa00f300d06096086480165030402010500",
            "a11c301a06092a864886f70d010108300d06096086480165030402010500",
        ]
        .concat();
        let written = KeyTransport::oaep().identifier().unwrap().to_der().unwrap();
        let written: String = written.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(written, expected);
    }
}
