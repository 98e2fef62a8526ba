//! The life of one message between our promise to carry it and its first delivery attempt.

use std::sync::Arc;

use crate::flow::addresses::{Bearing, ServiceAddress, Tokens};
use crate::flow::consign::{Around, Consigner, Group, Known, apart, envelope_of, groups};
use crate::flow::fault::of_mailbox;
use crate::flow::inward::{Inward, Left};
use crate::flow::passes::PASSES_FIELD;
use crate::flow::returns::{RecipientClass, ReturnMailbox, Returns};
use crate::flow::scanning::FOUND;
use crate::flow::service::Desk;
use crate::flow::settings::{Current, Settings};
use crate::flow::ways::{Leaving, leaving};
use crate::mail::{Address, Header, Returned, ReversePath, structured, unstructured};
use crate::mailboxes::{Deposit, PersonId, PostBox, Stored, StoredId};
use crate::net::{Clock, Steadiness};
use crate::notify::{About, Mailer, NoticeFacts, Post, ReceiptLine, ReportKind, Reporter, held, notice, receipt};
use crate::policy::{Channel, FixedKind, Means, Obstacle, Place, Reach, Reason, RecipientVerdict, Treatment, serve};
use crate::queue::{Backoff, Exchange, Failure, IncomingLease, Kind, QueueError, RecipientState, Settlement};
use crate::records::{Event, EventKind, Journal};
use crate::sealing::{Content, Face, Outgoing, SealFault, SealWish, SubjectWish};
use crate::telemetry::{Labels, Metrics};
use crate::texts::say;
use crate::vault::random_octets;

/// How often a day the postmaster hears that something from outside is held.
const HELD_TOLD: u32 = 20;

/// Serves what was promised: passes, deposits, holds, refuses, tells. Cheap to clone.
#[derive(Clone)]
pub struct Carrier {
    /// What is configured now.
    pub settings: Current,
    /// What became of items.
    pub settlement: Settlement,
    /// What recipients can read.
    pub post_box: PostBox,
    /// What service addresses stand for.
    pub tokens: Tokens,
    /// Where answers go.
    pub returns: Returns,
    /// Who tells senders.
    pub reporter: Reporter,
    /// Who reads what comes to service addresses.
    pub desk: Desk,
    /// Who knows certificates, and who seals.
    pub consigner: Consigner,
    /// Who opens what came in.
    pub inward: Inward,
    /// What happened.
    pub journal: Journal,
    /// When to try again.
    pub backoff: Backoff,
    /// What time it is.
    pub clock: Clock,
    /// Whether it can be relied on: who is given up cannot be served any more.
    pub steadiness: Steadiness,
    /// What operations watch.
    pub metrics: Metrics,
}

/// One carrying: what is known of the message, and what has come of it so far.
struct Carrying<'c> {
    carrier: &'c Carrier,
    settings: Arc<Settings>,
    portal: Content,
    /// Its subject, marks off.
    subject: String,
    /// Its author says himself where answers go.
    has_reply_to: bool,
    receipt: Vec<ReceiptLine>,
    /// Who is held, and why.
    held: Vec<(String, String)>,
    refused: Vec<Failure>,
    /// Lies in a post box, and its sender asked to hear of it.
    stored: Vec<Failure>,
    return_mailbox: Option<String>,
}

