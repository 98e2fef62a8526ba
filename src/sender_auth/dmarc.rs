//! DMARC (RFC 9989): whether one of the identities that SPF and DKIM prove is of the domain that people see in `From`.

use std::cmp::Reverse;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::dmarc::{Alignment, Dmarc, Policy as Written, Psd};

use crate::mail::{Domain, Field, Header, ReversePath};
use crate::sender_auth::lookup::{Lookup, Unfound};

/// Labels from which a tree walk leaves some out, so that it has at most eight steps (RFC 9989 §4.10).
const LONG: usize = 8;
/// Domains of authors in one `From`: each of them has to be proven.
const AUTHORS: usize = 4;

/// What DMARC says (RFC 8601 §2.7.1, RFC 9989).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmarcResult {
    /// The domain asks for nothing.
    None,
    /// A proven identity is of the domain.
    Pass,
    /// None is.
    Fail,
    /// It cannot be found out now.
    TempError,
    /// It cannot be said who the author is.
    PermError,
}

/// What the domain asks to do with mail that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Nothing.
    None,
    /// Suspect it.
    Quarantine,
    /// Do not take it.
    Reject,
}

/// What DMARC says of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What it says.
    pub result: DmarcResult,
    /// What the domain asks for; `None` if that cannot be found out now.
    pub policy: Option<Policy>,
    /// The author's domain; of several the one that is worst off.
    pub domain: Option<Domain>,
    /// Why it cannot be said who the author is. Where `From` is missing, the rest may still tell of the envelope sender,
    /// whom the mail server may put there.
    pub flaw: Option<Flaw>,
}

/// Why it cannot be said who the author is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// There is no `From`.
    Missing,
    /// There are several, or one with too many domains: programs disagree about which they show.
    Several,
    /// It names no mailbox, or something that some program may take for one.
    Unreadable,
    /// So much was asked about the message already that what the author's domain asks for is not.
    TooManyLookUps,
}

/// An identity that SPF or DKIM proves, or may prove.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) domain: Domain,
    pub(crate) by: Method,
    /// It is proven; else that cannot be found out now.
    pub(crate) is_proven: bool,
}

/// How an identity is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Spf,
    Dkim,
}

/// What is found at the domain of one author.
pub(crate) struct Author {
    domain: Domain,
    found: Result<Option<Found>, Unfound>,
}

struct Found {
    record: Dmarc,
    organisation: String,
    policy: Policy,
}

/// Who a message says it is from.
pub(crate) struct Authors {
    /// Every domain that some program may show.
    pub(crate) domains: Vec<Domain>,
    /// Why it cannot be said.
    pub(crate) flaw: Option<Flaw>,
}

impl Authors {
    /// Reads `From`. Where a program may find none, it may put the envelope sender there (RFC 5321 §6.4), who then counts
    /// too.
    pub(crate) fn of(header: &Header, sender: &ReversePath) -> Self {
        let (mut domains, flaw) = match domains_in_from(header) {
            Ok(domains) => (domains, None),
            Err(Flaw::Missing) => (Vec::new(), Some(Flaw::Missing)),
            Err(flaw) => return Self { domains: Vec::new(), flaw: Some(flaw) },
        };
        if !header.fields_before_text().any(|field| field.is("From")) {
            domains.extend(sender.mailbox().map(|sender| sender.domain().clone()));
            domains.dedup();
        }
        Self { domains, flaw }
    }
}

/// The domains of all authors in `From`, each once. Where one of them cannot be read, none can be: whom a program shows is
/// not known.
///
/// # Errors
/// [`Flaw`].
pub(crate) fn domains_in_from(header: &Header) -> Result<Vec<Domain>, Flaw> {
    // Some program passes over what is no part of a name.
    let is_from = |field: &Field<'_>| {
        let name = field.name.iter().filter(|octet| octet.is_ascii_graphic());
        name.map(u8::to_ascii_lowercase).eq(*b"from")
    };
    match header.fields().filter(is_from).count() {
        0 => return Err(Flaw::Missing),
        1 => {}
        _ => return Err(Flaw::Several),
    }
    // What stands behind a bracket that nobody closes, some programs show.
    if header.first("From").is_some_and(|field| !is_closed(field.value)) {
        return Err(Flaw::Unreadable);
    }
    let mut domains = Vec::new();
    for (name, written) in header.written_addresses("From") {
        match written.filter(|written| written.contains('@')) {
            Some(written) => domains.push(domain_of(&written).ok_or(Flaw::Unreadable)?),
            // A comma in a name that has no quotes is common. What has an @ may be shown as an address.
            None if name.is_some_and(|name| name.contains(['@', '\u{ff20}', '\u{fe6b}'])) => {
                return Err(Flaw::Unreadable);
            }
            None => {}
        }
    }
    domains.sort_unstable();
    domains.dedup();
    match domains.len() {
        0 => Err(Flaw::Unreadable),
        1..=AUTHORS => Ok(domains),
        _ => Err(Flaw::Several),
    }
}

