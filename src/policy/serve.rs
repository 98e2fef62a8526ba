//! Serving: a verdict and what can be reached in, a treatment per recipient out. Pure.

use crate::directory::{NationalId, NumberType};
use crate::mail::{ByDomain, Domain};
use crate::policy::protection::{Channel, Protection};
use crate::policy::sealable::{Sealable, Sealables};
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
    /// What certificates make possible, per recipient in the envelope's order; of whom is not named nothing is known.
    pub sealables: Vec<Sealables>,
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
    let unknown = Sealables::default();
    let treat = |(recipient, verdict): (usize, &RecipientVerdict)| {
        let sealables = reach.sealables.get(recipient).unwrap_or(&unknown);
        Treatment { recipient, means: means(verdict, reach, sealables) }
    };
    verdict.recipients.iter().enumerate().map(treat).collect()
}

fn means(verdict: &RecipientVerdict, reach: &Reach, sealables: &Sealables) -> Means {
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
        Protection::Secure => secured(verdict, reach, sealables),
    }
}

/// The first channel that fits. A partner whose certificates fail is not served by another channel in silence: its mail
/// waits. A person whose certificates fail is, for that person chose nothing.
fn secured(verdict: &RecipientVerdict, reach: &Reach, sealables: &Sealables) -> Means {
    let is_outside = verdict.place == Place::Outside;
    let pickup = reach.pickup && is_outside;
    // Whoever was to read it would stand before a door that nobody can open.
    let unshown = verdict.number.as_ref().map(NationalId::kind).filter(|kind| pickup && !reach.numbers.contains(kind));
    // No certificate tells whose number it is.
    let by_certificate = is_outside && verdict.number.is_none();
    let mut obstacle = None;
    for channel in &verdict.channels {
        match (channel, sealables.by(*channel)) {
            (Channel::Pickup, _) if pickup && unshown.is_none() => return Means::Seal(Channel::Pickup),
            (Channel::Tunnel | Channel::Personal, Some(Sealable::Now(_))) if by_certificate => {
                return Means::Seal(*channel);
            }
            (Channel::Tunnel, Some(Sealable::NotNow(why))) if by_certificate => {
                return Means::Wait(Reason::CannotBeSealed(why.clone()));
            }
            (Channel::Personal, Some(Sealable::NotNow(why))) if by_certificate => {
                obstacle = obstacle.or(Some(why.clone()));
            }
            (Channel::Tunnel | Channel::Personal | Channel::Pickup, _) => {}
        }
    }
    if let Some(why) = obstacle {
        return Means::Wait(Reason::CannotBeSealed(why));
    }
    let reason = unshown.map_or(Reason::NoChannel, Reason::NoLoginShows);
    if reach.refuse_unreachable { Means::Refuse(reason) } else { Means::Hold(reason) }
}

#[cfg(test)]
mod tests {
    use crate::policy::sealable::Obstacle;
    use crate::policy::serve::*;
    use crate::policy::verdict::FixedKind;

    const ALL: [Channel; 3] = [Channel::Tunnel, Channel::Personal, Channel::Pickup];

    fn served(channels: &[Channel], tunnel: Sealable, personal: Sealable, change: impl Fn(&mut Verdict)) -> Means {
        let mut verdict = Verdict::fixed(FixedKind::Opened, &["eva@partner.example".parse().unwrap()]);
        verdict.recipients[0].place = Place::Outside;
        verdict.recipients[0].protection = Protection::Secure;
        verdict.recipients[0].channels = channels.to_vec();
        change(&mut verdict);
        let sealables = vec![Sealables { tunnel, personal, reasons: Vec::new() }];
        let reach = Reach {
            verifies_tls: VerifiedTls::default(),
            pickup: true,
            numbers: vec![NumberType::SePersonnummer],
            refuse_unreachable: false,
            sealables,
        };
        serve(&verdict, &reach).remove(0).means
    }

    #[test]
    fn the_first_channel_that_fits_serves_and_a_partner_waits_for_its_certificate() {
        let now = || Sealable::Now("ab".to_owned());
        let expired = || Obstacle::Theirs("expired".to_owned());
        let wait = || Means::Wait(Reason::CannotBeSealed(expired()));
        let [tunnel, personal, pickup] = ALL.map(Means::Seal);
        for (channels, of_tunnel, of_person, expected) in [
            (&ALL[..], now(), now(), tunnel.clone()),
            (&ALL[..], Sealable::Unknown, now(), personal.clone()),
            (&ALL[..], Sealable::Unknown, Sealable::Unknown, pickup.clone()),
            (&ALL[..], Sealable::NotNow(expired()), now(), wait()),
            (&ALL[..], Sealable::Unknown, Sealable::NotNow(expired()), pickup.clone()),
            (&ALL[1..2], Sealable::Unknown, Sealable::NotNow(expired()), wait()),
            (&ALL[..1], Sealable::Unknown, now(), Means::Hold(Reason::NoChannel)),
            (&[Channel::Pickup, Channel::Tunnel], now(), now(), pickup.clone()),
            (&[Channel::Personal, Channel::Tunnel], now(), now(), personal),
        ] {
            assert_eq!(served(channels, of_tunnel, of_person, |_| {}), expected, "{channels:?}");
        }
        let number = |verdict: &mut Verdict| {
            let number = NationalId::parse(NumberType::SePersonnummer, "198501012382", 2026);
            verdict.recipients[0].number = number.ok();
        };
        assert_eq!(served(&ALL, now(), now(), number), pickup, "no certificate tells whose number it is");
        let service = |verdict: &mut Verdict| verdict.recipients[0].place = Place::Service;
        assert_eq!(served(&ALL, now(), now(), service), Means::Service);
    }
}
