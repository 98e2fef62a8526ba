//! Whether the channels that need certificates serve a recipient now. Pure.

use serde::{Deserialize, Serialize};

use crate::cms::Seconds;
use crate::directory::{Candidate, OwnKeys, RecipientKeys, WhyNot};
use crate::mail::Address;
use crate::policy::protection::Channel;

/// Whether one channel serves a recipient now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sealable {
    /// No certificate is known that anybody accepted: it is not this recipient's channel.
    #[default]
    Unknown,
    /// It can be sealed to the certificate of this fingerprint, and to others maybe.
    Now(String),
    /// It is this recipient's channel, and nothing can be sealed now.
    NotNow(Obstacle),
}

/// Why nothing can be sealed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Obstacle {
    /// None of their certificates can be used: of each why, for operators.
    Theirs(String),
    /// No certificate of ours can sign for the author's domain.
    Ours(String),
    /// It was tried and failed: why, for operators.
    Failed(String),
}

/// What is known about one recipient, for each channel that needs certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealables {
    /// Certificates of the recipient's domain.
    pub tunnel: Sealable,
    /// The recipient's own certificates.
    pub personal: Sealable,
    /// Every certificate that is known, and whether it can be used: a sentence each.
    #[serde(default)]
    pub reasons: Vec<String>,
}

impl Sealables {
    /// What can be sealed to these keys, signed in the name of `author`. Where none of ours wrote the message there is no
    /// author, and nobody signs (RFC 3183 §3.1: who was not authenticated is not signed for).
    #[must_use]
    pub fn of(keys: &RecipientKeys, own: &OwnKeys, author: Option<&Address>, at: Seconds) -> Self {
        let ours = |signs: bool, author: &Address| {
            (!signs).then(|| Obstacle::Ours(format!("no certificate of ours signs for {} now", author.domain())))
        };
        let tunnel = author.and_then(|author| ours(own.signs_for_domain(author.domain(), at).is_some(), author));
        let personal = author.and_then(|author| ours(own.signs_for(author, at).is_some(), author));
        Self {
            tunnel: sealable(&keys.tunnel, &keys.tunnel(), tunnel),
            personal: sealable(&keys.personal, &keys.personal(), personal),
            reasons: keys.reasons(),
        }
    }

    /// What is known for this channel; `None` for one that needs no certificate.
    #[must_use]
    pub fn by(&self, channel: Channel) -> Option<&Sealable> {
        match channel {
            Channel::Tunnel => Some(&self.tunnel),
            Channel::Personal => Some(&self.personal),
            Channel::Pickup => None,
        }
    }

    /// The fingerprint of the certificate that this channel seals to.
    #[must_use]
    pub fn certificate(&self, channel: Channel) -> Option<&str> {
        match self.by(channel)? {
            Sealable::Now(fingerprint) => Some(fingerprint),
            Sealable::Unknown | Sealable::NotNow(_) => None,
        }
    }
}

fn sealable(known: &[Candidate], usable: &[&Candidate], ours: Option<Obstacle>) -> Sealable {
    // What nobody accepted, or somebody refused, makes no channel.
    let accepted = |it: &&Candidate| matches!(it.verdict, Ok(_) | Err(WhyNot::Distrusted(_)));
    let accepted: Vec<String> = known.iter().filter(accepted).map(ToString::to_string).collect();
    match (usable.first(), ours) {
        _ if accepted.is_empty() => Sealable::Unknown,
        (None, _) => Sealable::NotNow(Obstacle::Theirs(accepted.join("; "))),
        (Some(_), Some(obstacle)) => Sealable::NotNow(obstacle),
        (Some(newest), None) => Sealable::Now(newest.id()),
    }
}