impl Carrier {
    /// Serves one message. The last step is one transaction: after a crash the message is still incoming and is carried
    /// again, or what came of it is there whole.
    ///
    /// # Errors
    /// [`QueueError`]: the item is incoming as before.
    pub async fn carry(&self, lease: IncomingLease) -> Result<(), QueueError> {
        let settings = self.settings.get();
        let Kind::Mail { content, portal } = lease.item.kind.clone() else {
            return Err(QueueError::RowIsUnreadable(lease.id.to_string()));
        };
        let known = self.consigner.look_up(&settings, &lease.item)?;
        let reach = Reach {
            verifies_tls: settings.verifies_tls.clone(),
            pickup: settings.has_portal,
            numbers: settings.numbers.clone(),
            refuse_unreachable: settings.refuse_unreachable,
            sealables: known.sealables(),
        };
        let waiting: Vec<Treatment> = serve(&lease.item.verdict, &reach)
            .into_iter()
            .filter(|treatment| lease.item.states.get(treatment.recipient).is_some_and(RecipientState::is_waiting))
            .collect();
        let mut exchange = Exchange::of(lease);
        let left = Left { treatments: waiting, content };
        let Left { treatments: waiting, content } = self.inward.open(&mut exchange, &settings, left).await?;
        let mut carrying = Carrying {
            carrier: self,
            settings,
            portal,
            subject: exchange.lease().item.summary.subject.clone(),
            has_reply_to: exchange.lease().item.summary.has_reply_to,
            receipt: Vec::new(),
            held: Vec::new(),
            refused: Vec::new(),
            stored: Vec::new(),
            return_mailbox: None,
        };
        carrying.pass(&mut exchange, &waiting, &content);
        let verdict = exchange.lease().item.verdict.clone();
        for group in groups(&waiting, &verdict) {
            carrying.seal(&mut exchange, &known, &group, &content).await?;
        }
        for treatment in &waiting {
            carrying.serve_one(&mut exchange, treatment).await?;
        }
        carrying.tell(&mut exchange).await?;
        self.settlement.commit(exchange).await
    }
}

