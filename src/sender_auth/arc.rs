//! The chain of those who passed a message on (RFC 8617): whether it is whole, and who sealed it last.

use futures_util::future::join_all;
use mail_auth::arc::{ChainValidation, Results, Seal, Signature};
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::Canonicalization;

use crate::mail::{Domain, Field, Header};
use crate::net::Time;
use crate::sender_auth::body_hash::BodyHash;
use crate::sender_auth::lookup::Lookup;
use crate::sender_auth::signature::{
    Flaw, OverFields, SIGNED_FIELDS, check_algorithm, check_read_once, key, verify, verify_over,
};
use crate::sender_auth::tags::{has_each_tag_once, unsigned};

/// Sets in one chain (RFC 8617 §4.2.1).
const SETS: usize = 50;

/// Whether a chain is whole (RFC 8617 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArcStatus {
    /// There is none.
    None,
    /// It is whole.
    Pass,
    /// It is not.
    Fail,
    /// A key cannot be found out now.
    TempError,
}

/// What became of a message's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArcChain {
    /// Whether it is whole.
    pub status: ArcStatus,
    /// Why not.
    pub reason: Option<&'static str>,
    /// How many sets it has: whoever seals the message next has the instance after that. After [`SETS`] none may.
    pub sets: usize,
    /// Who sealed, the oldest first, if the chain is whole. What they say of those before them is as good as they are.
    pub sealers: Vec<Domain>,
}

impl ArcChain {
    fn of(status: ArcStatus, reason: &'static str, sets: usize) -> Self {
        Self { status, reason: Some(reason), sets, sealers: Vec::new() }
    }

    /// No chain.
    #[must_use]
    pub fn none() -> Self {
        Self { status: ArcStatus::None, reason: None, sets: 0, sealers: Vec::new() }
    }
}

/// One set: the fields of one instance.
struct Set<'h> {
    results: Field<'h>,
    message: Field<'h>,
    seal: Field<'h>,
    signature: Signature,
    sealed: Seal,
}

/// Validates the chain of a message (RFC 8617 §5.2).
pub(crate) async fn verify_arc(lookup: Lookup<'_>, header: &Header, body: &BodyHash, now: Time) -> ArcChain {
    let sets = match sets(header) {
        Ok(sets) if sets.is_empty() => return ArcChain::none(),
        Ok(sets) => sets,
        Err((count, reason)) => return ArcChain::of(ArcStatus::Fail, reason, count),
    };
    match validate(lookup, header, body, now, &sets).await {
        Ok(()) => ArcChain {
            status: ArcStatus::Pass,
            reason: None,
            sets: sets.len(),
            sealers: sets.iter().filter_map(|set| set.sealed.d.parse().ok()).collect(),
        },
        Err(Flaw::Temporary) => ArcChain::of(ArcStatus::TempError, "key not found out", sets.len()),
        Err(Flaw::Fail(reason) | Flaw::Policy(reason) | Flaw::Permanent(reason)) => {
            ArcChain::of(ArcStatus::Fail, reason, sets.len())
        }
    }
}

/// The sets in order, each complete and none twice; or how many there seem to be, and what is wrong.
fn sets(header: &Header) -> Result<Vec<Set<'_>>, (usize, &'static str)> {
    let of = |name: &'static str| header.all(name).take(SETS + 1).collect::<Vec<_>>();
    let (results, messages, seals) = (of("ARC-Authentication-Results"), of("ARC-Message-Signature"), of("ARC-Seal"));
    let count = results.len().max(messages.len()).max(seals.len()).min(SETS);
    if [results.len(), messages.len(), seals.len()].iter().any(|length| *length != seals.len() || *length > SETS) {
        return Err((count, "sets incomplete"));
    }
    let signatures: Vec<_> = messages.iter().filter_map(|field| read(field, Signature::parse)).collect();
    let sealed: Vec<_> = seals.iter().filter_map(|field| read(field, Seal::parse)).collect();
    let mut sets = Vec::with_capacity(count);
    let told: Vec<_> = results.iter().filter_map(|field| Some((Results::parse(field.value).ok()?.i, field))).collect();
    for instance in (1..).take(seals.len()) {
        let of_results = told.iter().find(|(i, _)| *i == instance).map(|(_, field)| *field);
        let message = signatures.iter().find(|(it, _)| it.i == instance);
        let seal = sealed.iter().find(|(it, _)| it.i == instance);
        let (Some(results), Some((signature, message)), Some((sealed, seal))) = (of_results, message, seal) else {
            return Err((count, "sets incomplete"));
        };
        let (signature, sealed) = (signature.clone(), sealed.clone());
        sets.push(Set { results: *results, message: *message, seal: *seal, signature, sealed });
    }
    Ok(sets)
}

