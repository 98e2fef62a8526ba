//! What DKIM and ARC have in common: keys in the DNS, and signatures over header fields (RFC 6376 §3.6, §3.7).

use mail_auth::Error;
use mail_auth::common::crypto::{Algorithm, CryptoError};
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::{Canonicalization, DkimError};

use crate::mail::Header;
use crate::sender_auth::lookup::{Lookup, Unfound};
use crate::sender_auth::tags::unsigned;

/// Bits an RSA key must have at least (RFC 8301 §3.2).
const RSA_BITS: usize = 1024;
/// Names in `h=`. A message has far fewer fields that mean anything, and every name costs a search.
pub(crate) const SIGNED_FIELDS: usize = 256;
/// Fields that programs read one of, whichever (RFC 5322 §3.6): one that is put before the signed one changes what is shown.
const READ_ONCE: [&str; 5] = ["Subject", "Reply-To", "Sender", "Content-Type", "Content-Transfer-Encoding"];
/// Labels of a selector. Names are asked for that it makes as deep as it likes, and each label may cost a resolver a question.
const SELECTOR_LABELS: usize = 8;
/// `t=s`: the identity is the domain itself, not one below it (RFC 6376 §3.6.1).
const STRICT: u64 = 0x20;
/// The bits of `h=` in a key (RFC 6376 §3.6.1): SHA-1, SHA-256. None: any.
const HASHES: u64 = 0x03;
const SHA_256: u64 = 0x02;

/// Why a signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It does not fit the message.
    Fail(&'static str),
    /// It might, but proves nothing by our rules.
    Policy(&'static str),
    /// It, or its key, can never be checked.
    Permanent(&'static str),
    /// Its key cannot be found out now.
    Temporary,
}

/// A signature over fields of a header.
pub(crate) struct OverFields<'s> {
    /// Its own field: name and value.
    pub(crate) field: (&'s [u8], &'s [u8]),
    /// The names of the fields it covers, in order.
    pub(crate) covered: &'s [String],
    pub(crate) form: Canonicalization,
    pub(crate) algorithm: Algorithm,
    pub(crate) octets: &'s [u8],
}

/// The key of a selector at a domain.
pub(crate) async fn key(lookup: Lookup<'_>, selector: &str, domain: &str) -> Result<DomainKey, Flaw> {
    if selector.split('.').count() > SELECTOR_LABELS {
        return Err(Flaw::Permanent("no key"));
    }
    let texts = lookup.texts(&format!("{selector}._domainkey.{domain}")).await.map_err(|why| match why {
        Unfound::Unanswered => Flaw::Temporary,
        Unfound::TooMany => Flaw::Permanent("too many look-ups"),
    })?;
    // Of several records any may be the one (RFC 6376 §3.6.2.2).
    let mut flaw = Flaw::Permanent("no key");
    for text in texts {
        match DomainKey::parse(text.as_bytes()) {
            Ok(key) => return checked(key),
            Err(Error::Dkim(DkimError::RevokedPublicKey)) => flaw = Flaw::Permanent("key revoked"),
            Err(_) => flaw = Flaw::Permanent("key unreadable"),
        }
    }
    Err(flaw)
}

fn checked(key: DomainKey) -> Result<DomainKey, Flaw> {
    if key.p.public_key_bits() < RSA_BITS {
        return Err(Flaw::Policy("key too short"));
    }
    if key.f & HASHES != 0 && key.f & SHA_256 == 0 {
        return Err(Flaw::Permanent("key forbids the hash"));
    }
    Ok(key)
}

/// Whether a key stands for its domain alone, not for identities below it.
pub(crate) fn is_strict(key: &DomainKey) -> bool {
    key.f & STRICT != 0
}

/// Whether the algorithm still proves anything (RFC 8301 §3.1).
pub(crate) fn check_algorithm(algorithm: Algorithm) -> Result<(), Flaw> {
    match algorithm {
        Algorithm::RsaSha1 => Err(Flaw::Policy("SHA-1 proves nothing")),
        Algorithm::RsaSha256 | Algorithm::Ed25519Sha256 => Ok(()),
    }
}

/// Whether a field that is signed stands there once more unsigned: such a message is none (RFC 6376 §3.8, §8.15).
pub(crate) fn check_read_once(header: &Header, covered: &[String]) -> Result<(), Flaw> {
    let is_added = |name: &&str| {
        let signed = covered.iter().filter(|covered| covered.eq_ignore_ascii_case(name)).count();
        signed > 0 && header.all(name).count() > signed
    };
    if READ_ONCE.iter().any(is_added) { Err(Flaw::Policy("a signed field stands there again")) } else { Ok(()) }
}

/// Verifies a signature over fields of this header.
pub(crate) fn verify(key: &DomainKey, header: &Header, signature: &OverFields<'_>) -> Result<(), Flaw> {
    let fields: Vec<(&[u8], &[u8])> = header.fields().map(|field| (field.name, field.value)).collect();
    let own = unsigned(signature.field.1);
    let covered = covered(&fields, signature.covered);
    verify_over(
        key,
        covered.into_iter().chain([(signature.field.0, own.as_slice())]),
        signature.octets,
        signature.form,
        signature.algorithm,
    )
}

/// Verifies a signature over just these fields.
pub(crate) fn verify_over<'f>(
    key: &DomainKey,
    mut fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    octets: &[u8],
    form: Canonicalization,
    algorithm: Algorithm,
) -> Result<(), Flaw> {
    key.p.verify(&mut fields, octets, form, algorithm).map_err(|fault| match fault {
        Error::Crypto(CryptoError::IncompatibleAlgorithms) => Flaw::Permanent("key of another algorithm"),
        _ => Flaw::Fail("signature does not verify"),
    })
}

/// The fields that `h=` names: of each name the last one first, and what is not there is nothing (RFC 6376 §5.4.2).
fn covered<'f>(fields: &[(&'f [u8], &'f [u8])], names: &[String]) -> Vec<(&'f [u8], &'f [u8])> {
    let mut taken: Vec<(&str, usize)> = Vec::new();
    let mut covered = Vec::new();
    for name in names.iter().take(SIGNED_FIELDS) {
        let is_it = |known: &&mut (&str, usize)| known.0.eq_ignore_ascii_case(name);
        let from_end = taken.iter_mut().find(is_it);
        let passed = from_end.as_ref().map_or(0, |known| known.1);
        let rest = fields.iter().rev().enumerate().skip(passed);
        let mut of_name = rest.filter(|(_, field)| field.0.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes()));
        let next = of_name.next().map(|(place, field)| {
            covered.push(*field);
            place + 1
        });
        let next = next.unwrap_or(fields.len());
        match from_end {
            Some(known) => known.1 = next,
            None => taken.push((name, next)),
        }
    }
    covered
}