impl Carrying<'_> {
    /// What passes goes out in one consignment for each way.
    fn pass(&self, exchange: &mut Exchange, treatments: &[Treatment], content: &Content) {
        let item = &exchange.lease().item;
        let vault = &self.carrier.desk.vault;
        let outside =
            self.settings.outside(vault.index(), item.origin, &item.envelope.sender, self.carrier.clock.now());
        let ways = leaving(&item.verdict, treatments, &item.envelope, &outside, content, self.settings.each_domain);
        for Leaving { outgoing, places } in ways {
            exchange.send(outgoing, &places);
            self.count("pass", places.len());
        }
    }

    async fn serve_one(&mut self, exchange: &mut Exchange, treatment: &Treatment) -> Result<(), QueueError> {
        let place = treatment.recipient;
        let Some(recipient) = exchange.lease().item.verdict.recipients().get(place).cloned() else { return Ok(()) };
        match &treatment.means {
            Means::Pass { .. } | Means::Seal(Channel::Tunnel | Channel::Personal) => Ok(()),
            Means::Seal(Channel::Pickup) => self.deposit(exchange, place, &recipient, &recipient.address, None).await,
            Means::Service => self.serve_service(exchange, place, &recipient).await,
            Means::Hold(reason) => self.hold(exchange, place, &recipient, reason),
            Means::Refuse(reason) => {
                self.refuse(exchange, place, &recipient, reason);
                Ok(())
            }
            Means::Wait(reason) => self.wait(exchange, place, &recipient, reason),
        }
    }

    /// A thread address stands for a person; everything else at our host name is read by sealgate itself.
    async fn serve_service(
        &mut self,
        exchange: &mut Exchange,
        place: usize,
        recipient: &RecipientVerdict,
    ) -> Result<(), QueueError> {
        let address = ServiceAddress::of(&recipient.address, &self.settings.hostname);
        let item = &exchange.lease().item;
        let from_person = item.origin == crate::queue::Origin::Outbound
            && !item.summary.automatic
            && self.settings.of_ours(&item.envelope.sender).is_some();
        if let Some(ServiceAddress::Thread(token)) = &address
            && from_person
        {
            let Some(Bearing::Thread { recipient: notified, person, .. }) = self.carrier.tokens.bearing(token)? else {
                return self.hold(exchange, place, recipient, &Reason::NoChannel);
            };
            let person = Some(PersonId::from_bytes(person));
            return self.deposit(exchange, place, recipient, &notified, person).await;
        }
        self.carrier.desk.read(exchange, address).await?;
        exchange.mark(&[place], &RecipientState::Deposited);
        Ok(())
    }

    /// Puts the message into the recipient's post box and writes the notice.
    async fn deposit(
        &mut self,
        exchange: &mut Exchange,
        place: usize,
        recipient: &RecipientVerdict,
        notified: &Address,
        person: Option<PersonId>,
    ) -> Result<(), QueueError> {
        let carrier = self.carrier;
        let now = carrier.clock.now();
        let lease = exchange.lease();
        let (message, item) = (lease.id, lease.item.clone());
        let class = RecipientClass::of(recipient);
        // Nobody outside is told, or gets answers: what is forwarded for strangers has no sender here.
        let sender = self.settings.of_ours(&item.envelope.sender).cloned();
        let teller = sender.clone().map_or(ReversePath::Null, ReversePath::Mailbox);
        let Some(mailbox) = carrier.returns.mailbox(&self.settings, &item.verdict, &teller, class)? else {
            return self.hold(exchange, place, recipient, &Reason::NoChannel);
        };
        let language = self.settings.language;
        let expires = now.after(recipient.retention.unwrap_or(self.settings.retention).min(self.settings.retention));
        let department = mailbox.department.as_deref().and_then(|id| self.settings.department_name(id, language));
        let stored = Stored {
            address: notified.clone(),
            sender: sender.clone(),
            author: item.summary.author.clone().unwrap_or_else(|| self.settings.organisation.clone()),
            return_mailbox: mailbox.address.clone(),
            department: department.map(str::to_owned),
            subject: item.summary.subject.clone(),
            message_id: item.summary.message_id.clone(),
            references: item.summary.references.clone(),
            language,
            number: recipient.number.as_ref().map(crate::directory::NationalId::to_key),
            head: self.portal.head.clone(),
            skip: self.portal.skip,
            body: self.portal.body.clone(),
        };
        let id = StoredId { message, place: u16::try_from(place).unwrap_or(u16::MAX) };
        let deposited = carrier.post_box.prepare(Deposit { id, now, expires, person, stored }).map_err(of_mailbox)?;
        let facts = NoticeFacts {
            department: department.filter(|_| self.settings.reveal_department).map(str::to_owned),
            link: format!("{}/m/{}", self.settings.portal_url, deposited.token()),
            until: expires,
            providers: self.settings.providers.clone(),
        };
        let mailer = carrier.reporter.mailer();
        let house = mailer.house();
        let bearing = Bearing::Bounce {
            about: message,
            recipient: Some(notified.clone()),
            sender,
            subject: item.summary.subject.clone(),
        };
        let (token, token_row) = carrier.tokens.mint(&bearing)?;
        let return_path = ServiceAddress::Bounce(token)
            .to_address(&self.settings.hostname)
            .map_or(ReversePath::Null, ReversePath::Mailbox);
        let letter = Post {
            kind: FixedKind::Notice,
            teller,
            concerns: Some(notified.clone()),
            return_path,
            about_subject: item.summary.subject.clone(),
            ..Post::receipt(notified.clone(), notice(&house.head, language, &facts), message)
        };
        let letter = mailer.prepare(letter).await?;
        let thread = letter.message_id().map(|id| carrier.post_box.thread_hash(id));
        exchange.write(letter);
        exchange.also(Box::new(move |tx| {
            token_row.write(tx)?;
            if let Some(hash) = thread {
                PostBox::join_thread(tx, &hash, id)?;
            }
            deposited.write(tx)
        }));
        self.remember(exchange, class);
        let event = Event::new(EventKind::Deposited).about(message).detail(format!("rule={}", recipient.rule));
        exchange.record(carrier.journal.entry(event.recipient(notified.to_string()))?);
        exchange.mark(&[place], &RecipientState::Deposited);
        self.count("pickup", 1);
        self.return_mailbox = Some(mailbox.address.to_string());
        let wishes = item.envelope.recipients.get(place).and_then(|recipient| recipient.notify);
        if wishes.is_some_and(|wishes| wishes.success) {
            self.stored.push(Failure {
                address: recipient.address.clone(),
                status: "2.0.0".into(),
                diagnostic: None,
                remote: None,
                reason: say(self.settings.language, "reason-pickup", &[]),
                note: String::new(),
            });
        }
        let told = shown(&recipient.address, notified);
        self.receipt.push(ReceiptLine::Pickup { recipient: told.clone(), until: expires });
        if item.verdict.sms().is_some() {
            self.receipt.push(ReceiptLine::NoSms { recipient: told });
        }
        Ok(())
    }

    /// Signs and seals the message for a group, and sends it on its way. Where that fails, all of them wait.
    async fn seal(
        &mut self,
        exchange: &mut Exchange,
        known: &Known,
        group: &Group<'_>,
        content: &Content,
    ) -> Result<(), QueueError> {
        let carrier = self.carrier;
        let lease = exchange.lease();
        let (message, item) = (lease.id, lease.item.clone());
        let recipients: Vec<RecipientVerdict> = group
            .treatments
            .iter()
            .filter_map(|treatment| item.verdict.recipients().get(treatment.recipient).cloned())
            .collect();
        let Some(first) = recipients.first() else { return Ok(()) };
        let domain = first.address.domain();
        let (kind, wish, class) = match group.channel {
            Channel::Tunnel => ("tunnel", self.settings.seal.of(domain), RecipientClass::Authority),
            Channel::Personal | Channel::Pickup => ("personal", self.settings.seal.usual, RecipientClass::of(first)),
        };
        let sender = self.settings.of_ours(&item.envelope.sender).cloned();
        let teller = sender.clone().map_or(ReversePath::Null, ReversePath::Mailbox);
        let mailbox = carrier.returns.mailbox(&self.settings, &item.verdict, &teller, class)?;
        let around = Around { face: self.face(content, &wish, mailbox.as_ref()), wish };
        let sealed = match carrier.consigner.seal(known, group, &self.portal, around).await {
            Ok(sealed) => sealed,
            Err(SealFault::Store(fault)) => return Err(fault.into()),
            Err(SealFault::Vault(fault)) => return Err(fault.into()),
            Err(fault) => {
                let reason = Reason::CannotBeSealed(Obstacle::Failed(fault.to_string()));
                for (treatment, recipient) in group.treatments.iter().zip(&recipients) {
                    self.wait(exchange, treatment.recipient, recipient, &reason)?;
                }
                return Ok(());
            }
        };
        let outside =
            self.settings.outside(carrier.desk.vault.index(), item.origin, &item.envelope.sender, carrier.clock.now());
        for part in apart(group, &item.envelope, sealed.addressees()) {
            let places: Vec<usize> = part.iter().map(|treatment| treatment.recipient).collect();
            let mut envelope = envelope_of(&item.envelope, &part, ReversePath::Null);
            let bearing = Bearing::SealedBounce {
                about: message,
                recipients: envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect(),
                sender: sender.clone(),
                subject: item.summary.subject.clone(),
            };
            // A report about it goes to us, and says no more to its sender than its facts.
            if sender.is_some() {
                let (token, row) = carrier.tokens.mint(&bearing)?;
                let path = ServiceAddress::Bounce(token).to_address(&self.settings.hostname);
                envelope.sender = path.map_or(ReversePath::Null, ReversePath::Mailbox);
                exchange.also(Box::new(move |tx| row.write(tx)));
            } else {
                envelope.sender.clone_from(&outside.sender);
            }
            let Some(outgoing) = Outgoing::sealed(&part, envelope, &sealed) else { continue };
            exchange.send(outgoing.of_strangers(outside.is_of_strangers), &places);
        }
        // Who refers to it later stays in a secure thread.
        if let Some(id) = &item.summary.message_id {
            // … and an answer finds the department that was chosen for it.
            let department = mailbox.as_ref().and_then(|mailbox| mailbox.department.as_deref());
            if let (Some(sender), Some(department)) = (&sender, department) {
                exchange.also(carrier.returns.note_thread(id, sender, department, carrier.clock.now()));
            }
            let hash = carrier.post_box.thread_hash(id);
            let place = group.treatments.first().and_then(|first| u16::try_from(first.recipient).ok());
            let id = StoredId { message, place: place.unwrap_or(u16::MAX) };
            exchange.also(Box::new(move |tx| PostBox::join_thread(tx, &hash, id)));
        }
        let shown = if group.channel == Channel::Tunnel { format!(" domain={domain}") } else { String::new() };
        let mut event =
            Event::new(EventKind::Sealed).about(message).detail(format!("channel={kind}{shown} {}", sealed.told()));
        event.told.recipients = recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        exchange.record(carrier.journal.entry(event)?);
        exchange.keep(sealed.into_body());
        self.remember(exchange, class);
        self.count(kind, recipients.len());
        if let Some(mailbox) = mailbox {
            self.return_mailbox = Some(mailbox.address.to_string());
        }
        for recipient in &recipients {
            let told = recipient.address.to_string();
            self.receipt.push(match group.channel {
                Channel::Tunnel => ReceiptLine::Tunnel { recipient: told, domain: domain.to_string() },
                Channel::Personal | Channel::Pickup => ReceiptLine::Personal { recipient: told },
            });
        }
        Ok(())
    }

    /// What the outside of a sealed message says: our trace, a subject that says nothing, and inside where answers go. What
    /// the author wrote of that gives way to what was chosen here, not to what is usual.
    fn face(&self, content: &Content, wish: &SealWish, mailbox: Option<&ReturnMailbox>) -> Face {
        let ours = Header::new(content.head.as_slice());
        let trace = ours.first("Received").into_iter().chain(ours.all(PASSES_FIELD));
        let subject = match wish.subject {
            SubjectWish::Hidden => None,
            SubjectWish::Neutral => {
                let words = [("organisation", self.settings.organisation.as_str())];
                Some(unstructured("Subject", &say(self.settings.language, "notice-subject", &words)))
            }
            SubjectWish::Open => Some(unstructured("Subject", &self.subject)),
        };
        let mailbox =
            mailbox.filter(|mailbox| mailbox.is_chosen || (mailbox.department.is_some() && !self.has_reply_to));
        Face {
            trace: trace.flat_map(|field| field.raw.to_vec()).collect(),
            subject,
            reply_to: mailbox.map(|mailbox| structured("Reply-To", &format!("<{}>", mailbox.address))),
            reply_to_outside: wish.subject != SubjectWish::Hidden,
        }
    }

    fn remember(&self, exchange: &mut Exchange, class: RecipientClass) {
        let item = &exchange.lease().item;
        if let (true, Some(department), Some(sender)) =
            (item.verdict.remember_return(), item.verdict.return_to(), self.settings.of_ours(&item.envelope.sender))
        {
            let change = self.carrier.returns.remember(sender, class, department);
            exchange.also(change);
        }
    }

    fn hold(
        &mut self,
        exchange: &mut Exchange,
        place: usize,
        recipient: &RecipientVerdict,
        reason: &Reason,
    ) -> Result<(), QueueError> {
        let id = exchange.lease().id;
        let event =
            Event::new(EventKind::Held).about(id).detail(reason.to_string()).recipient(recipient.address.to_string());
        exchange.record(self.carrier.journal.entry(event)?);
        exchange.mark(&[place], &RecipientState::Held { reason: reason.to_string() });
        self.count("hold", 1);
        tracing::info!(item.id = %id, %reason, "a recipient is held");
        self.held.push((masked(recipient), self.words(reason)));
        self.receipt.push(ReceiptLine::Held { recipient: masked(recipient), reason: self.words(reason) });
        Ok(())
    }

    fn refuse(&mut self, exchange: &mut Exchange, place: usize, recipient: &RecipientVerdict, reason: &Reason) {
        exchange.mark(&[place], &RecipientState::Refused);
        self.count("refuse", 1);
        // RFC 8689 §5; RFC 3463 §3.8: cryptographic failure.
        let status = match reason {
            Reason::NoVerifiedTls => "5.7.10",
            Reason::CannotBeSealed(_) => "5.7.5",
            Reason::RuleHolds(_)
            | Reason::RuleRefuses(_)
            | Reason::NoChannel
            | Reason::NoLoginShows(_)
            | Reason::NoKey(_)
            | Reason::CannotBeOpened
            | Reason::SealedToOthers => "5.7.1",
        };
        let diagnostic = Some(format!("550 {status} {}", self.words(reason)));
        self.refused.push(Failure {
            address: recipient.address.clone(),
            status: status.into(),
            diagnostic,
            remote: None,
            reason: self.words(reason),
            note: reason.to_string(),
        });
    }

    /// It waits until its time is over, then comes back.
    fn wait(
        &mut self,
        exchange: &mut Exchange,
        place: usize,
        recipient: &RecipientVerdict,
        reason: &Reason,
    ) -> Result<(), QueueError> {
        let now = self.carrier.clock.now();
        let lease = exchange.lease();
        let is_over = now >= lease.term.expires;
        if is_over && self.carrier.steadiness.holds() {
            self.refuse(exchange, place, recipient, reason);
            return Ok(());
        }
        let next = self.carrier.backoff.next(now, lease.term.attempts + 1, chance());
        let next = if is_over { next } else { next.min(lease.term.expires) };
        // Told once, however often it is looked at again.
        if matches!(lease.item.states.get(place), Some(RecipientState::Waiting)) {
            self.receipt.push(ReceiptLine::Held { recipient: masked(recipient), reason: self.words(reason) });
        }
        let id = lease.id;
        let event = Event::new(EventKind::Deferred)
            .about(id)
            .detail(reason.to_string())
            .recipient(recipient.address.to_string());
        exchange.record(self.carrier.journal.entry(event)?);
        exchange.mark(&[place], &RecipientState::Delayed { reason: reason.to_string() });
        if let Reason::CannotBeSealed(obstacle) = reason {
            let kind = match obstacle {
                Obstacle::Theirs(_) => "theirs",
                Obstacle::Ours(_) => "ours",
                Obstacle::Failed(_) => "failed",
            };
            self.carrier.metrics.unsealed.get_or_create(&Labels::of(kind)).inc();
            tracing::error!(
                item.id = %id,
                domain = %recipient.address.domain(),
                obstacle = kind,
                "mail cannot be sealed and waits: `sealgate queue show` and `sealgate tunnel show` tell why"
            );
        } else {
            tracing::info!(item.id = %id, %reason, "a recipient waits");
        }
        exchange.again(next);
        Ok(())
    }

    /// One receipt for all secured recipients, one report for all refused ones.
    async fn tell(&self, exchange: &mut Exchange) -> Result<(), QueueError> {
        let lease = exchange.lease();
        let (id, item, created) = (lease.id, lease.item.clone(), lease.term.created);
        if !self.refused.is_empty() {
            for failure in &self.refused {
                let event = Event::new(EventKind::Refused)
                    .about(id)
                    .detail(failure.status.clone())
                    .recipient(failure.address.to_string());
                exchange.record(self.carrier.journal.entry(event.note(failure.note.clone()))?);
            }
        }
        for (kind, about) in [(ReportKind::Failed, &self.refused), (ReportKind::Success, &self.stored)] {
            if about.is_empty() {
                continue;
            }
            // Nothing of it goes back: its protection may be why it was refused.
            let nothing = Returned::default();
            let (reports, entries) = self.carrier.reporter.report(id, &item, created, kind, about, nothing).await?;
            reports.into_iter().for_each(|report| exchange.write(report));
            entries.into_iter().for_each(|entry| exchange.record(entry));
        }
        let inside = item.envelope.sender.mailbox().filter(|sender| self.settings.is_inside(sender.domain()));
        let Some(sender) = inside else { return self.tell_postmaster(exchange).await };
        if self.receipt.is_empty() {
            return Ok(());
        }
        let mailer: &Mailer = self.carrier.reporter.mailer();
        let house = mailer.house();
        let text = id.to_string();
        let about = About { subject: &item.summary.subject, id: &text, recipient: "" };
        let sheet = receipt(&house.head, house.head.language, &about, &self.receipt, self.return_mailbox.as_deref());
        let post = Post { in_reply_to: item.summary.message_id.clone(), ..Post::receipt(sender.clone(), sheet, id) };
        exchange.write(mailer.prepare(post).await?);
        Ok(())
    }

    /// What is held and is from nobody inside, the postmaster hears of (RFC 5321 §4.5.1), so many times a day.
    async fn tell_postmaster(&self, exchange: &mut Exchange) -> Result<(), QueueError> {
        let domain = self.settings.domains.first();
        let Some(postmaster) = domain.and_then(|domain| format!("postmaster@{domain}").parse().ok()) else {
            return Ok(());
        };
        if self.held.is_empty() {
            return Ok(());
        }
        let Some(counted) = self.carrier.desk.told.once_more("held", b"postmaster", HELD_TOLD)? else { return Ok(()) };
        let id = exchange.lease().id;
        let mailer = self.carrier.reporter.mailer();
        let house = mailer.house();
        let sheet = held(&house.head, house.head.language, &id.to_string(), &self.held);
        exchange.write(mailer.prepare(Post::receipt(postmaster, sheet, id)).await?);
        exchange.also(counted);
        Ok(())
    }

    fn words(&self, reason: &Reason) -> String {
        let language = self.settings.language;
        match reason {
            Reason::RuleHolds(rule) => match rule.strip_prefix(FOUND) {
                Some(found) => say(language, "reason-found", &[("found", found)]),
                None => say(language, "reason-hold", &[("rule", rule)]),
            },
            Reason::RuleRefuses(text) => text.clone(),
            Reason::NoChannel => say(language, "reason-unreachable", &[]),
            Reason::NoLoginShows(kind) => say(language, "reason-number", &[("type", kind.as_str())]),
            Reason::NoVerifiedTls => say(language, "reason-tls", &[]),
            Reason::CannotBeSealed(Obstacle::Theirs(_)) => say(language, "reason-certificate-theirs", &[]),
            Reason::CannotBeSealed(Obstacle::Ours(_)) => say(language, "reason-certificate-ours", &[]),
            Reason::CannotBeSealed(Obstacle::Failed(_)) => say(language, "reason-unsealed", &[]),
            Reason::NoKey(keys) => say(language, "reason-no-key", &[("keys", keys)]),
            Reason::CannotBeOpened => say(language, "reason-cannot-be-opened", &[]),
            Reason::SealedToOthers => say(language, "reason-sealed-to-others", &[]),
        }
    }

    fn count(&self, kind: &'static str, recipients: usize) {
        self.carrier.metrics.treated.get_or_create(&Labels::of(kind)).inc_by(recipients as u64);
    }
}

/// The recipient as the sender knows it: a thread address is shown as whom it stands for.
fn shown(addressed: &Address, notified: &Address) -> String {
    if addressed == notified { addressed.to_string() } else { notified.to_string() }
}

/// National numbers in an address are masked.
fn masked(recipient: &RecipientVerdict) -> String {
    match (&recipient.number, recipient.place) {
        (Some(number), Place::Number) => format!("{}@{}", number.masked(), recipient.address.domain()),
        (Some(_) | None, _) => recipient.address.to_string(),
    }
}

fn chance() -> u8 {
    random_octets::<1>().map_or(128, |[octet]| octet)
}
