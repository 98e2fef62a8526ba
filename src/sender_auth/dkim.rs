//! DKIM signatures (RFC 6376, 8301, 8463).

use futures_util::future::join_all;
use mail_auth::dkim::Signature;

use crate::mail::{Domain, Header};
use crate::net::Time;
use crate::sender_auth::body_hash::BodyHash;
use crate::sender_auth::lookup::Lookup;
use crate::sender_auth::signature::{
    Flaw, OverFields, SIGNED_FIELDS, check_algorithm, check_read_once, is_strict, key, verify,
};
use crate::sender_auth::tags::has_each_tag_once;

/// Signatures of one message that are looked at, the topmost ones: each costs a look-up and a verification.
const SIGNATURES: usize = 10;

/// What became of one signature (RFC 8601 §2.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DkimResult {
    /// It verifies.
    Pass,
    /// It does not.
    Fail,
    /// It proves nothing by our rules.
    Policy,
    /// Its key cannot be found out now.
    TempError,
    /// It, or its key, can never be checked.
    PermError,
}

/// One signature, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What became of it.
    pub result: DkimResult,
    /// Why, unless it passes.
    pub reason: Option<&'static str>,
    /// Who signed, `d=`; `None` if that is no domain.
    pub domain: Option<Domain>,
    /// The name of the key, `s=`.
    pub selector: String,
    /// The first characters of the signature, which tell it from others (RFC 6008).
    pub octets: String,
    /// `rsa-sha256`, `ed25519-sha256`.
    pub algorithm: &'static str,
}

/// Looks at every signature of a message, up to a bound.
pub(crate) async fn verify_dkim(lookup: Lookup<'_>, header: &Header, body: &BodyHash, now: Time) -> Vec<Signed> {
    let fields = header.all("DKIM-Signature").take(SIGNATURES);
    join_all(fields.map(|field| look_at(lookup, header, (field.name, field.value), body, now))).await
}

async fn look_at(lookup: Lookup<'_>, header: &Header, field: (&[u8], &[u8]), body: &BodyHash, now: Time) -> Signed {
    let unreadable = |reason| Signed {
        result: DkimResult::PermError,
        reason: Some(reason),
        domain: None,
        selector: String::new(),
        octets: String::new(),
        algorithm: "",
    };
    if !has_each_tag_once(field.1) {
        return unreadable("signature unreadable");
    }
    let Ok(signature) = Signature::parse(field.1) else { return unreadable("signature unreadable") };
    let (result, reason) = match judge(lookup, header, field, &signature, body, now).await {
        Ok(()) => (DkimResult::Pass, None),
        Err(Flaw::Fail(reason)) => (DkimResult::Fail, Some(reason)),
        Err(Flaw::Policy(reason)) => (DkimResult::Policy, Some(reason)),
        Err(Flaw::Permanent(reason)) => (DkimResult::PermError, Some(reason)),
        Err(Flaw::Temporary) => (DkimResult::TempError, Some("key not found out")),
    };
    Signed {
        result,
        reason,
        domain: signature.d.parse().ok(),
        octets: first_characters(&signature.b),
        selector: signature.s,
        algorithm: signature.a.name(),
    }
}

async fn judge(
    lookup: Lookup<'_>,
    header: &Header,
    field: (&[u8], &[u8]),
    signature: &Signature,
    body: &BodyHash,
    now: Time,
) -> Result<(), Flaw> {
    let domain: Domain = signature.d.parse().map_err(|_| Flaw::Permanent("d= is no domain"))?;
    check_form(signature, now)?;
    check_read_once(header, &signature.h)?;
    if signature.bh != body.of(signature.cb) {
        return Err(Flaw::Fail("body has changed"));
    }
    let key = key(lookup, &signature.s, domain.as_str()).await?;
    if !is_of(&signature.i, &signature.d, is_strict(&key)) {
        return Err(Flaw::Permanent("i= is not of d="));
    }
    let over =
        OverFields { field, covered: &signature.h, form: signature.ch, algorithm: signature.a, octets: &signature.b };
    verify(&key, header, &over)
}

fn check_form(signature: &Signature, now: Time) -> Result<(), Flaw> {
    if signature.v != 1 {
        return Err(Flaw::Permanent("unknown version"));
    }
    check_algorithm(signature.a)?;
    if signature.h.len() > SIGNED_FIELDS {
        return Err(Flaw::Policy("too many fields signed"));
    }
    if !signature.h.iter().any(|name| name.eq_ignore_ascii_case("From")) {
        return Err(Flaw::Permanent("From not signed"));
    }
    // Anything may be put behind the part that is covered (RFC 6376 §8.2).
    if signature.l > 0 {
        return Err(Flaw::Policy("only part of the body signed"));
    }
    let now = u64::try_from(now.unix_seconds()).unwrap_or(0);
    if signature.x != 0 && (signature.x < now || signature.x < signature.t) {
        return Err(Flaw::Policy("signature expired"));
    }
    Ok(())
}

/// Whether the identity is of the signing domain, or, unless the key forbids it, of one below (RFC 6376 §6.1.1).
fn is_of(identity: &str, domain: &str, is_strict: bool) -> bool {
    if identity.is_empty() {
        return true;
    }
    let Some((_, of)) = identity.rsplit_once('@') else { return false };
    let (of, domain) = (of.to_lowercase(), domain.to_lowercase());
    of == domain || (!is_strict && of.strip_suffix(&domain).is_some_and(|below| below.ends_with('.')))
}

fn first_characters(signature: &[u8]) -> String {
    use base64::Engine;
    let first = signature.get(..6).unwrap_or(signature);
    base64::engine::general_purpose::STANDARD.encode(first)
}