/// Whether every comment has an end (RFC 5322 §3.2.2). Within one, quotes are none.
fn is_closed(value: &[u8]) -> bool {
    let (mut depth, mut is_quoted, mut octets) = (0_usize, false, value.iter());
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' => drop(octets.next()),
            b'"' if depth == 0 => is_quoted = !is_quoted,
            b'(' if !is_quoted => depth += 1,
            b')' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth == 0
}

/// The domain of an author. What stands before the @ proves nothing and may be anything that cannot be taken for more than
/// one address: real ones have dots side by side, and are longer than they may be.
fn domain_of(written: &str) -> Option<Domain> {
    let (local, domain) = written.rsplit_once('@')?;
    let is_quoted = local.len() > 1 && local.starts_with('"') && local.ends_with('"');
    let is_special = |c: char| c.is_whitespace() || c.is_control() || "@<>()[],;:\"\\".contains(c);
    if !is_quoted && local.contains(is_special) { None } else { domain.parse().ok() }
}

/// Finds out what a domain asks for (RFC 9989 §4.10.1).
pub(crate) async fn find(lookup: Lookup<'_>, domain: Domain) -> Author {
    let found = policy_of(lookup, domain.as_str()).await;
    Author { domain, found }
}

/// Says of each author whether an identity is of that domain: who is not proven first.
pub(crate) async fn verify_dmarc(lookup: Lookup<'_>, authors: Vec<Author>, identities: &[Identity]) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(authors.len());
    for author in authors {
        verdicts.push(verdict(lookup, author, identities).await);
    }
    verdicts.sort_by_key(|verdict| Reverse((rank(verdict.result), verdict.policy)));
    verdicts
}

/// Of what is said of each author, the worst; `flaw` says why it cannot be said who they are.
pub(crate) fn worst(verdicts: &[Verdict], flaw: Option<Flaw>) -> Verdict {
    let worst = verdicts.iter().rev().max_by_key(|verdict| badness(verdict)).cloned();
    let Some(flaw) = flaw else { return worst.unwrap_or_else(|| flawed(Flaw::Missing)) };
    // Who is shown only where somebody puts him there is no proven author.
    let is_bad = |verdict: &Verdict| {
        matches!(verdict.result, DmarcResult::Fail | DmarcResult::TempError) || verdict.flaw.is_some()
    };
    let said = |verdict: Verdict| Verdict { flaw: verdict.flaw.or(Some(flaw)), ..verdict };
    worst.filter(is_bad).map_or_else(|| flawed(flaw), said)
}

/// What is said where nobody can say who the author is.
fn flawed(flaw: Flaw) -> Verdict {
    Verdict { result: DmarcResult::PermError, policy: Some(Policy::None), domain: None, flaw: Some(flaw) }
}

/// What is worse, in this order: a wish to refuse such mail, or none that is known; what was found out; the wish.
fn badness(verdict: &Verdict) -> (bool, u8, Option<Policy>) {
    let rank = rank(verdict.result);
    let is_beyond_asking = verdict.flaw == Some(Flaw::TooManyLookUps);
    let is_unproven = matches!(verdict.result, DmarcResult::Fail | DmarcResult::TempError);
    // Of whom not even the wish is known, the worst is to be feared.
    let is_grave = verdict.policy.is_none_or(|policy| policy == Policy::Reject);
    (is_beyond_asking || is_unproven && is_grave, if is_beyond_asking { 5 } else { rank }, verdict.policy)
}

