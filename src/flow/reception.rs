//! Taking a message: octets through the lock into the spool, facts gathered on the way, judged before the final dot is
//! answered, promised in one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;

use crate::cms::entity::{Entity, EntityKind};
use crate::flow::admission::with_postmaster;
use crate::flow::checked::Checked;
use crate::flow::house::{House, door};
use crate::flow::judged::Judged;
use crate::flow::settings::Settings;
use crate::flow::stamp::Stamped;
use crate::flow::ways::{Leaving, leaving};
use crate::mail::{Address, Envelope, QueueId, ReversePath};
use crate::policy::{Facts, Reach, Reader, Verdict, judge, serve};
use crate::queue::{
    Draft, Item, Kind, NewItem, Origin, Peer, QueueError, Receiving, Reception, ReceptionError, RecipientState, Smime,
};
use crate::records::{Entry, Event, EventKind};
use crate::sealing::{Content, Outgoing};
use crate::sender_auth::BodyHashes;
use crate::store::Transaction;
use crate::telemetry::Labels;
use crate::vault::random_octets;

/// Octets of a header from which it is a large one: hardly any mail has one.
const LARGE_HEADER: u64 = 64 * 1024;
/// A message on its way in.
struct Arriving {
    house: House,
    settings: Arc<Settings>,
    origin: Origin,
    peer: Peer,
    envelope: Envelope,
    /// Recipients outside to whom a report about forwarded mail goes back.
    homeward: Vec<Address>,
    draft: Draft,
    reader: Reader,
    /// What signatures need of the body; at the inbound door only.
    body_hashes: Option<BodyHashes>,
    limit: u64,
    large_header: Option<OwnedSemaphorePermit>,
}

#[async_trait]
impl Reception for House {
    async fn admit_sender(&self, origin: Origin, sender: &ReversePath) -> Result<(), ReceptionError> {
        self.marks.look().map_err(|mark| ReceptionError::PastMark(mark.to_string()))?;
        let settings = self.settings.get();
        match (origin, sender) {
            (Origin::Inbound, _) | (Origin::Outbound, ReversePath::Null) => Ok(()),
            (Origin::Outbound, ReversePath::Mailbox(address)) if settings.is_inside(address.domain()) => Ok(()),
            // What is from us already, as an answer of the portal, is forwarded to nobody.
            (Origin::Outbound, ReversePath::Mailbox(address))
                if settings.forwards && address.domain() != &settings.hostname =>
            {
                Ok(())
            }
            (Origin::Outbound, ReversePath::Mailbox(address)) => Err(ReceptionError::Refused {
                status: "5.7.1",
                text: format!("senders of {} are not ours", address.domain()),
            }),
        }
    }

    async fn admit_recipient(
        &self,
        origin: Origin,
        sender: &ReversePath,
        recipient: &Address,
    ) -> Result<(), ReceptionError> {
        let settings = self.settings.get();
        if let Some(home) = self.home_of(&settings, recipient) {
            return self.admit_report(sender, &home);
        }
        if recipient.domain() == &settings.hostname {
            return self.admit_service_address(&settings, recipient);
        }
        match origin {
            Origin::Outbound => Ok(()),
            Origin::Inbound => self.admit_inside(&settings, recipient).await,
        }
    }

    async fn receive(
        &self,
        origin: Origin,
        peer: &Peer,
        envelope: Envelope,
        declared_size: Option<u64>,
    ) -> Result<Box<dyn Receiving>, ReceptionError> {
        let settings = self.settings.get();
        let (envelope, homeward) = self.sent_home(with_postmaster(envelope, &settings), &settings);
        let limit = settings.max_message_size;
        if declared_size.is_some_and(|size| size > limit) {
            return Err(ReceptionError::TooLarge);
        }
        // Service mail is read here and does not leave.
        let leaves = envelope.recipients.iter().any(|recipient| recipient.address.domain() != &settings.hostname);
        let draft = if leaves { self.spool.begin_warm()? } else { self.spool.begin()? };
        let year = settings.year(self.clock.now());
        let reader = match origin {
            Origin::Outbound => Reader::new(Arc::clone(&settings.rules), year),
            // No rule is asked about what comes in: what strangers send is not opened.
            Origin::Inbound => Reader::of_structure(year),
        };
        Ok(Box::new(Arriving {
            house: self.clone(),
            settings,
            origin,
            peer: peer.clone(),
            envelope,
            homeward,
            draft,
            reader,
            body_hashes: (origin == Origin::Inbound).then(BodyHashes::new),
            limit,
            large_header: None,
        }))
    }
}

