//! Serving: a verdict and what can be reached in, a treatment per recipient out. Pure.

use crate::directory::{NationalId, NumberType};
use crate::mail::{ByDomain, Domain};
use crate::policy::protection::{Channel, Protection};
use crate::policy::treatment::{Means, Reason, Treatment};
use crate::policy::verdict::{Place, RecipientVerdict, Verdict};

/// What can be reached today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// To whom delivery can be told to verify TLS or to give nothing.
    pub verifies_tls: VerifiedTls,
    /// The portal runs, so that messages can be picked up.
    pub pickup: bool,
    /// Kinds of national numbers that a login can show.
    pub numbers: Vec<NumberType>,
    /// Who cannot be reached is refused rather than held.
    pub refuse_unreachable: bool,
}

/// The domains to which delivery can be told to verify TLS or to give nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifiedTls {
    /// Where nothing is said of a domain.
    pub usually: bool,
    /// What is said of domains.
    pub of: ByDomain<bool>,
}

impl VerifiedTls {
    /// Whether it can for this domain.
    #[must_use]
    pub fn to(&self, domain: &Domain) -> bool {
        self.of.get(domain).copied().unwrap_or(self.usually)
    }
}

/// What is done for each recipient, in the envelope's order.
#[must_use]
pub fn serve(verdict: &Verdict, reach: &Reach) -> Vec<Treatment> {
    let treat =
        |(recipient, verdict): (usize, &RecipientVerdict)| Treatment { recipient, means: means(verdict, reach) };
    verdict.recipients.iter().enumerate().map(treat).collect()
}

fn means(verdict: &RecipientVerdict, reach: &Reach) -> Means {
    // No rule asks for more inside; a malware scanner may have.
    if verdict.place == Place::Inside && verdict.protection != Protection::Hold {
        return Means::Pass { verified_tls: false };
    }
    match verdict.protection {
        Protection::Hold => Means::Hold(Reason::RuleHolds(verdict.rule.clone())),
        Protection::Refuse => Means::Refuse(Reason::RuleRefuses(verdict.refusal.clone().unwrap_or_default())),
        // A thread address stands for a post box: what goes there never leaves, however it is to be protected.
        Protection::Plain | Protection::Tls | Protection::Secure if verdict.place == Place::Service => Means::Service,
        Protection::Plain => Means::Pass { verified_tls: false },
        Protection::Tls if reach.verifies_tls.to(verdict.address.domain()) => Means::Pass { verified_tls: true },
        Protection::Tls => Means::Wait(Reason::NoVerifiedTls),
        Protection::Secure => secured(verdict, reach),
    }
}

/// The first channel that fits. Tunnel and personal certificates are not served by this release.
fn secured(verdict: &RecipientVerdict, reach: &Reach) -> Means {
    let pickup = reach.pickup && verdict.place == Place::Outside;
    // Whoever was to read it would stand before a door that nobody can open.
    let unshown = verdict.number.as_ref().map(NationalId::kind).filter(|kind| pickup && !reach.numbers.contains(kind));
    let fits = |channel: &&Channel| match channel {
        Channel::Tunnel | Channel::Personal => false,
        Channel::Pickup => pickup && unshown.is_none(),
    };
    let reason = || unshown.map_or(Reason::NoChannel, Reason::NoLoginShows);
    match verdict.channels.iter().find(fits) {
        Some(channel) => Means::Seal(*channel),
        None if reach.refuse_unreachable => Means::Refuse(reason()),
        None => Means::Hold(reason()),
    }
}
