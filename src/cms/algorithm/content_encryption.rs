//! Content encryption, RFC 3565 §4.1 (AES-CBC), 5084 §3.2 (AES-GCM), 3370 §5.1 (Triple DES).

use der::asn1::{ObjectIdentifier, OctetString, OctetStringRef};
use der::{Decode, Encode, Sequence};
use x509_cert::spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};

use crate::cms::algorithm::oid::{parameters, with};
use crate::cms::error::CmsError;
use crate::cms::limits;

const AES_128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES_192_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const AES_128_GCM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.6");
const AES_192_GCM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.26");
const AES_256_GCM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.46");
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");

/// The tag that a message without `aes-ICVlen` has, RFC 5084 §3.2.
const DEFAULT_TAG_OCTETS: u8 = 12;
/// The tag that we write, in full.
const TAG_OCTETS: u8 = 16;

/// How long an AES key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AesKeyLength {
    /// 128 bits.
    Bits128,
    /// 192 bits.
    Bits192,
    /// 256 bits.
    Bits256,
}

impl AesKeyLength {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bits128, Self::Bits192, Self::Bits256];

    /// Octets of the key.
    #[must_use]
    pub fn octets(self) -> usize {
        match self {
            Self::Bits128 => 16,
            Self::Bits192 => 24,
            Self::Bits256 => 32,
        }
    }
}

/// A cipher for content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentEncryption {
    /// AES-CBC with padding: no integrity.
    AesCbc(AesKeyLength),
    /// AES-GCM.
    AesGcm(AesKeyLength),
    /// Triple DES with three keys in CBC mode: weak, opened alone.
    TripleDesCbc,
}

impl ContentEncryption {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AesCbc(AesKeyLength::Bits128),
        Self::AesCbc(AesKeyLength::Bits192),
        Self::AesCbc(AesKeyLength::Bits256),
        Self::AesGcm(AesKeyLength::Bits128),
        Self::AesGcm(AesKeyLength::Bits192),
        Self::AesGcm(AesKeyLength::Bits256),
        Self::TripleDesCbc,
    ];

    /// A name as traces and fields of ours have it, such as `aes256-gcm`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AesGcm(AesKeyLength::Bits128) => "aes128-gcm",
            Self::AesGcm(AesKeyLength::Bits192) => "aes192-gcm",
            Self::AesGcm(AesKeyLength::Bits256) => "aes256-gcm",
            Self::AesCbc(AesKeyLength::Bits128) => "aes128-cbc",
            Self::AesCbc(AesKeyLength::Bits192) => "aes192-cbc",
            Self::AesCbc(AesKeyLength::Bits256) => "aes256-cbc",
            Self::TripleDesCbc => "des-ede3-cbc",
        }
    }

    /// The algorithm of this object identifier.
    #[must_use]
    pub fn of(oid: ObjectIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|cipher| cipher.oid() == oid)
    }

    /// Its object identifier.
    #[must_use]
    pub fn oid(self) -> ObjectIdentifier {
        match self {
            Self::AesCbc(AesKeyLength::Bits128) => AES_128_CBC,
            Self::AesCbc(AesKeyLength::Bits192) => AES_192_CBC,
            Self::AesCbc(AesKeyLength::Bits256) => AES_256_CBC,
            Self::AesGcm(AesKeyLength::Bits128) => AES_128_GCM,
            Self::AesGcm(AesKeyLength::Bits192) => AES_192_GCM,
            Self::AesGcm(AesKeyLength::Bits256) => AES_256_GCM,
            Self::TripleDesCbc => DES_EDE3_CBC,
        }
    }

    /// Octets of its key.
    #[must_use]
    pub fn key_octets(self) -> usize {
        match self {
            Self::AesCbc(length) | Self::AesGcm(length) => length.octets(),
            Self::TripleDesCbc => 24,
        }
    }

    /// Whether it is too weak to seal with, and opened only where a caller allows it.
    #[must_use]
    pub fn is_weak(self) -> bool {
        self == Self::TripleDesCbc
    }

    /// Whether a change of the ciphertext is noticed.
    #[must_use]
    pub fn is_authenticated(self) -> bool {
        matches!(self, Self::AesGcm(_))
    }
}

/// A cipher with what it starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentParameters {
    /// AES-CBC.
    AesCbc {
        /// How long the key is.
        key: AesKeyLength,
        /// The initialization vector.
        iv: [u8; 16],
    },
    /// AES-GCM.
    AesGcm {
        /// How long the key is.
        key: AesKeyLength,
        /// The nonce, 1 to [`limits::NONCE_OCTETS`] octets.
        nonce: Vec<u8>,
        /// Octets of the tag, 12 to 16.
        tag_octets: usize,
    },
    /// Triple DES in CBC mode.
    TripleDesCbc {
        /// The initialization vector.
        iv: [u8; 8],
    },
}

/// GCMParameters, RFC 5084 §3.2.
#[derive(Sequence)]
struct GcmParameters {
    nonce: OctetString,
    #[asn1(default = "default_tag_octets")]
    tag_octets: u8,
}

fn default_tag_octets() -> u8 {
    DEFAULT_TAG_OCTETS
}