#[async_trait]
impl Receiving for Arriving {
    async fn write(&mut self, octets: &[u8]) -> Result<(), ReceptionError> {
        if self.draft.length() + octets.len() as u64 > self.limit {
            return Err(ReceptionError::TooLarge);
        }
        apart(self.reader.may_take_long(octets), || self.reader.push(octets));
        if self.large_header.is_none() && self.reader.header_length() > LARGE_HEADER {
            self.large_header = Some(self.house.large_headers.place(self.origin)?);
        }
        if let Some(hashes) = &mut self.body_hashes {
            hashes.write(octets);
        }
        Ok(self.draft.write(octets).await?)
    }

    async fn promise(self: Box<Self>) -> Result<QueueId, ReceptionError> {
        let Self {
            house, settings, origin, peer, envelope, homeward, draft, reader, body_hashes, large_header, ..
        } = *self;
        let size = draft.length();
        let takes_long = large_header.is_some() || reader.may_take_long(b"");
        let read = apart(takes_long, || reader.finish());
        if let Some(fault) = read.refused {
            return Err(ReceptionError::PassesLimit(fault));
        }
        let passes = house.passes_of(&settings, origin, &read.header)?;
        if origin == Origin::Inbound {
            house.expect_answers_to_notices(&settings, &envelope, &read.header)?;
        }
        let checked = match body_hashes {
            Some(hashes) => house.results_of_checks(&settings, &peer, &envelope, &read.header, hashes).await?,
            None => Checked::default(),
        };
        let facts = Facts {
            sender: envelope.sender.clone(),
            recipients: envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect(),
            subject: read.header.subject(),
            in_thread: origin == Origin::Outbound && house.in_thread(&settings, &envelope, &read.header)?,
            header: read.header,
            size,
            attachments: read.attachments,
            has_more_attachments: read.has_more_attachments,
            media_types: read.media_types,
            found: read.found,
            unreadable: read.unreadable,
            unknown_matches: settings.unknown_matches,
            year: settings.year(house.clock.now()),
        };
        let smime = smime_of(origin, &facts);
        let checked =
            if smime == Smime::None { checked.with_closed_parts(&settings.hostname, origin, &facts) } else { checked };
        let verdict = apart(large_header.is_some(), || house.judge(&settings, origin, &facts, &homeward))?;
        let (body, warm) = draft.finish_warm().await?;
        let verdict = match &house.scanning {
            Some(scanning) => match scanning.look_at(origin, &body, &house.spool, &house.vault).await? {
                Some(rule) => verdict.held(&rule),
                None => verdict,
            },
            None => verdict,
        };
        let now = house.clock.now();
        let id = QueueId::from_parts(
            u64::try_from(now.unix_ms()).unwrap_or(0),
            random_octets().map_err(|f| ReceptionError::Unavailable(f.to_string()))?,
        );
        let judged = Judged {
            settings: &settings,
            origin,
            peer: &peer,
            envelope: &envelope,
            facts: &facts,
            header_length: read.header_length,
            verdict: &verdict,
            id,
            now,
        };
        let (on, portal) = (judged.going_on(&house, &checked, &passes), judged.in_portal());
        let summary = judged.summary();
        let content = |stamped: Stamped| Content {
            head: stamped.head,
            skip: stamped.skip,
            body: body.body_ref().clone(),
            has_eight_bit: read.has_eight_bit,
            has_utf8_header: read.has_utf8_header,
        };
        let (content, portal) = (content(on), content(portal));
        let (states, outgoings) = match smime {
            // To be opened: that is the carrier's.
            Smime::Unopened => (vec![RecipientState::Waiting; envelope.recipients.len()], Vec::new()),
            Smime::None | Smime::Closed | Smime::Found => {
                house.served_at_once(&settings, &verdict, origin, &envelope, &content)
            }
        };
        let mut entries = vec![house.promised(id, origin, &envelope, &verdict)?];
        for rule in verdict.lifted() {
            let event = Event::new(EventKind::RuleLifted).about(id).detail(rule.clone());
            entries.push(house.journal.entry(event).map_err(|fault| ReceptionError::Unavailable(fault.to_string()))?);
        }
        let kind = Kind::Mail { content, portal };
        let item = Item {
            kind,
            origin,
            envelope,
            verdict,
            states,
            summary,
            sender_is_proven: checked.sender_is_proven,
            smime,
        };
        let new = NewItem { id, item, body, created: now, expires: now.after(settings.lifetime), outgoings, entries };
        let ways = new.outgoings.len();
        let prepared = new.prepare(&house.vault)?;
        // Before the commit, for who is due is leased at once.
        if let Some(warm) = warm {
            house.spool.warm().put(prepared.body_ref().id, warm, ways);
        }
        let counted = house.count_reports(&homeward)?;
        let write = move |tx: &mut dyn Transaction| {
            counted.into_iter().try_for_each(|count| count(tx))?;
            prepared.write(tx)
        };
        house.rows.commit(Box::new(write)).await.map_err(QueueError::from)?;
        house.schedule.ring();
        Ok(id)
    }
}

