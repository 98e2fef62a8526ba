//! PKCS #12 (RFC 7292): certificates and keys under a password, as browsers, Windows and authorities hand them out.

use aws_lc_rs::{digest, hmac};
use der::oid::ObjectIdentifier;
use zeroize::Zeroizing;

use crate::cms::algorithm::DigestAlgorithm;
use crate::cms::ber;
use crate::cms::certificate::Certificate;
use crate::cms::element::{Element, Fields, INTEGER, OCTET_STRING, SEQUENCE, constructed, context};
use crate::cms::error::{CmsError, ImportFault};
use crate::cms::imported_key::ImportedKey;
use crate::cms::oid;
use crate::cms::password::{Opener, identifier, rounds, salt};

/// Bags in one file, those inside of others included.
const BAGS: usize = 10_000;
/// Bags within bags.
const DEPTH: usize = 4;
/// What the key of the authentication is derived for (RFC 7292 Appendix B.3).
const FOR_AUTHENTICATION: u8 = 3;

/// What was in the file, in its order.
#[derive(Default)]
pub(crate) struct Bags {
    pub certificates: Vec<Certificate>,
    pub keys: Vec<ImportedKey>,
    seen: usize,
}

/// Reads a `PFX` in DER: authenticated by a password, or by nothing.
pub(crate) fn open(pfx: &[u8], opener: &Opener<'_>) -> Result<Bags, ImportFault> {
    let mut fields = Element::only(pfx, SEQUENCE)?.fields();
    if fields.take(INTEGER)?.unsigned()? != 3 {
        return Err(CmsError::Unexpected("a PKCS #12 file of another version than 3").into());
    }
    let safe = contents(fields.take(SEQUENCE)?)?;
    if let Some(mac) = fields.take_if(SEQUENCE)? {
        verify(mac, safe, opener)?;
    }
    fields.end()?;
    let mut bags = Bags::default();
    let safe = ber::to_der(safe)?;
    for part in Element::only(&safe, SEQUENCE)?.fields().all(BAGS)? {
        let mut fields = part.fields();
        match identifier(&mut fields)? {
            oid::DATA => {
                let octets = fields.take(constructed(0))?.inner(OCTET_STRING)?.content();
                bags.take_all(&ber::to_der(octets)?, opener, DEPTH)?;
            }
            oid::ENCRYPTED_DATA => {
                let octets = encrypted(fields.take(constructed(0))?.inner(SEQUENCE)?, opener)?;
                // Without authentication, only this tells that the password is another.
                let der = ber::to_der(&octets).map_err(|_| ImportFault::PasswordWrong)?;
                bags.take_all(&der, opener, DEPTH)?;
            }
            // Enveloped to a certificate: nobody has ever sent us one, and there is no password to it.
            other => return Err(ImportFault::UnknownLock(other)),
        }
    }
    Ok(bags)
}

/// The octets of a `ContentInfo` that holds data.
fn contents(info: Element<'_>) -> Result<&[u8], ImportFault> {
    let mut fields = info.fields();
    if identifier(&mut fields)? != oid::DATA {
        return Err(CmsError::Unexpected("a PKCS #12 file that is signed, and not locked by a password").into());
    }
    let octets = fields.take(constructed(0))?.inner(OCTET_STRING)?.content();
    fields.end()?;
    Ok(octets)
}

/// `EncryptedData` (RFC 5652 §8).
fn encrypted(data: Element<'_>, opener: &Opener<'_>) -> Result<Zeroizing<Vec<u8>>, ImportFault> {
    let mut fields = data.fields();
    fields.take(INTEGER)?;
    let mut info = fields.take(SEQUENCE)?.fields();
    identifier(&mut info)?;
    let algorithm = info.take(SEQUENCE)?;
    let octets = info.take(context(0))?;
    opener.open(algorithm, octets.content())
}

impl Bags {
    fn take_all(&mut self, der: &[u8], opener: &Opener<'_>, depth: usize) -> Result<(), ImportFault> {
        for bag in Element::only(der, SEQUENCE)?.fields().all(BAGS)? {
            self.seen = self.seen.saturating_add(1);
            if self.seen > BAGS {
                return Err(ImportFault::TooMany { what: "bags in a PKCS #12 file", limit: BAGS });
            }
            self.take(bag.fields(), opener, depth)?;
        }
        Ok(())
    }

