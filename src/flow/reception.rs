//! Taking a message: octets through the lock into the spool, facts gathered on the way, judged before the final dot is
//! answered, promised in one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::flow::addresses::{ServiceAddress, Tokens, is_postmaster};
use crate::flow::forwarding::ReturnPaths;
use crate::flow::passes::Passes;
use crate::flow::scanning::Scanning;
use crate::flow::seal::Seal;
use crate::flow::settings::{Current, Settings};
use crate::flow::stamp::{OURS, Stamped, stamp};
use crate::flow::told::Told;
use crate::flow::ways::{Leaving, leaving};
use crate::mail::limits;
use crate::mail::{Address, Envelope, Hop, QueueId, Recipient, ReversePath, postmaster_of, received};
use crate::mailboxes::PostBox;
use crate::net::Clock;
use crate::policy::{
    DIRECTIVE_FIELDS, Facts, Place, Reach, Reader, RecipientCheck, Standing, Verdict, Wish, judge, serve, wish,
};
use crate::queue::{
    Draft, Item, Kind, Marks, NewItem, Origin, Peer, Receiving, Reception, ReceptionError, RecipientState, Schedule,
    Spool, Summary,
};
use crate::records::{Event, EventKind, Journal};
use crate::sealing::{Content, Outgoing};
use crate::sender_auth::{BodyHashes, Chain, Checks, Hand, Ruling, Signers, authentication_results, told};
use crate::store::{Change, RowsHandle, Transaction};
use crate::telemetry::{Labels, Metrics};
use crate::vault::{Vault, random_octets};

/// Ids of a thread that are kept, the newest ones: what a receipt and an answer to a notice need.
const REFERENCES: usize = 200;
/// Octets of a header from which it is a large one: hardly any mail has one.
const LARGE_HEADER: u64 = 64 * 1024;
/// Reports a day to one sender whose mail was forwarded: who got it can write such ones.
const REPORTS_HOME: u32 = 20;
/// Messages with a large header that arrive at a door at the same time. A header is held in memory until its message has
/// arrived, and a door has hundreds of sessions.
const LARGE_HEADERS: usize = 32;

/// The house as the SMTP doors see it. Cheap to clone.
#[derive(Clone)]
pub struct House {
    /// What is configured now.
    pub settings: Current,
    /// Rows.
    pub rows: RowsHandle,
    /// The lock.
    pub vault: Vault,
    /// Where drafts are begun.
    pub spool: Spool,
    /// What stands in which thread.
    pub post_box: PostBox,
    /// What service addresses stand for.
    pub tokens: Tokens,
    /// What happened.
    pub journal: Journal,
    /// Who is rung when something is promised.
    pub schedule: Schedule,
    /// What time it is.
    pub clock: Clock,
    /// What operations watch.
    pub metrics: Metrics,
    /// Places for messages with large headers.
    pub large_headers: LargeHeaders,
    /// Who looks for malware, if anybody does.
    pub scanning: Option<Scanning>,
    /// What stops mail before there is trouble.
    pub marks: Marks,
    /// Who mail from the internet is from; none where there is no inbound door.
    pub checks: Option<Checks>,
    /// Who seals what is handed on of it.
    pub signers: Signers,
    /// Who knows our recipients.
    pub recipients: Arc<dyn RecipientCheck>,
    /// What was sent home today.
    pub told: Told,
}

/// Places for messages with large headers, at each door. Cheap to clone.
#[derive(Clone)]
pub struct LargeHeaders {
    outbound: Arc<Semaphore>,
    inbound: Arc<Semaphore>,
}

impl Default for LargeHeaders {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(LARGE_HEADERS));
        Self { outbound: places(), inbound: places() }
    }
}

impl LargeHeaders {
    fn place(&self, origin: Origin) -> Result<OwnedSemaphorePermit, ReceptionError> {
        let places = match origin {
            Origin::Outbound => &self.outbound,
            Origin::Inbound => &self.inbound,
        };
        let full = |_| ReceptionError::Unavailable("too many messages with a large header arrive at once".into());
        Arc::clone(places).try_acquire_owned().map_err(full)
    }
}

