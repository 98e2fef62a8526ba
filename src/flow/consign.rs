//! Secured recipients who hold certificates, or whose domain does: who opens with the same certificates gets the same sealed
//! message.

use std::collections::HashSet;

use crate::directory::{Candidate, Directory, OwnKeys, RecipientKeys};
use crate::flow::settings::Settings;
use crate::mail::{Address, BodyType, Envelope, Recipient, ReversePath};
use crate::net::Clock;
use crate::policy::{Channel, Means, Place, Protection, Sealables, Treatment, Verdict};
use crate::queue::Item;
use crate::sealing::{Face, SealFault, SealOrder, SealWish, Sealed, Sealer};
use crate::store::StoreError;

/// Envelopes of one sealed message: each blind copy has one of its own until there are too many.
const ENVELOPES: usize = 250;

/// Who knows certificates, and who seals. Cheap to clone.
#[derive(Clone)]
pub struct Consigner {
    /// Certificates of others and of ours.
    pub directory: Directory,
    /// Who seals.
    pub sealer: Sealer,
    /// What time it is.
    pub clock: Clock,
}

/// What is known of a message's recipients, as it was looked up at one time.
pub(crate) struct Known {
    keys: Vec<RecipientKeys>,
    own: OwnKeys,
    author: Option<Address>,
    at: i64,
}

/// Recipients who open with the same certificates.
#[derive(Debug)]
pub(crate) struct Group<'t> {
    /// By which channel.
    pub channel: Channel,
    /// What is done for them.
    pub treatments: Vec<&'t Treatment>,
}

/// What stands around a sealed message.
pub(crate) struct Around {
    /// What the outside says.
    pub face: Face,
    /// How its owner wants it.
    pub wish: SealWish,
}

impl Consigner {
    /// Looks up what is known of those recipients of a message who are secured and wait.
    pub(crate) fn look_up(&self, settings: &Settings, item: &Item) -> Result<Known, StoreError> {
        let mut keys = Vec::with_capacity(item.verdict.recipients().len());
        for (recipient, state) in item.verdict.recipients().iter().zip(&item.states) {
            let is_asked = state.is_waiting()
                && recipient.place == Place::Outside
                && recipient.protection == Protection::Secure
                && recipient.channels.iter().any(|channel| *channel != Channel::Pickup);
            keys.push(match is_asked {
                true => self.directory.recipient_keys(&recipient.address)?,
                false => RecipientKeys::default(),
            });
        }
        let author = author(settings, &item.envelope.sender, item.summary.author_address.as_ref());
        Ok(Known { keys, own: self.directory.own(), author, at: self.clock.now().unix_seconds() })
    }

    /// Signs and seals a message for a group.
    pub(crate) async fn seal(
        &self,
        known: &Known,
        group: &Group<'_>,
        message: &crate::sealing::Content,
        around: Around,
    ) -> Result<Sealed, SealFault> {
        let keys = group.treatments.first().and_then(|first| known.keys.get(first.recipient));
        let candidates: Vec<&Candidate> = match (keys, group.channel) {
            (Some(keys), Channel::Tunnel) => keys.tunnel(),
            (Some(keys), Channel::Personal) => keys.personal(),
            (Some(_), Channel::Pickup) | (None, _) => Vec::new(),
        };
        let signer = known.author.as_ref().and_then(|author| match group.channel {
            Channel::Tunnel => known.own.signs_for_domain(author.domain(), known.at),
            Channel::Personal | Channel::Pickup => known.own.signs_for(author, known.at),
        });
        let order = SealOrder {
            message,
            face: around.face,
            certificates: candidates.into_iter().map(|candidate| candidate.certificate.clone()).collect(),
            wish: around.wish,
            signer: signer.cloned(),
            at: known.at,
        };
        self.sealer.seal(order).await
    }
}

impl Known {
    /// What certificates make possible, per recipient.
    pub fn sealables(&self) -> Vec<Sealables> {
        let of = |keys| Sealables::of(keys, &self.own, self.author.as_ref(), self.at);
        self.keys.iter().map(of).collect()
    }
}

