//! What a password opens: PBES2 with PBKDF2 and AES-CBC (RFC 8018), and the authentication that goes with it, PBMAC1
//! (RFC 9579).

use std::cell::Cell;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hmac, pbkdf2};
use der::oid::ObjectIdentifier;
use zeroize::Zeroizing;

use crate::cms::element::{Element, Fields, INTEGER, OCTET_STRING, OID, SEQUENCE};
use crate::cms::error::{CmsError, ImportFault};
use crate::cms::oid;

/// Rounds of hashing that all locks of one file may cost: some seconds. Programs write between 2,048 and 600,000.
const ROUNDS: u64 = 10_000_000;
/// Octets of a salt.
const SALT_OCTETS: usize = 1024;
/// Octets of a password.
pub const PASSWORD_OCTETS: usize = 1024;
/// Octets of an initialisation vector of AES.
const IV_OCTETS: usize = 16;

/// A password. It does not print.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password, without the line end that a file may have behind it.
    ///
    /// # Errors
    /// It is longer than [`PASSWORD_OCTETS`].
    pub fn new(text: Zeroizing<String>) -> Result<Self, ImportFault> {
        if text.len() > PASSWORD_OCTETS {
            return Err(ImportFault::TooMany { what: "octets in a password", limit: PASSWORD_OCTETS });
        }
        let bare = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        Ok(match bare {
            Some(line) => Self(Zeroizing::new(line.to_owned())),
            None => Self(text),
        })
    }

    /// As RFC 8018 hashes it.
    pub(crate) fn utf8(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// As RFC 7292 Appendix B.1 hashes it: UTF-16, big-endian, with a zero at its end.
    pub(crate) fn utf16(&self) -> Zeroizing<Vec<u8>> {
        let mut octets = Zeroizing::new(Vec::with_capacity(self.0.len().saturating_mul(2).saturating_add(2)));
        octets.extend(self.0.encode_utf16().chain([0]).flat_map(u16::to_be_bytes));
        octets
    }
}

/// Who opens the locks of one file, with one password and so much work.
pub(crate) struct Opener<'a> {
    password: Option<&'a Password>,
    rounds_left: Cell<u64>,
}

impl<'a> Opener<'a> {
    pub(crate) fn new(password: Option<&'a Password>) -> Self {
        Self { password, rounds_left: Cell::new(ROUNDS) }
    }

