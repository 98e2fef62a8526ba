//! ARC seals (RFC 8617): what we found out about a message stays believable though we change it in passing.

use crate::mail::Header;
use crate::net::Time;
use crate::sender_auth::arc::ArcStatus;
use crate::sender_auth::canonical::{BodyDigest, relaxed};
use crate::sender_auth::signed_field::signed;
use crate::sender_auth::signer::{Signer, covered};
use crate::sender_auth::signing_key::SignFault;

/// Sets of one message (RFC 8617 §4.2.1).
const SETS: usize = 50;
/// The three fields of a set, in the order in which they are sealed (RFC 8617 §5.1.1).
const RESULTS: &str = "ARC-Authentication-Results";
const SIGNATURE: &str = "ARC-Message-Signature";
const SEAL: &str = "ARC-Seal";

/// What the verification of the sets that are there came to (the `cv=` tag).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// There are none.
    None,
    /// They are sound.
    Pass,
    /// They are not.
    Fail,
}

/// Why no seal was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// The chain has failed before us or is too long: nobody may seal it any more (RFC 8617 §5.1).
    #[error("the chain has ended")]
    ChainHasEnded,
    /// The library could not sign.
    #[error(transparent)]
    Sign(#[from] SignFault),
}

impl Chain {
    /// The chain that a set of ours would go on; `None` where there is none any more, or nobody can say so now.
    #[must_use]
    pub fn to_go_on(status: ArcStatus) -> Option<Self> {
        match status {
            ArcStatus::None => Some(Self::None),
            ArcStatus::Pass => Some(Self::Pass),
            ArcStatus::Fail | ArcStatus::TempError => None,
        }
    }

    fn tag(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

impl Signer {
    /// The set of ARC fields for a message as it goes on, `ARC-Seal` first, each with its line end: to be put before all other
    /// fields. `header` and `body` are those that go on; `results` is the value of our `Authentication-Results`, beginning with
    /// our name; `chain` is what came of verifying the sets in `header` as they came. Sets that do not line up count as failed.
    ///
    /// # Errors
    /// [`SealFault`]; the message goes on without a seal of ours.
    pub fn arc(
        &self,
        header: &Header,
        body: BodyDigest,
        results: &str,
        chain: Chain,
        now: Time,
    ) -> Result<Vec<u8>, SealFault> {
        let sets = sets(header);
        let (count, chain) = match (&sets, chain) {
            (Some(sets), Chain::None) if sets.is_empty() => (0, Chain::None),
            (Some(sets), Chain::Pass) if !sets.is_empty() => (sets.len(), Chain::Pass),
            (Some(sets), _) => (sets.len(), Chain::Fail),
            (None, _) => (highest(header), Chain::Fail),
        };
        if count >= SETS || has_failed(header, count) {
            return Err(SealFault::ChainHasEnded);
        }
        let instance = (count + 1).to_string();
        let clean: String = results.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        let results = format!("{RESULTS}: i={instance};\r\n\t{}\r\n", clean.trim());
        let (names, fields) = covered(header, &["DKIM-Signature"]);
        let mut tags = vec![("i", instance.clone())];
        tags.extend(self.tags(now));
        tags.extend([("h", names), ("bh", body.to_base64())]);
        let signature = signed(SIGNATURE, &tags, &fields, &self.key)?;

        let mut before = Vec::new();
        if chain != Chain::Fail {
            sets.unwrap_or_default().iter().for_each(|set| before.extend_from_slice(set));
        }
        canonical(results.as_bytes(), &mut before);
        canonical(&signature, &mut before);
        let [algorithm, _, domain, selector, time] = self.tags(now);
        let tags = [("i", instance), algorithm, ("cv", chain.tag().to_owned()), domain, selector, time];
        let seal = signed(SEAL, &tags, &before, &self.key)?;
        Ok([seal, signature, results.into_bytes()].concat())
    }
}

/// A whole field in the relaxed form.
fn canonical(field: &[u8], out: &mut Vec<u8>) {
    let colon = field.iter().position(|octet| *octet == b':').unwrap_or(field.len());
    let (name, value) = field.split_at(colon);
    relaxed(name, value.get(1..).unwrap_or_default(), out);
}

/// The sets that are there, the first one first, each in the relaxed form; `None` if they do not line up: each instance from
/// one on has each field once (RFC 8617 §5.2).
fn sets(header: &Header) -> Option<Vec<Vec<u8>>> {
    let mut sets: Vec<[Option<Vec<u8>>; 3]> = Vec::new();
    for (kind, name) in [RESULTS, SIGNATURE, SEAL].into_iter().enumerate() {
        for field in header.all(name) {
            let place = tag(field.value, "i")?.parse::<usize>().ok().filter(|i| (1..=SETS).contains(i))? - 1;
            if sets.len() <= place {
                sets.resize(place + 1, [const { None }; 3]);
            }
            let slot = sets.get_mut(place)?.get_mut(kind)?;
            let mut octets = Vec::new();
            relaxed(field.name, field.value, &mut octets);
            if slot.replace(octets).is_some() {
                return None;
            }
        }
    }
    sets.into_iter().map(|[results, signature, seal]| Some([results?, signature?, seal?].concat())).collect()
}

/// The highest instance that any seal has.
fn highest(header: &Header) -> usize {
    let instances = header.all(SEAL).filter_map(|field| tag(field.value, "i")?.parse::<usize>().ok());
    instances.max().unwrap_or(0)
}

/// Whether the newest set says that the chain had failed already when it was made.
fn has_failed(header: &Header, newest: usize) -> bool {
    let is_newest = |value: &[u8]| tag(value, "i").is_some_and(|i| i == newest.to_string());
    header.all(SEAL).any(|field| is_newest(field.value) && tag(field.value, "cv").is_some_and(|cv| cv == "fail"))
}

/// A tag's value.
fn tag(value: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let found = text.split(';').filter_map(|tag| tag.split_once('=')).find(|(tag, _)| tag.trim() == name);
    found.map(|(_, value)| value.trim().to_owned())
}
