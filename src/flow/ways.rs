//! The ways on which what passes goes out: a consignment for each, so that nobody waits for another's way.

use std::collections::HashMap;

use crate::flow::passes::is_marked;
use crate::mail::{Envelope, Header, ReversePath};
use crate::policy::{Means, Place, Treatment, Verdict};
use crate::sealing::{Content, NextHop, Outgoing};

/// Consignments of one message to the internet. Each that is settled writes the item's row anew.
const MOST: usize = 250;
/// Octets of the edited header, which each consignment holds, in all of them together.
const HEADS_OCTETS: usize = 8 << 20;

/// As whose a message leaves to the internet.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Its envelope sender there.
    pub sender: ReversePath,
    /// Strangers wrote it, and we pass it on.
    pub is_of_strangers: bool,
}

/// What leaves on one way, and for whom.
pub struct Leaving {
    /// What leaves.
    pub outgoing: Outgoing,
    /// Places of its recipients in the message's envelope.
    pub places: Vec<usize>,
}

/// What of a message passes: to our own mail server in one consignment; to the internet in one, or, with `each_domain`, in
/// one for each domain. Where that would be too many, several domains share one. Whose mail may only go over verified TLS
/// goes apart from the others.
pub fn leaving(
    verdict: &Verdict,
    treatments: &[Treatment],
    envelope: &Envelope,
    outside: &Outside,
    content: &Content,
    each_domain: bool,
) -> Vec<Leaving> {
    let passing = |place: Place| {
        let is_there = move |t: &&Treatment| {
            matches!(t.means, Means::Pass { .. })
                && verdict.recipients().get(t.recipient).is_some_and(|recipient| recipient.place == place)
        };
        treatments.iter().filter(is_there).collect::<Vec<_>>()
    };
    let most = if each_domain { most(content) } else { 1 };
    // Our own field stands in what was put before the message.
    let is_forged = is_marked(&Header::new(content.head.as_slice()));
    let ways = apart(passing(Place::Outside), envelope, most).into_iter().map(|there| (there, NextHop::Internet));
    let ways = std::iter::once((passing(Place::Inside), NextHop::MailServer)).chain(ways);
    ways.filter_map(|(there, hop)| {
        let places: Vec<usize> = there.iter().map(|t| t.recipient).collect();
        let mut part = part_of(envelope, &places);
        let is_of_strangers = hop == NextHop::Internet && (outside.is_of_strangers || is_forged);
        if hop == NextHop::Internet {
            part.sender.clone_from(&outside.sender);
        }
        let outgoing = Outgoing::passing(&there, hop, part, content.clone())?.of_strangers(is_of_strangers);
        Some(Leaving { outgoing, places })
    })
    .collect()
}

/// Who needs no proof, and behind them who does: though both are of one domain, the one must not wait with the other.
fn apart<'t>(treatments: Vec<&'t Treatment>, envelope: &Envelope, most: usize) -> Vec<Vec<&'t Treatment>> {
    let (strict, lax): (Vec<_>, Vec<_>) =
        treatments.into_iter().partition(|t| matches!(t.means, Means::Pass { verified_tls: true }));
    let most = if strict.is_empty() || lax.is_empty() { most } else { (most / 2).max(1) };
    [lax, strict].into_iter().flat_map(|there| by_domain(there, envelope, most)).collect()
}

/// In the order in which the domains come first.
fn by_domain<'t>(treatments: Vec<&'t Treatment>, envelope: &Envelope, most: usize) -> Vec<Vec<&'t Treatment>> {
    let mut numbers = HashMap::new();
    let mut parts: Vec<Vec<&Treatment>> = Vec::new();
    for treatment in treatments {
        let Some(recipient) = envelope.recipients.get(treatment.recipient) else { continue };
        let next = numbers.len();
        let number = *numbers.entry(recipient.address.domain()).or_insert(next) % most;
        match parts.get_mut(number) {
            Some(part) => part.push(treatment),
            None => parts.push(vec![treatment]),
        }
    }
    parts
}

fn most(content: &Content) -> usize {
    (HEADS_OCTETS / content.head.len().max(1)).clamp(1, MOST)
}

/// The envelope with these of its recipients alone.
fn part_of(envelope: &Envelope, places: &[usize]) -> Envelope {
    let recipients = places.iter().filter_map(|place| envelope.recipients.get(*place).cloned()).collect();
    Envelope { recipients, ..envelope.clone() }
}

#[cfg(test)]
mod tests {
    use crate::flow::ways::*;

    #[test]
    fn each_domain_has_a_consignment_and_too_many_share() {
        let addresses = ["a@one.example", "b@two.example", "c@ONE.example", "d@three.example"];
        let recipients = addresses.map(|address| address.parse().unwrap()).to_vec();
        let envelope = Envelope::plain(ReversePath::Null, recipients);
        let pass = |recipient| Treatment { recipient, means: Means::Pass { verified_tls: false } };
        let treatments: Vec<Treatment> = (0..4).map(pass).collect();
        let parts = |most| -> Vec<Vec<usize>> {
            let parts = by_domain(treatments.iter().collect(), &envelope, most);
            parts.into_iter().map(|part| part.into_iter().map(|t| t.recipient).collect()).collect()
        };
        assert_eq!(parts(250), [vec![0, 2], vec![1], vec![3]]);
        assert_eq!(parts(2), [vec![0, 2, 3], vec![1]]);
        assert_eq!(parts(1), [vec![0, 1, 2, 3]]);
    }

    #[test]
    fn who_needs_no_proof_waits_for_nobody_who_does() {
        let addresses = ["a@one.example", "b@one.example", "c@two.example", "d@one.example"];
        let recipients = addresses.map(|address| address.parse().unwrap()).to_vec();
        let envelope = Envelope::plain(ReversePath::Null, recipients);
        let pass = |recipient| Treatment { recipient, means: Means::Pass { verified_tls: recipient % 2 == 1 } };
        let treatments: Vec<Treatment> = (0..4).map(pass).collect();
        let parts = |most| -> Vec<Vec<usize>> {
            let parts = apart(treatments.iter().collect(), &envelope, most);
            parts.into_iter().map(|part| part.into_iter().map(|t| t.recipient).collect()).collect()
        };
        assert_eq!(parts(250), [vec![0], vec![2], vec![1, 3]]);
        assert_eq!(parts(1), [vec![0, 2], vec![1, 3]], "by a smarthost too");
    }
}