fn rank(result: DmarcResult) -> u8 {
    match result {
        DmarcResult::Pass => 0,
        DmarcResult::None => 1,
        DmarcResult::PermError => 2,
        DmarcResult::TempError => 3,
        DmarcResult::Fail => 4,
    }
}

async fn verdict(lookup: Lookup<'_>, author: Author, identities: &[Identity]) -> Verdict {
    let Author { domain, found } = author;
    let (result, policy) = match found {
        Err(Unfound::Unanswered) => (DmarcResult::TempError, None),
        Err(Unfound::TooMany) => {
            let (result, flaw) = (DmarcResult::PermError, Some(Flaw::TooManyLookUps));
            return Verdict { result, policy: None, domain: Some(domain), flaw };
        }
        Ok(None) => (DmarcResult::None, Some(Policy::None)),
        Ok(Some(found)) => (weigh(lookup, domain.as_str(), &found, identities).await, Some(found.policy)),
    };
    Verdict { result, policy, domain: Some(domain), flaw: None }
}

async fn weigh(lookup: Lookup<'_>, author: &str, found: &Found, identities: &[Identity]) -> DmarcResult {
    let mut result = DmarcResult::Fail;
    let mut known: Vec<(&str, Result<bool, Unfound>)> = Vec::new();
    for identity in identities {
        let domain = identity.domain.as_str();
        let mode = match identity.by {
            Method::Spf => found.record.aspf,
            Method::Dkim => found.record.adkim,
        };
        let is_aligned = match (domain == author, mode) {
            (true, _) => Ok(true),
            (false, Alignment::Strict) => Ok(false),
            (false, Alignment::Relaxed) => match known.iter().find(|(of, _)| *of == domain) {
                Some((_, known)) => *known,
                None => {
                    let answer = is_within(lookup, domain, &found.organisation).await;
                    known.push((domain, answer));
                    answer
                }
            },
        };
        match (is_aligned, identity.is_proven) {
            (Ok(true), true) => return DmarcResult::Pass,
            (Ok(true), false) | (Err(Unfound::Unanswered), _) => result = DmarcResult::TempError,
            // What would cost too much proves nothing.
            (Ok(false) | Err(Unfound::TooMany), _) => {}
        }
    }
    result
}

/// Whether a domain is of an organisation (RFC 9989 §4.10.2).
async fn is_within(lookup: Lookup<'_>, domain: &str, organisation: &str) -> Result<bool, Unfound> {
    let below = domain.strip_suffix(organisation);
    if !below.is_some_and(|below| below.is_empty() || below.ends_with('.')) {
        return Ok(false);
    }
    let walked = walk(lookup, domain).await?;
    Ok(organisation_of(&walked, domain) == organisation)
}

async fn policy_of(lookup: Lookup<'_>, domain: &str) -> Result<Option<Found>, Unfound> {
    let walked = walk(lookup, domain).await?;
    let organisation = organisation_of(&walked, domain).to_owned();
    let of = |name: &str| walked.iter().position(|(at, _)| *at == name);
    let Some(place) = of(domain).or_else(|| of(&organisation)).or(walked.len().checked_sub(1)) else { return Ok(None) };
    let Some((at, record)) = walked.into_iter().nth(place) else { return Ok(None) };
    let written = if record.p == Written::Unspecified {
        if record.rua.is_empty() {
            return Ok(None);
        }
        Written::None
    } else if at == domain {
        record.p
    } else if record.np != record.sp && !lookup.exists(domain).await? {
        record.np
    } else {
        record.sp
    };
    // `t=y`: one step milder than it says (RFC 9989 §4.7).
    let policy = match (written, record.t) {
        (Written::Reject, false) => Policy::Reject,
        (Written::Reject, true) | (Written::Quarantine, false) => Policy::Quarantine,
        (Written::Quarantine, true) | (Written::None | Written::Unspecified, _) => Policy::None,
    };
    Ok(Some(Found { record, organisation, policy }))
}

