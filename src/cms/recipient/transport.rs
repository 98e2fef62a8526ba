//! A content key encrypted to an RSA key (RFC 5652 §6.2.1, RFC 3370 §4.2.1, RFC 3560).

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PublicEncryptingKey,
};
use der::Encode;

use crate::cms::algorithm::{DigestAlgorithm, KeyTransport};
use crate::cms::element::{INTEGER, OCTET_STRING, SEQUENCE, encode};
use crate::cms::error::CmsError;
use crate::cms::public_key::PublicKey;
use crate::cms::recipient::id::RecipientId;

/// KeyTransRecipientInfo for this key.
pub(crate) fn seal(
    id: &RecipientId,
    transport: &KeyTransport,
    key: &PublicKey<'_>,
    content_key: &[u8],
) -> Result<Vec<u8>, CmsError> {
    let key = PublicEncryptingKey::from_der(key.info()).map_err(|_| CmsError::NotServed("this RSA key"))?;
    let mut encrypted = vec![0; key.key_size_bytes()];
    match transport {
        KeyTransport::Pkcs1v15 => {
            Pkcs1PublicEncryptingKey::new(key)?.encrypt(content_key, &mut encrypted)?;
        }
        KeyTransport::Oaep { hash, mask, label } => {
            let algorithm = match (hash, mask) {
                (DigestAlgorithm::Sha1, DigestAlgorithm::Sha1) => &OAEP_SHA1_MGF1SHA1,
                (DigestAlgorithm::Sha256, DigestAlgorithm::Sha256) => &OAEP_SHA256_MGF1SHA256,
                (DigestAlgorithm::Sha384, DigestAlgorithm::Sha384) => &OAEP_SHA384_MGF1SHA384,
                (DigestAlgorithm::Sha512, DigestAlgorithm::Sha512) => &OAEP_SHA512_MGF1SHA512,
                _ => return Err(CmsError::NotServed("OAEP with these hashes")),
            };
            OaepPublicEncryptingKey::new(key)?.encrypt(algorithm, content_key, &mut encrypted, Some(label))?;
        }
    }
    let version = if matches!(id, RecipientId::KeyId(_)) { 2 } else { 0 };
    let algorithm = transport.identifier()?.to_der()?;
    let encrypted = encode(OCTET_STRING, &[&encrypted]);
    Ok(encode(SEQUENCE, &[&encode(INTEGER, &[&[version]]), &id.write(), &algorithm, &encrypted]))
}