impl ContentParameters {
    /// What an identifier says.
    ///
    /// # Errors
    /// The algorithm is none of ours, or its parameters are not what its standard says.
    pub fn parse(identifier: AlgorithmIdentifierRef<'_>) -> Result<Self, CmsError> {
        let oid = identifier.oid;
        let cipher = ContentEncryption::of(oid);
        match cipher.ok_or(CmsError::UnknownAlgorithm { kind: "the content encryption", oid })? {
            ContentEncryption::AesCbc(key) => Ok(Self::AesCbc { key, iv: iv(identifier, "AES-CBC")? }),
            ContentEncryption::TripleDesCbc => Ok(Self::TripleDesCbc { iv: iv(identifier, "Triple DES")? }),
            ContentEncryption::AesGcm(key) => {
                let bad = || CmsError::BadParameters("AES-GCM");
                let encoded = parameters(identifier, "AES-GCM")?.to_der()?;
                let found = GcmParameters::from_der(&encoded).map_err(|_| bad())?;
                let nonce = found.nonce.into_bytes().into_vec();
                if nonce.is_empty() || nonce.len() > limits::NONCE_OCTETS {
                    return Err(bad());
                }
                if !(DEFAULT_TAG_OCTETS..=TAG_OCTETS).contains(&found.tag_octets) {
                    return Err(bad());
                }
                Ok(Self::AesGcm { key, nonce, tag_octets: usize::from(found.tag_octets) })
            }
        }
    }

    /// Its identifier.
    ///
    /// # Errors
    /// None that a value made by [`Self::parse`] or by sealing can have.
    pub fn identifier(&self) -> Result<AlgorithmIdentifierOwned, CmsError> {
        let oid = self.algorithm().oid();
        match self {
            Self::AesCbc { iv, .. } => with(oid, &OctetStringRef::new(iv)?),
            Self::TripleDesCbc { iv } => with(oid, &OctetStringRef::new(iv)?),
            Self::AesGcm { nonce, tag_octets, .. } => {
                let tag_octets = u8::try_from(*tag_octets).map_err(|_| CmsError::BadParameters("AES-GCM"))?;
                with(oid, &GcmParameters { nonce: OctetString::new(nonce.as_slice())?, tag_octets })
            }
        }
    }

    /// The cipher alone.
    #[must_use]
    pub fn algorithm(&self) -> ContentEncryption {
        match self {
            Self::AesCbc { key, .. } => ContentEncryption::AesCbc(*key),
            Self::AesGcm { key, .. } => ContentEncryption::AesGcm(*key),
            Self::TripleDesCbc { .. } => ContentEncryption::TripleDesCbc,
        }
    }
}

fn iv<const N: usize>(identifier: AlgorithmIdentifierRef<'_>, name: &'static str) -> Result<[u8; N], CmsError> {
    let octets: &OctetStringRef =
        parameters(identifier, name)?.decode_as().map_err(|_| CmsError::BadParameters(name))?;
    octets.as_bytes().try_into().map_err(|_| CmsError::BadParameters(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::algorithm::oid::{bare, borrowed, with_null};
    use der::asn1::Any;

    #[test]
    fn ciphers_go_there_and_back() {
        for key in AesKeyLength::ALL {
            for parameters in [
                ContentParameters::AesCbc { key, iv: [7; 16] },
                ContentParameters::AesGcm { key, nonce: vec![9; 12], tag_octets: 16 },
                ContentParameters::AesGcm { key, nonce: vec![9; 64], tag_octets: 12 },
                ContentParameters::TripleDesCbc { iv: [3; 8] },
            ] {
                let identifier = parameters.identifier().unwrap();
                assert_eq!(ContentParameters::parse(borrowed(&identifier)), Ok(parameters));
            }
        }
    }

    fn gcm(parameters: &[u8]) -> Result<ContentParameters, CmsError> {
        let parameters = Some(Any::from_der(parameters).unwrap());
        ContentParameters::parse(borrowed(&AlgorithmIdentifierOwned { oid: AES_256_GCM, parameters }))
    }

    #[test]
    fn a_tag_length_that_is_not_written_is_twelve() {
        let nonce = [0x04, 1, 9];
        let tagged = |length: u8| gcm(&[&[0x30, 6][..], &nonce, &[0x02, 1, length]].concat());
        let found = gcm(&[&[0x30, 3][..], &nonce].concat());
        assert!(matches!(found, Ok(ContentParameters::AesGcm { tag_octets: 12, .. })), "{found:?}");
        assert!(matches!(tagged(16), Ok(ContentParameters::AesGcm { tag_octets: 16, .. })));
        assert!(
            matches!(tagged(12), Ok(ContentParameters::AesGcm { tag_octets: 12, .. })),
            "written though it is the default"
        );
        for length in [0, 4, 8, 11, 17, 0x80] {
            assert_eq!(tagged(length), Err(CmsError::BadParameters("AES-GCM")), "{length}");
        }
        assert_eq!(gcm(&[0x30, 2, 0x04, 0]), Err(CmsError::BadParameters("AES-GCM")), "an empty nonce");
    }

    #[test]
    fn what_lacks_its_vector_is_refused() {
        for oid in [AES_128_CBC, AES_128_GCM, DES_EDE3_CBC] {
            for identifier in [bare(oid), with_null(oid)] {
                assert!(matches!(ContentParameters::parse(borrowed(&identifier)), Err(CmsError::BadParameters(_))));
            }
        }
        let short = with(AES_128_CBC, &OctetStringRef::new(&[0; 15]).unwrap()).unwrap();
        assert_eq!(ContentParameters::parse(borrowed(&short)), Err(CmsError::BadParameters("AES-CBC")));
    }
}