/// In whose name a message can be signed: its author's, if he is of ours, else its sender's. Nobody's, if strangers wrote it
/// and our mail server forwards it.
#[must_use]
pub fn author(settings: &Settings, sender: &ReversePath, from: Option<&Address>) -> Option<Address> {
    let ours = settings.of_ours(sender);
    if *sender != ReversePath::Null && ours.is_none() {
        return None;
    }
    from.filter(|from| settings.is_inside(from.domain())).or(ours).map(Address::untagged)
}

/// Who opens with the same certificates: through the tunnel everybody at a domain, else each for himself.
pub(crate) fn groups<'t>(treatments: &'t [Treatment], verdict: &Verdict) -> Vec<Group<'t>> {
    let domain = |it: &Treatment| verdict.recipients().get(it.recipient).map(|recipient| recipient.address.domain());
    let mut groups: Vec<Group<'t>> = Vec::new();
    for treatment in treatments {
        let Means::Seal(channel @ (Channel::Tunnel | Channel::Personal)) = treatment.means else { continue };
        let fits = |group: &&mut Group<'t>| {
            channel == Channel::Tunnel
                && group.channel == Channel::Tunnel
                && group.treatments.first().is_some_and(|first| domain(first) == domain(treatment))
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.treatments.push(treatment),
            None => groups.push(Group { channel, treatments: vec![treatment] }),
        }
    }
    groups
}

/// Those of a group who share an envelope: whom the message names, together; whoever gets a blind copy, alone.
pub(crate) fn apart<'t>(
    group: &Group<'t>,
    envelope: &Envelope,
    addressees: &HashSet<String>,
) -> Vec<Vec<&'t Treatment>> {
    let address = |it: &Treatment| envelope.recipients.get(it.recipient).map(|recipient| recipient.address.folded());
    let is_named = |it: &&Treatment| address(it).is_some_and(|address| addressees.contains(&address));
    let (named, blind): (Vec<&Treatment>, Vec<&Treatment>) = group.treatments.iter().copied().partition(is_named);
    let mut parts = if named.is_empty() { Vec::new() } else { vec![named] };
    for treatment in blind {
        match parts.len() < ENVELOPES {
            true => parts.push(vec![treatment]),
            false => parts.last_mut().into_iter().for_each(|last| last.push(treatment)),
        }
    }
    parts
}

/// The envelope of a sealed message, whose octets are seven bits.
pub(crate) fn envelope_of(envelope: &Envelope, part: &[&Treatment], sender: ReversePath) -> Envelope {
    let recipients: Vec<Recipient> =
        part.iter().filter_map(|treatment| envelope.recipients.get(treatment.recipient).cloned()).collect();
    Envelope { sender, recipients, body: BodyType::SevenBit, ..envelope.clone() }
}

#[cfg(test)]
mod tests {
    use crate::flow::consign::*;

    #[test]
    fn a_domain_shares_a_sealed_message_and_a_blind_copy_has_its_own_envelope() {
        let addresses: Vec<Address> =
            ["a@p.example", "b@q.example", "c@P.example", "d@p.example"].map(|it| it.parse().unwrap()).to_vec();
        let envelope = Envelope::plain(ReversePath::Null, addresses.clone());
        let verdict = Verdict::inbound(&addresses, &"gw.example".parse().unwrap(), &addresses);
        let tunnel = |recipient| Treatment { recipient, means: Means::Seal(Channel::Tunnel) };
        let treatments: Vec<Treatment> = (0..4).map(tunnel).collect();
        let found = groups(&treatments, &verdict);
        let places = |all: &[&Treatment]| all.iter().map(|it| it.recipient).collect::<Vec<_>>();
        assert_eq!(found.iter().map(|group| places(&group.treatments)).collect::<Vec<_>>(), [vec![0, 2, 3], vec![1]]);
        let named = ["a@p.example", "c@p.example"].map(str::to_owned).into();
        let parts = apart(&found[0], &envelope, &named);
        assert_eq!(parts.iter().map(|part| places(part)).collect::<Vec<_>>(), [vec![0, 2], vec![3]]);
        let personal = [Treatment { recipient: 0, means: Means::Seal(Channel::Personal) }, treatments[2].clone()];
        assert_eq!(groups(&personal, &verdict).len(), 2);
    }
}