fn read<'h, T>(field: &Field<'h>, parse: impl Fn(&[u8]) -> mail_auth::Result<T>) -> Option<(T, Field<'h>)> {
    let read = parse(field.value).ok().filter(|_| has_each_tag_once(field.value))?;
    Some((read, *field))
}

async fn validate(
    lookup: Lookup<'_>,
    header: &Header,
    body: &BodyHash,
    now: Time,
    sets: &[Set<'_>],
) -> Result<(), Flaw> {
    for (number, set) in sets.iter().enumerate() {
        let expected = if number == 0 { ChainValidation::None } else { ChainValidation::Pass };
        if set.sealed.cv != expected {
            return Err(Flaw::Fail("cv= does not fit"));
        }
        check_algorithm(set.sealed.a)?;
    }
    let Some(newest) = sets.last() else { return Ok(()) };
    check_form(&newest.signature, now)?;
    check_read_once(header, &newest.signature.h)?;
    if newest.signature.bh != body.of(newest.signature.cb) {
        return Err(Flaw::Fail("body has changed"));
    }
    let message_key = domain_key(lookup, &newest.signature.s, &newest.signature.d);
    let seal_keys = join_all(sets.iter().map(|set| domain_key(lookup, &set.sealed.s, &set.sealed.d)));
    let (message_key, seal_keys) = tokio::join!(message_key, seal_keys);
    let over = OverFields {
        field: (newest.message.name, newest.message.value),
        covered: &newest.signature.h,
        form: newest.signature.ch,
        algorithm: newest.signature.a,
        octets: &newest.signature.b,
    };
    verify(&message_key?, header, &over)?;
    for (number, key) in seal_keys.into_iter().enumerate().rev() {
        verify_seal(&key?, sets.get(..=number).unwrap_or_default())?;
    }
    Ok(())
}

async fn domain_key(lookup: Lookup<'_>, selector: &str, domain: &str) -> Result<DomainKey, Flaw> {
    let domain: Domain = domain.parse().map_err(|_| Flaw::Permanent("d= is no domain"))?;
    key(lookup, selector, domain.as_str()).await
}

fn check_form(signature: &Signature, now: Time) -> Result<(), Flaw> {
    check_algorithm(signature.a)?;
    if signature.h.len() > SIGNED_FIELDS || signature.l > 0 {
        return Err(Flaw::Policy("signature covers too much or too little"));
    }
    if !signature.h.iter().any(|name| name.eq_ignore_ascii_case("From")) {
        return Err(Flaw::Permanent("From not signed"));
    }
    if signature.x != 0 && signature.x < u64::try_from(now.unix_seconds()).unwrap_or(0) {
        return Err(Flaw::Policy("signature expired"));
    }
    Ok(())
}

/// Verifies the seal of the last of these sets: over all sets up to its own, in order (RFC 8617 §5.1.1).
fn verify_seal(key: &DomainKey, sets: &[Set<'_>]) -> Result<(), Flaw> {
    let Some((last, before)) = sets.split_last() else { return Ok(()) };
    let own = unsigned(last.seal.value);
    let fields = before
        .iter()
        .flat_map(|set| [set.results, set.message, set.seal])
        .chain([last.results, last.message])
        .map(|field| (field.name, field.value))
        .chain([(last.seal.name, own.as_slice())]);
    verify_over(key, fields, &last.sealed.b, Canonicalization::Relaxed, last.sealed.a)
}