/// What was found out about who a message is from.
#[derive(Default)]
struct Checked {
    /// The field that tells of it, with its CRLF.
    field: String,
    /// Its envelope sender is who it says: only then may it be told what became of the message.
    sender_is_proven: bool,
    /// What a seal would say.
    seal: Option<Seal>,
}

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
        if read.header.all("Received").count() > limits::HOPS {
            return Err(ReceptionError::Refused {
                status: "5.4.6",
                text: "too many hops: the mail goes in a circle".into(),
            });
        }
        let passes = Passes::of(house.vault.index(), &settings.hostname, &read.header);
        if passes.are_too_many() {
            tracing::error!(
                door = door(origin),
                passes = passes.count(),
                "a message comes back to us again and again and is refused: whoever we hand mail to hands it back"
            );
            house.metrics.refused.get_or_create(&Labels::of("loop")).inc();
            return Err(ReceptionError::Refused {
                status: "5.4.6",
                text: "the mail has been here too often: it goes in a circle".into(),
            });
        }
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
        let only = match envelope.recipients.as_slice() {
            [one] => Some(one.address.to_string()),
            _ => None,
        };
        let received = received(&Hop {
            helo: &peer.helo,
            ip: peer.ip,
            by: settings.hostname.as_str(),
            protocol: peer.protocol,
            tls: peer.tls.as_deref(),
            id: &id.to_string(),
            only_recipient: only.as_deref(),
            unix_ms: now.unix_ms(),
        });
        let secret = settings.secret_header.as_deref();
        // Directives are for our own senders: copied into a forwarded mail, they would be honoured.
        let directives = DIRECTIVE_FIELDS.iter().copied().filter(|_| origin == Origin::Inbound);
        let taken_off: Vec<&str> = OURS.iter().copied().chain(secret).chain(directives).collect();
        // What a message begins with may go on the field before it (RFC 5322 §2.2.3): that is one nobody counts on.
        let traced =
            format!("{}{}{received}", checked.field, passes.next_field(house.vault.index(), &settings.hostname));
        let results_of = (origin == Origin::Inbound).then_some(&settings.hostname);
        let mut on = stamp(&traced, &facts.header, read.header_length, verdict.removals(), &taken_off, results_of);
        if let Some(seal) = &checked.seal {
            seal.put_on(&mut on, &facts.header, &envelope, &house.signers.now(), now);
        }
        let by_number = verdict.recipients().iter().any(|recipient| recipient.place == Place::Number);
        let hidden: Vec<&str> = taken_off
            .iter()
            .copied()
            .chain(["Bcc", "Resent-Bcc", "Disposition-Notification-To"])
            // Who else has this address has the number.
            .chain(["To", "Cc", "Resent-To", "Resent-Cc"].into_iter().filter(|_| by_number))
            .collect();
        let portal = stamp("", &facts.header, read.header_length, verdict.removals(), &hidden, None);
        let mut references = facts.header.message_ids("References");
        references.extend(facts.header.message_ids("In-Reply-To"));
        references.dedup();
        references.drain(..references.len().saturating_sub(REFERENCES));
        let summary = Summary {
            about_subject: String::new(),
            subject: crate::mail::without(&facts.subject.text, &verdict.removals().subject_tags),
            message_id: facts.header.message_ids("Message-ID").into_iter().next(),
            references,
            author: facts.header.addresses("From").into_iter().find_map(|(name, _)| name),
            automatic: crate::mail::is_automatic(&facts.header),
        };
        let content = |stamped: Stamped| Content {
            head: stamped.head,
            skip: stamped.skip,
            body: body.body_ref().clone(),
            has_eight_bit: read.has_eight_bit,
            has_utf8_header: read.has_utf8_header,
        };
        let (content, portal) = (content(on), content(portal));
        let (states, outgoings) = house.served_at_once(&settings, &verdict, origin, &envelope, &content);
        let mut entries = vec![house.promised(id, origin, &envelope, &verdict)?];
        for rule in verdict.lifted() {
            let event = Event::new(EventKind::RuleLifted).about(id).detail(rule.clone());
            entries.push(house.journal.entry(event).map_err(|fault| ReceptionError::Unavailable(fault.to_string()))?);
        }
        let kind = Kind::Mail { content, portal };
        let item =
            Item { kind, origin, envelope, verdict, states, summary, sender_is_proven: checked.sender_is_proven };
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
        house.rows.commit(Box::new(write)).await.map_err(crate::queue::QueueError::from)?;
        house.schedule.ring();
        Ok(id)
    }
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
    /// Finds out who mail from the internet is from, and refuses what its author's domain wants refused.
    async fn results_of_checks(
        &self,
        settings: &Settings,
        peer: &Peer,
        envelope: &Envelope,
        header: &crate::mail::Header,
        hashes: BodyHashes,
    ) -> Result<Checked, ReceptionError> {
        let host = &settings.hostname;
        // What is our own has been looked at before, and its address says nothing of the author's.
        let checks = self.checks.as_ref().filter(|_| !settings.is_own_peer(peer.ip));
        let Some(checks) = checks else {
            return Ok(Checked { field: authentication_results(host, &[]), ..Checked::default() });
        };
        let body = hashes.finish();
        let hand = Hand { ip: peer.ip, helo: &peer.helo, sender: &envelope.sender, header, body: &body };
        let proof = checks.prove(host, hand).await;
        let ruling = if settings.dmarc_refuses { proof.ruling(&settings.trusted_sealers) } else { Ruling::Take };
        match ruling {
            Ruling::Take => Ok(Checked {
                field: proof.field(host),
                sender_is_proven: proof.is_of_sender(),
                seal: Chain::to_go_on(proof.arc.status).map(|chain| Seal {
                    results: told(host, &proof.results()),
                    chain,
                    body: body.relaxed(),
                }),
            }),
            Ruling::Refuse(status, text) | Ruling::Defer(status, text) => {
                tracing::info!(status, "a message was refused because of who it says it is from");
                Err(ReceptionError::Refused { status, text })
            }
        }
    }

    /// Whose mail was forwarded with this return path, if it is one of ours.
    fn home_of(&self, settings: &Settings, path: &Address) -> Option<Address> {
        let paths = ReturnPaths { key: self.vault.index(), hostname: &settings.hostname };
        let is_outside = |home: &Address| home.domain() != &settings.hostname && !settings.is_inside(home.domain());
        paths.home(path, self.clock.now()).filter(is_outside)
    }

    /// Whether something may go back to a sender outside: reports alone, and only so many.
    fn admit_report(&self, sender: &ReversePath, home: &Address) -> Result<(), ReceptionError> {
        if *sender != ReversePath::Null {
            let text = "this address takes reports alone, from the null path".to_owned();
            return Err(ReceptionError::Refused { status: "5.7.1", text });
        }
        self.count_reports(std::slice::from_ref(home)).map(drop)
    }

    /// What counts one more report to each.
    fn count_reports(&self, homeward: &[Address]) -> Result<Vec<Change>, ReceptionError> {
        let count = |home: &Address| match self.told.once_more("report-home", home.folded().as_bytes(), REPORTS_HOME) {
            Ok(Some(counted)) => Ok(counted),
            Ok(None) => {
                let text = "too many reports have been sent back there today".to_owned();
                Err(ReceptionError::Refused { status: "4.7.1", text })
            }
            Err(fault) => Err(ReceptionError::Unavailable(fault.to_string())),
        };
        homeward.iter().map(count).collect()
    }

    /// The envelope with those whose mail was forwarded in the place of our return paths, and who these are.
    fn sent_home(&self, mut envelope: Envelope, settings: &Settings) -> (Envelope, Vec<Address>) {
        let mut homeward: Vec<Address> = Vec::new();
        if envelope.sender == ReversePath::Null {
            for recipient in &mut envelope.recipients {
                let Some(home) = self.home_of(settings, &recipient.address) else { continue };
                recipient.address = home.clone();
                if !homeward.contains(&home) {
                    homeward.push(home);
                }
            }
        }
        (envelope, homeward)
    }

    /// Whether one of our own addresses is there.
    fn admit_service_address(&self, settings: &Settings, recipient: &Address) -> Result<(), ReceptionError> {
        if is_postmaster(recipient, &settings.hostname) {
            return Ok(());
        }
        match ServiceAddress::of(recipient, &settings.hostname) {
            None => Err(no_such_address()),
            Some(ServiceAddress::NoReply) => Ok(()),
            Some(ServiceAddress::Bounce(token) | ServiceAddress::Thread(token)) => match self.tokens.bearing(&token) {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(no_such_address()),
                Err(fault) => Err(ReceptionError::Unavailable(fault.to_string())),
            },
        }
    }

    /// Whether somebody outside may write to this recipient. Whoever is not there is refused now: there is nobody to tell
    /// later, for its sender may be forged.
    async fn admit_inside(&self, settings: &Settings, recipient: &Address) -> Result<(), ReceptionError> {
        let refused = |status, text: &str| Err(ReceptionError::Refused { status, text: text.to_owned() });
        match wish(recipient, &settings.domains) {
            Wish::Relay => return refused("5.7.1", "this host passes nothing on"),
            Wish::Postmaster => return Ok(()),
            Wish::Mailbox => {}
        }
        match self.recipients.standing(recipient).await {
            Standing::Known => Ok(()),
            Standing::Unknown => Err(no_such_address()),
            Standing::TakesNone => refused("5.2.1", "this address takes no mail"),
            Standing::Undecided(why) => Err(ReceptionError::Unavailable(why)),
        }
    }

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

    /// Mail to `noreply@` alone must answer a notice. Whoever writes there of himself is told by his own mail server: a
    /// letter of ours would go to whomever the mail says it is from.
    fn expect_answers_to_notices(
        &self,
        settings: &Settings,
        envelope: &Envelope,
        header: &crate::mail::Header,
    ) -> Result<(), ReceptionError> {
        let is_no_reply = |address: &Address| {
            matches!(ServiceAddress::of(address, &settings.hostname), Some(ServiceAddress::NoReply))
        };
        let to_us_alone = envelope.recipients.iter().all(|recipient| is_no_reply(&recipient.address));
        if !to_us_alone || envelope.sender == ReversePath::Null || self.in_thread(settings, envelope, header)? {
            return Ok(());
        }
        let text = "nobody reads this address; it takes answers to our notices alone".to_owned();
        Err(ReceptionError::Refused { status: "5.7.1", text })
    }

    /// Whether the message stands in a secure thread: by its `In-Reply-To` and `References`, or by a thread address.
    fn in_thread(
        &self,
        settings: &Settings,
        envelope: &Envelope,
        header: &crate::mail::Header,
    ) -> Result<bool, ReceptionError> {
        let to_thread = |address: &Address| {
            matches!(ServiceAddress::of(address, &settings.hostname), Some(ServiceAddress::Thread(_)))
        };
        if envelope.recipients.iter().any(|recipient| to_thread(&recipient.address)) {
            return Ok(true);
        }
        let mut ids = header.message_ids("References");
        ids.extend(header.message_ids("In-Reply-To"));
        if ids.len() >= limits::MESSAGE_IDS {
            // More than are read: whether one of the others is of a secure message, nobody knows.
            return Ok(true);
        }
        for id in ids.iter().rev() {
            match self.post_box.thread(id) {
                Ok(Some(_)) => return Ok(true),
                Ok(None) => {}
                Err(fault) => return Err(ReceptionError::Unavailable(fault.to_string())),
            }
        }
        Ok(false)
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
        let reach = Reach { verifies_tls, pickup: true, numbers: Vec::new(), refuse_unreachable: false };
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
    ) -> Result<crate::records::Entry, ReceptionError> {
        let mut event = Event::new(EventKind::Promised).about(id);
        let rules: Vec<String> = verdict.recipients().iter().map(|r| format!("{}:{}", r.protection, r.rule)).collect();
        event.detail = format!("door={} {}", door(origin), summed(&rules));
        event.told.note = envelope.sender.to_string();
        event.told.recipients = envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        self.journal.entry(event).map_err(|fault| ReceptionError::Unavailable(fault.to_string()))
    }
}

/// What is said of an address that is not there, whoever said so.
fn no_such_address() -> ReceptionError {
    ReceptionError::Refused { status: "5.1.1", text: "no such address here".to_owned() }
}

/// The envelope with the organisation's postmaster in the place of ours: the gateway has no mailboxes.
fn with_postmaster(mut envelope: Envelope, settings: &Settings) -> Envelope {
    let Some(postmaster) = settings.domains.first().and_then(postmaster_of) else { return envelope };
    let is_ours = |recipient: &Recipient| is_postmaster(&recipient.address, &settings.hostname);
    let mut is_there = envelope.recipients.iter().any(|recipient| recipient.address.folded() == postmaster.folded());
    let recipients = std::mem::take(&mut envelope.recipients).into_iter().filter_map(|mut recipient| {
        if is_ours(&recipient) {
            if std::mem::replace(&mut is_there, true) {
                return None;
            }
            recipient.original.get_or_insert(format!("rfc822;{}", recipient.address));
            recipient.address = postmaster.clone();
        }
        Some(recipient)
    });
    envelope.recipients = recipients.collect();
    envelope
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

fn door(origin: Origin) -> &'static str {
    match origin {
        Origin::Outbound => "outbound",
        Origin::Inbound => "inbound",
    }
}