/// The records from a domain up to the top, the longest name first (RFC 9989 §4.10).
async fn walk<'d>(lookup: Lookup<'_>, domain: &'d str) -> Result<Vec<(&'d str, Dmarc)>, Unfound> {
    let mut found = Vec::new();
    let mut name = domain;
    let labels = |name: &str| name.split('.').count();
    if labels(domain) < 2 {
        return Ok(found);
    }
    loop {
        if let Some(record) = record_at(lookup, name).await? {
            let ends = matches!(record.psd, Psd::Yes | Psd::No);
            found.push((name, record));
            if ends {
                return Ok(found);
            }
        }
        let Some((_, mut above)) = name.split_once('.') else { return Ok(found) };
        while labels(above) >= LONG {
            above = above.split_once('.').map_or(above, |(_, rest)| rest);
        }
        name = above;
    }
}

/// The one record of a name: where there are several, none counts (RFC 9989 §4.10).
async fn record_at(lookup: Lookup<'_>, name: &str) -> Result<Option<Dmarc>, Unfound> {
    let texts = lookup.texts(&format!("_dmarc.{name}")).await?;
    let is_record = |text: &&String| {
        let version: String = text.split(';').next().unwrap_or_default().split_whitespace().collect();
        version == "v=DMARC1"
    };
    let mut records = texts.iter().filter(is_record);
    Ok(match (records.next(), records.next()) {
        (Some(text), None) => Dmarc::parse(text.as_bytes()).ok(),
        _ => None,
    })
}

/// The organisation's own domain, from what a walk found (RFC 9989 §4.10.2).
fn organisation_of<'d>(walked: &[(&'d str, Dmarc)], domain: &'d str) -> &'d str {
    for (name, record) in walked {
        match record.psd {
            Psd::No => return name,
            Psd::Yes if *name != domain => return one_below(name, domain),
            Psd::Yes | Psd::Default => {}
        }
    }
    walked.last().map_or(domain, |(name, _)| name)
}

/// The name with one label more than a suffix has.
fn one_below<'d>(suffix: &str, domain: &'d str) -> &'d str {
    let labels = suffix.split('.').count() + 1;
    let mut name = domain;
    while name.split('.').count() > labels {
        name = name.split_once('.').map_or(name, |(_, rest)| rest);
    }
    name
}

#[cfg(test)]
mod tests {
    use crate::sender_auth::dmarc::*;

    #[test]
    fn an_author_who_cannot_be_read_leaves_nobody_to_be_proven() {
        let read = |from: &str| domains_in_from(&Header::new(format!("From: {from}\r\n").into_bytes()));
        for from in [
            "b@[192.0.2.1]",
            "b@-bad-",
            "b@",
            "b@.",
            "b@@evil.example",
            "b@evil.example\0",
            "b\u{ff20}evil.example",
            "b@xn--\u{e5}.example",
            "<@route:b@evil.example>",
            "<b@evil..example>",
            "\"b@evil\".example",
            "\"b@evil.example",
            "(b@evil.example",
            "=?utf-8?q?b=40evil.example?=",
        ] {
            assert_eq!(read(&format!("a@live.example, {from}")), Err(Flaw::Unreadable), "{from}");
        }
        for from in [
            "a@live.example b@evil.example",
            "a@live.example (, b@evil.example",
            "a@live.example (\\), b@evil.example",
            "a@live.example\\, b@evil.example",
            "<a@live.example> b@evil.example",
            "<a@live.example><b@evil.example>",
            "<<a@live.example>, b@evil.example>",
        ] {
            assert_eq!(read(from), Err(Flaw::Unreadable), "{from}");
        }
        let both = ["evil.example", "live.example"].map(|name| name.parse().unwrap()).to_vec();
        let many = format!("{}b@evil.example", "a@live.example, ".repeat(2_000));
        for from in [
            "a@live.example; b@evil.example",
            "a@live.example, <b@evil.example",
            "g: a@live.example;, b@evil.example.",
            "a@live.example, @evil.example",
            &many,
        ] {
            assert_eq!(read(from).as_ref(), Ok(&both), "{from:.60}");
        }
        let one = Ok(vec!["live.example".parse().unwrap()]);
        for from in
            ["Berg, Eva (\"a (b) \\) c) <eva@live.example>", "\"Eva :(\" <eva@live.example>", "eva@live.example,,"]
        {
            assert_eq!(read(from), one, "{from}");
        }
    }
}