/// Whether a message is to be opened: what comes in, and is S/MIME at its root. A sealed part beside others is not (EFAIL).
fn smime_of(origin: Origin, facts: &Facts) -> Smime {
    let is_smime = match Entity::of(&facts.header) {
        Ok(None) | Ok(Some(Entity { kind: EntityKind::LoneSignature, .. })) => false,
        Ok(Some(Entity { kind: EntityKind::Cms(_) | EntityKind::MultipartSigned { .. }, .. })) | Err(_) => true,
    };
    if origin == Origin::Inbound && is_smime { Smime::Unopened } else { Smime::None }
}

/// Does what takes long without keeping others waiting: another thread takes over what this one had to do.
fn apart<T>(takes_long: bool, work: impl FnOnce() -> T) -> T {
    let flavor = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) if takes_long => tokio::task::block_in_place(work),
        _ => work(),
    }
}

impl House {
    /// Judges what came. No rule is asked about what came through the inbound door.
    fn judge(
        &self,
        settings: &Settings,
        origin: Origin,
        facts: &Facts,
        homeward: &[Address],
    ) -> Result<Verdict, ReceptionError> {
        let judged = match origin {
            Origin::Outbound => judge(&settings.rules, facts),
            Origin::Inbound => Ok(Verdict::inbound(&facts.recipients, &settings.hostname, homeward)),
        };
        judged.map_err(|refusal| {
            tracing::info!(status = refusal.status, rule = refusal.rule, "a message was refused by policy");
            ReceptionError::Refused { status: refusal.status, text: refusal.text }
        })
    }

    /// What can leave without any look-up: mail that just passes. Everything else waits for the carrier.
    fn served_at_once(
        &self,
        settings: &Settings,
        verdict: &Verdict,
        origin: Origin,
        envelope: &Envelope,
        content: &Content,
    ) -> (Vec<RecipientState>, Vec<Outgoing>) {
        let waiting = (vec![RecipientState::Waiting; envelope.recipients.len()], Vec::new());
        if !verdict.all_plain() {
            return waiting;
        }
        let verifies_tls = settings.verifies_tls.clone();
        let reach =
            Reach { verifies_tls, pickup: true, numbers: Vec::new(), refuse_unreachable: false, sealables: Vec::new() };
        let treatments = serve(verdict, &reach);
        let mut states = waiting.0;
        let mut outgoings = Vec::new();
        let outside = settings.outside(self.vault.index(), origin, &envelope.sender, self.clock.now());
        let ways = leaving(verdict, &treatments, envelope, &outside, content, settings.each_domain);
        for Leaving { outgoing, places } in ways {
            let number = u16::try_from(outgoings.len()).unwrap_or(u16::MAX);
            for place in places {
                if let Some(state) = states.get_mut(place) {
                    *state = RecipientState::Consigned(number);
                }
            }
            outgoings.push(outgoing);
        }
        self.metrics.treated.get_or_create(&Labels::of("pass")).inc_by(envelope.recipients.len() as u64);
        (states, outgoings)
    }

    fn promised(
        &self,
        id: QueueId,
        origin: Origin,
        envelope: &Envelope,
        verdict: &Verdict,
    ) -> Result<Entry, ReceptionError> {
        let mut event = Event::new(EventKind::Promised).about(id);
        let rules: Vec<String> = verdict.recipients().iter().map(|r| format!("{}:{}", r.protection, r.rule)).collect();
        event.detail = format!("door={} {}", door(origin), summed(&rules));
        event.told.note = envelope.sender.to_string();
        event.told.recipients = envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        self.journal.entry(event).map_err(|fault| ReceptionError::Unavailable(fault.to_string()))
    }
}

/// Each different text once, with how often it stands there.
fn summed(texts: &[String]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for text in texts {
        match counts.iter_mut().find(|(known, _)| known == text) {
            Some((_, count)) => *count += 1,
            None => counts.push((text, 1)),
        }
    }
    counts.iter().map(|(text, count)| format!("{count}x {text}")).collect::<Vec<_>>().join(", ")
}