    pub(crate) fn password(&self) -> Result<&'a Password, ImportFault> {
        self.password.ok_or(ImportFault::PasswordMissing)
    }

    /// Pays for so many rounds.
    pub(crate) fn pay(&self, rounds: u64) -> Result<(), ImportFault> {
        let left = self.rounds_left.get().checked_sub(rounds).ok_or(ImportFault::TooMuchWork)?;
        self.rounds_left.set(left);
        Ok(())
    }

    /// Opens what an `AlgorithmIdentifier` says how to open.
    pub(crate) fn open(&self, algorithm: Element<'_>, locked: &[u8]) -> Result<Zeroizing<Vec<u8>>, ImportFault> {
        let mut fields = algorithm.fields();
        let identifier = identifier(&mut fields)?;
        if oid::is_legacy_lock(identifier) {
            return Err(ImportFault::LegacyLock);
        }
        if identifier != oid::PBES2 {
            return Err(ImportFault::UnknownLock(identifier));
        }
        let mut parameters = fields.take(SEQUENCE)?.fields();
        let derivation = parameters.take(SEQUENCE)?;
        let (cipher, octets, iv) = cipher(parameters.take(SEQUENCE)?)?;
        parameters.end()?;
        let key = self.derive(derivation, octets)?;
        let key = UnboundCipherKey::new(cipher, &key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7);
        let key = key.map_err(|_| ImportFault::PasswordWrong)?;
        let mut open = Zeroizing::new(locked.to_vec());
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        let length = key.decrypt(&mut open, context).map_err(|_| ImportFault::PasswordWrong)?.len();
        open.truncate(length);
        Ok(open)
    }

    /// Whether a message is what PBMAC1 says it was.
    pub(crate) fn verify_pbmac1(&self, parameters: Element<'_>, message: &[u8], mac: &[u8]) -> Result<(), ImportFault> {
        let mut fields = parameters.fields();
        let derivation = fields.take(SEQUENCE)?;
        let scheme = identifier(&mut fields.take(SEQUENCE)?.fields())?;
        fields.end()?;
        let (algorithm, octets) = match scheme {
            oid::HMAC_SHA1 => (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, 20),
            oid::HMAC_SHA256 => (hmac::HMAC_SHA256, 32),
            oid::HMAC_SHA384 => (hmac::HMAC_SHA384, 48),
            oid::HMAC_SHA512 => (hmac::HMAC_SHA512, 64),
            other => return Err(ImportFault::UnknownLock(other)),
        };
        let key = self.derive(derivation, octets)?;
        hmac::verify(&hmac::Key::new(algorithm, &key), message, mac).map_err(|_| ImportFault::PasswordWrong)
    }

    /// PBKDF2 (RFC 8018 §5.2).
    fn derive(&self, algorithm: Element<'_>, octets: usize) -> Result<Zeroizing<Vec<u8>>, ImportFault> {
        let mut fields = algorithm.fields();
        let identifier_of_it = identifier(&mut fields)?;
        if identifier_of_it != oid::PBKDF2 {
            return Err(ImportFault::UnknownLock(identifier_of_it));
        }
        let mut parameters = fields.take(SEQUENCE)?.fields();
        let salt = salt(&mut parameters)?;
        let rounds = rounds(&mut parameters)?;
        if let Some(length) = parameters.take_if(INTEGER)?
            && usize::try_from(length.unsigned()?).ok() != Some(octets)
        {
            return Err(CmsError::BadParameters("PBKDF2").into());
        }
        let hash = match parameters.take_if(SEQUENCE)? {
            Some(element) => identifier(&mut element.fields())?,
            None => oid::HMAC_SHA1,
        };
        parameters.end()?;
        let hash = match hash {
            oid::HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
            oid::HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
            oid::HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
            oid::HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
            other => return Err(ImportFault::UnknownLock(other)),
        };
        self.pay(u64::from(rounds.get()))?;
        let mut key = Zeroizing::new(vec![0; octets]);
        pbkdf2::derive(hash, rounds, salt, self.password()?.utf8(), &mut key);
        Ok(key)
    }
}

/// The object identifier that comes next.
pub(crate) fn identifier(fields: &mut Fields<'_>) -> Result<ObjectIdentifier, CmsError> {
    ObjectIdentifier::from_bytes(fields.take(OID)?.content()).map_err(|_| CmsError::Unexpected("no object identifier"))
}

/// The salt that comes next.
pub(crate) fn salt<'a>(fields: &mut Fields<'a>) -> Result<&'a [u8], ImportFault> {
    let salt = fields.take(OCTET_STRING)?.content();
    if salt.len() > SALT_OCTETS {
        return Err(ImportFault::TooMany { what: "octets in a salt", limit: SALT_OCTETS });
    }
    Ok(salt)
}

/// The number of rounds that comes next.
pub(crate) fn rounds(fields: &mut Fields<'_>) -> Result<NonZeroU32, ImportFault> {
    let rounds = u32::try_from(fields.take(INTEGER)?.unsigned()?).map_err(|_| ImportFault::TooMuchWork)?;
    NonZeroU32::new(rounds).ok_or(CmsError::Unexpected("a password that is hashed no times").into())
}

/// AES-CBC as PBES2 names it: the algorithm, the octets of its key, and where to begin (RFC 8018 Appendix B.2.5).
fn cipher(
    algorithm: Element<'_>,
) -> Result<(&'static aws_lc_rs::cipher::Algorithm, usize, [u8; IV_OCTETS]), ImportFault> {
    let mut fields = algorithm.fields();
    let (cipher, octets) = match identifier(&mut fields)? {
        oid::AES_128_CBC => (&AES_128, 16),
        oid::AES_192_CBC => (&AES_192, 24),
        oid::AES_256_CBC => (&AES_256, 32),
        oid::DES_EDE3_CBC => return Err(ImportFault::LegacyLock),
        other => return Err(ImportFault::UnknownLock(other)),
    };
    let iv = fields.take(OCTET_STRING)?.content().try_into().map_err(|_| CmsError::BadParameters("AES-CBC"))?;
    Ok((cipher, octets, iv))
}