    fn take(&mut self, mut bag: Fields<'_>, opener: &Opener<'_>, depth: usize) -> Result<(), ImportFault> {
        let kind = identifier(&mut bag)?;
        let value = bag.take(constructed(0))?;
        match kind {
            oid::KEY_BAG => self.keys.push(ImportedKey::read(value.inner(SEQUENCE)?.whole())?),
            oid::SHROUDED_KEY_BAG => self.keys.push(shrouded_key(value.inner(SEQUENCE)?, opener)?),
            oid::CERT_BAG => {
                let mut fields = value.inner(SEQUENCE)?.fields();
                if identifier(&mut fields)? == oid::X509_CERTIFICATE {
                    let octets = fields.take(constructed(0))?.inner(OCTET_STRING)?.content();
                    self.certificates.push(Certificate::read(octets)?);
                }
            }
            oid::SAFE_CONTENTS_BAG => {
                let depth = depth.checked_sub(1);
                let depth = depth.ok_or(ImportFault::TooMany { what: "bags within bags", limit: DEPTH })?;
                self.take_all(value.inner(SEQUENCE)?.whole(), opener, depth)?;
            }
            // Secrets and revocation lists of others.
            _ => {}
        }
        Ok(())
    }
}

/// `EncryptedPrivateKeyInfo` (RFC 5958 §3).
pub(crate) fn shrouded_key(info: Element<'_>, opener: &Opener<'_>) -> Result<ImportedKey, ImportFault> {
    let mut fields = info.fields();
    let algorithm = fields.take(SEQUENCE)?;
    let locked = fields.take(OCTET_STRING)?.content();
    fields.end()?;
    let open = opener.open(algorithm, locked)?;
    // Octets that are no sequence came of another password.
    Element::only(&open, SEQUENCE).map_err(|_| ImportFault::PasswordWrong)?;
    ImportedKey::read(&open)
}

/// `MacData` (RFC 7292 §4, RFC 9579 §4).
fn verify(data: Element<'_>, message: &[u8], opener: &Opener<'_>) -> Result<(), ImportFault> {
    let mut fields = data.fields();
    let mut info = fields.take(SEQUENCE)?.fields();
    let algorithm = info.take(SEQUENCE)?;
    let mac = info.take(OCTET_STRING)?.content();
    let salt = salt(&mut fields)?;
    let mut parameters = algorithm.fields();
    let hash = identifier(&mut parameters)?;
    if hash == oid::PBMAC1 {
        return opener.verify_pbmac1(parameters.take(SEQUENCE)?, message, mac);
    }
    let rounds = if fields.is_empty() { 1 } else { rounds(&mut fields)?.get() };
    let Some((hash, authentication)) = hash_of(hash) else { return Err(ImportFault::UnknownLock(hash)) };
    let holds = |password: &[u8]| -> Result<bool, ImportFault> {
        opener.pay(u64::from(rounds))?;
        let key = derive(hash, password, salt, rounds);
        Ok(hmac::verify(&hmac::Key::new(authentication, &key), message, mac).is_ok())
    };
    let password = opener.password()?;
    // No password: some write two zeros, some nothing.
    if holds(&password.utf16())? || (password.utf8().is_empty() && holds(&[])?) {
        Ok(())
    } else {
        Err(ImportFault::PasswordWrong)
    }
}

fn hash_of(identifier: ObjectIdentifier) -> Option<(&'static digest::Algorithm, hmac::Algorithm)> {
    let known = DigestAlgorithm::ALL.into_iter().find(|known| known.oid() == identifier)?;
    let authentication = match known {
        DigestAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        DigestAlgorithm::Sha224 => hmac::HMAC_SHA224,
        DigestAlgorithm::Sha256 => hmac::HMAC_SHA256,
        DigestAlgorithm::Sha384 => hmac::HMAC_SHA384,
        DigestAlgorithm::Sha512 => hmac::HMAC_SHA512,
    };
    Some((known.hash(), authentication))
}

/// RFC 7292 Appendix B.2, for as many octets as one digest has, so that its last steps never come.
fn derive(hash: &'static digest::Algorithm, password: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<Vec<u8>> {
    let block = hash.block_len();
    let filled = |octets: &[u8]| -> Zeroizing<Vec<u8>> {
        let length = octets.len().div_ceil(block).saturating_mul(block);
        Zeroizing::new(octets.iter().copied().cycle().take(length).collect())
    };
    let mut first = digest::Context::new(hash);
    first.update(&vec![FOR_AUTHENTICATION; block]);
    first.update(&filled(salt));
    first.update(&filled(password));
    let mut key = Zeroizing::new(first.finish().as_ref().to_vec());
    for _ in 1..rounds {
        let next = digest::digest(hash, &key);
        key.copy_from_slice(next.as_ref());
    }
    key
}
