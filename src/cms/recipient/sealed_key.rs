//! A content key as a message has it for one recipient.

use std::sync::Arc;

use aws_lc_rs::rand;
use der::Decode;
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::cms::algorithm::KeyTransport;
use crate::cms::element::{Element, INTEGER, OCTET_STRING, SEQUENCE, constructed};
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::private_key::{KeyFault, PrivateKey};
use crate::cms::recipient::agreement::Agreement;
use crate::cms::recipient::id::RecipientId;
use crate::cms::recipient::kem::Kem;

/// A content key, encrypted for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    id: RecipientId,
    way: Way,
    encrypted: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Transport(KeyTransport),
    Agreement(Arc<Agreement>),
    Kem(Arc<Kem>),
}

impl SealedKey {
    /// For whom it was encrypted.
    #[must_use]
    pub fn id(&self) -> &RecipientId {
        &self.id
    }

    /// Whether it was encrypted by RSA as PKCS #1 version 1.5 has it.
    #[must_use]
    pub fn is_pkcs1v15(&self) -> bool {
        self.way == Way::Transport(KeyTransport::Pkcs1v15)
    }

    /// The content key, of so many octets. Where none comes out, or one of another length, it is a random one: the
    /// content then fails as late and as mutely as if it were damaged (RFC 3218 §2.3.2).
    pub(crate) fn open(&self, key: &dyn PrivateKey, octets: usize) -> Result<Zeroizing<Vec<u8>>, CmsError> {
        let mut substitute = Zeroizing::new(vec![0; octets]);
        rand::fill(&mut substitute)?;
        let found = match &self.way {
            Way::Agreement(agreement) => agreement.open(key, &self.encrypted),
            Way::Kem(kem) => kem.open(key, &self.encrypted),
            Way::Transport(transport) => key.decrypt_key(transport, &self.encrypted).map_err(|fault| match fault {
                KeyFault::Failed => CmsError::CannotBeOpened,
                KeyFault::Mismatch => CmsError::NotServed("key transport with this key"),
                KeyFault::Unsupported => CmsError::NotServed("OAEP with these hashes"),
            }),
        };
        match found {
            Ok(found) if found.len() == octets => Ok(found),
            Ok(_) | Err(CmsError::CannotBeOpened | CmsError::LibraryFailed) => Ok(substitute),
            Err(fault) => Err(fault),
        }
    }
}

/// Reads RecipientInfos: the keys in them, and how many recipients are of a kind that we do not know, or are broken.
pub(crate) fn read_all(infos: &Element<'_>) -> Result<(Vec<SealedKey>, usize), CmsError> {
    let (mut keys, mut unknown) = (Vec::new(), 0);
    for info in infos.fields().all(limits::RECIPIENTS)? {
        match read(&info) {
            Ok(found) => keys.extend(found),
            Err(_) => unknown += 1,
        }
        if keys.len() > limits::RECIPIENTS {
            return Err(CmsError::TooMany { what: "recipients", limit: limits::RECIPIENTS });
        }
    }
    Ok((keys, unknown))
}

fn read(info: &Element<'_>) -> Result<Vec<SealedKey>, CmsError> {
    let keys = if info.tag == SEQUENCE {
        vec![transport(info)?]
    } else if info.tag == constructed(1) {
        let (agreement, keys) = Agreement::read(info)?;
        let agreement = Arc::new(agreement);
        let of = |(id, encrypted)| SealedKey { id, way: Way::Agreement(Arc::clone(&agreement)), encrypted };
        keys.into_iter().map(of).collect()
    } else if info.tag == constructed(4) {
        let (kem, id, encrypted) = Kem::read(info)?;
        vec![SealedKey { id, way: Way::Kem(Arc::new(kem)), encrypted }]
    } else {
        return Err(CmsError::NotServed("this kind of recipient"));
    };
    if keys.iter().any(|key| key.encrypted.len() > limits::ENCRYPTED_KEY_OCTETS) {
        return Err(CmsError::TooMany { what: "octets of a sealed key", limit: limits::ENCRYPTED_KEY_OCTETS });
    }
    Ok(keys)
}

/// KeyTransRecipientInfo.
fn transport(info: &Element<'_>) -> Result<SealedKey, CmsError> {
    let mut fields = info.fields();
    fields.take(INTEGER)?;
    let id = RecipientId::read(&fields.any()?)?;
    let algorithm = fields.take(SEQUENCE)?;
    let transport = KeyTransport::parse(AlgorithmIdentifierRef::from_der(algorithm.whole())?)?;
    let encrypted = fields.take(OCTET_STRING)?.content().to_vec();
    fields.end()?;
    Ok(SealedKey { id, way: Way::Transport(transport), encrypted })
}
