//! Telling a sender what became of a message: delivery reports (RFC 3461 §5, RFC 3464).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::mail::{Action, Address, Bounce, QueueId, Report, ReportedRecipient, Returned, ReversePath, postmaster_of};
use crate::net::Time;
use crate::notify::by_mail::{Mailer, Post};
use crate::notify::letters::{
    About, ReportKind, ReportLine, answer_lost, not_passed_on, notice_failed, reason_of, reason_unsaid, report,
    sealed_failed,
};
use crate::policy::FixedKind;
use crate::queue::{Failure, Item, Kind, Origin, PreparedItem, QueueError};
use crate::records::{Entry, Event, EventKind, Journal};
use crate::telemetry::Metrics;

/// Reports to the postmaster in an hour: a mail server that refuses what strangers send may do so by the thousand.
const TO_POSTMASTER: u32 = 50;
const HOUR: Duration = Duration::from_secs(3_600);

/// Writes delivery reports. Cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    mailer: Mailer,
    journal: Journal,
    metrics: Metrics,
    /// When the hour under way began, and how often the postmaster was told in it.
    told: Arc<Mutex<(Time, u32)>>,
}

/// Who is told what became of somebody's message.
enum Reader {
    /// Its sender.
    Sender(Address),
    /// Who answers for our mail: what it says of its sender, nobody vouches for.
    Postmaster(Address),
}

impl Reporter {
    /// A reporter that writes through this mailer.
    #[must_use]
    pub fn new(mailer: Mailer, journal: Journal, metrics: Metrics) -> Self {
        Self { mailer, journal, metrics, told: Arc::new(Mutex::new((Time::from_unix_ms(0), 0))) }
    }

    /// The mailer below.
    #[must_use]
    pub fn mailer(&self) -> &Mailer {
        &self.mailer
    }

    /// What to write when recipients of an item failed, are delayed or delivered: a report to the sender of mail, a word
    /// to the sender of what a notice was about. A failure that nobody can be told of is an alarm. `returned` goes back with the report.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn report(
        &self,
        id: QueueId,
        item: &Item,
        created: Time,
        kind: ReportKind,
        about: &[Failure],
        returned: Returned,
    ) -> Result<(Vec<PreparedItem>, Vec<Entry>), QueueError> {
        match &item.kind {
            Kind::Mail { .. } if item.origin == Origin::Outbound && item.envelope.sender == ReversePath::Null => {
                // Never to the null path (RFC 5321 §4.5.5): what came back of it is in the events.
                if kind == ReportKind::Failed {
                    self.untold(id);
                }
                Ok((Vec::new(), Vec::new()))
            }
            // Nor about a report of others that we sent on.
            Kind::Mail { .. } if item.envelope.sender == ReversePath::Null && self.are_outside(about) => {
                Ok((Vec::new(), Vec::new()))
            }
            Kind::Mail { .. } => {
                let report = self.of_mail(id, item, created, kind, about, returned).await?;
                Ok((report.into_iter().collect(), Vec::new()))
            }
            Kind::Written { kind: FixedKind::Notice, .. } if kind == ReportKind::Failed => {
                self.notice_given_up(item, about).await
            }
            Kind::Written {
                kind:
                    FixedKind::Receipt
                    | FixedKind::Report
                    | FixedKind::ReportOutside
                    | FixedKind::AutoReply
                    | FixedKind::Opened,
                about: message,
                ..
            } if kind == ReportKind::Failed => {
                self.untold(id);
                let detail = format!("the letter {id} about it came back: its addressee was not told");
                let event = Event::new(EventKind::Failed).about(*message).detail(detail);
                Ok((Vec::new(), vec![self.journal.entry(event)?]))
            }
            // So also a report on TLS: whoever asked for it will have the next.
            Kind::Written { .. } => Ok((Vec::new(), Vec::new())),
        }
    }

    /// A failure that nobody can be told of: an operator must see it.
    fn untold(&self, id: QueueId) {
        tracing::error!(item.id = %id, "given up, and there is nobody to be told");
        self.metrics.untold.inc();
    }

    /// What to write when an operator gives recipients of an item up: whoever wrote it is told, whatever he wished to
    /// hear, for nobody but the operator knows.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn dropped(
        &self,
        id: QueueId,
        item: &Item,
        created: Time,
        about: &[Failure],
    ) -> Result<(Vec<PreparedItem>, Vec<Entry>), QueueError> {
        let report = match &item.kind {
            Kind::Mail { .. } => match self.reader(item, ReportKind::Failed).filter(|_| !about.is_empty()) {
                Some(reader) => {
                    Some(self.written(id, item, created, ReportKind::Failed, about, Returned::default(), reader).await?)
                }
                None => None,
            },
            Kind::Written { kind: FixedKind::Answer, about: message, recipient: Some(author), .. } => {
                Some(self.answer_lost(*message, author).await?)
            }
            Kind::Written { kind: FixedKind::Notice, .. } => return self.notice_given_up(item, about).await,
            Kind::Written { .. } => None,
        };
        Ok((report.into_iter().collect(), Vec::new()))
    }

    /// Who hears that an item is given up: `sender`, `postmaster`, or nobody.
    #[must_use]
    pub fn hears_of_drop(&self, item: &Item) -> Option<&'static str> {
        match &item.kind {
            Kind::Mail { .. } => self.reader(item, ReportKind::Failed).map(|reader| match reader {
                Reader::Sender(_) => "sender",
                Reader::Postmaster(_) => "postmaster",
            }),
            Kind::Written { kind: FixedKind::Answer | FixedKind::Notice, .. } => Some("sender"),
            Kind::Written { .. } => None,
        }
    }

    /// Tells a person that an answer from the portal did not arrive.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn answer_lost(&self, message: QueueId, author: &Address) -> Result<PreparedItem, QueueError> {
        let house = self.mailer.house();
        let sheet = answer_lost(&house.head, house.head.language);
        let post = Post { kind: FixedKind::Notice, ..Post::receipt(author.clone(), sheet, message) };
        self.mailer.prepare(post).await
    }

    async fn notice_given_up(
        &self,
        item: &Item,
        about: &[Failure],
    ) -> Result<(Vec<PreparedItem>, Vec<Entry>), QueueError> {
        let (Kind::Written { about: message, recipient, teller, .. }, Some(failure)) = (&item.kind, about.first())
        else {
            return Ok((Vec::new(), Vec::new()));
        };
        let reason = match &failure.diagnostic {
            Some(_) => self.reason_of(&failure.status),
            None => failure.reason.clone(),
        };
        let subject = &item.summary.about_subject;
        self.notice_failed(*message, subject, recipient.as_ref(), teller, &reason, &failure.note).await
    }

    /// Why a recipient was not served where nobody said a word about it, in the organisation's language.
    #[must_use]
    pub fn reason_unsaid(&self, status: &str) -> String {
        reason_unsaid(self.mailer.house().head.language, status)
    }

    /// What a status (RFC 3463) means, in the organisation's language.
    #[must_use]
    pub fn reason_of(&self, status: &str) -> String {
        reason_of(self.mailer.house().head.language, status)
    }

    /// Tells a sender that the notice to a recipient came back, and the `reason` in our own words. What the other side
    /// said, the `note`, is in the event alone: a letter of ours says nothing that strangers wrote.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn notice_failed(
        &self,
        message: QueueId,
        subject: &str,
        recipient: Option<&Address>,
        teller: &ReversePath,
        reason: &str,
        note: &str,
    ) -> Result<(Vec<PreparedItem>, Vec<Entry>), QueueError> {
        let masked = recipient.map(ToString::to_string).unwrap_or_default();
        let event = Event::new(EventKind::NoticeFailed).about(message).recipient(masked.clone()).note(note);
        let entries = vec![self.journal.entry(event)?];
        let ReversePath::Mailbox(sender) = teller else { return Ok((Vec::new(), entries)) };
        let house = self.mailer.house();
        let text = message.to_string();
        let about = About { subject, id: &text, recipient: &masked };
        let sheet = notice_failed(&house.head, house.head.language, &about, reason);
        let post = Post::receipt(sender.clone(), sheet, message);
        Ok((vec![self.mailer.prepare(post).await?], entries))
    }

    /// Tells a sender that sealed mail came back from where it was delivered, in our own words.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn sealed_failed(
        &self,
        message: QueueId,
        subject: &str,
        recipients: &[Address],
        sender: Option<&Address>,
        bounce: &Bounce,
    ) -> Result<(Vec<PreparedItem>, Vec<Entry>), QueueError> {
        let mut event = Event::new(EventKind::Failed).about(message).detail("sealed mail came back");
        event.told.recipients = recipients.iter().map(ToString::to_string).collect();
        event.told.note = bounce.diagnostic.clone().unwrap_or_else(|| bounce.status.clone());
        let entries = vec![self.journal.entry(event)?];
        let Some(sender) = sender else { return Ok((Vec::new(), entries)) };
        let house = self.mailer.house();
        let (text, named) = (message.to_string(), recipients.iter().map(ToString::to_string).collect::<Vec<_>>());
        let about = About { subject, id: &text, recipient: &named.join(", ") };
        let sheet = sealed_failed(&house.head, house.head.language, &about, &self.reason_of(&bounce.status));
        Ok((vec![self.mailer.prepare(Post::receipt(sender.clone(), sheet, message)).await?], entries))
    }

    async fn of_mail(
        &self,
        id: QueueId,
        item: &Item,
        created: Time,
        kind: ReportKind,
        about: &[Failure],
        returned: Returned,
    ) -> Result<Option<PreparedItem>, QueueError> {
        let Some(reader) = self.reader(item, kind) else { return Ok(None) };
        // What a stranger wishes to hear does not bind the postmaster.
        let is_wanted = |failure: &&Failure| match &reader {
            Reader::Sender(_) => wants(item, &failure.address, kind),
            Reader::Postmaster(_) => true,
        };
        let wanted: Vec<Failure> = about.iter().filter(is_wanted).cloned().collect();
        if wanted.is_empty() || !self.may_tell(&reader) {
            return Ok(None);
        }
        self.written(id, item, created, kind, &wanted, returned, reader).await.map(Some)
    }

    fn are_outside(&self, about: &[Failure]) -> bool {
        let house = self.mailer.house();
        about.iter().all(|failure| !house.domains.contains(failure.address.domain()))
    }

    /// Who is told. The sender of what came from outside, or is forwarded for somebody there, is whoever the message says:
    /// unless that is proven, or the report stays in the house, it goes to our postmaster instead, and only about what is lost.
    fn reader(&self, item: &Item, kind: ReportKind) -> Option<Reader> {
        let house = self.mailer.house();
        let postmaster = || house.domains.first().and_then(postmaster_of).map(Reader::Postmaster);
        let is_ours = |address: &Address| house.domains.contains(address.domain());
        match (item.origin, &item.envelope.sender) {
            (Origin::Outbound, ReversePath::Null) => None,
            (_, ReversePath::Mailbox(sender)) if item.sender_is_proven || is_ours(sender) => {
                Some(Reader::Sender(sender.clone()))
            }
            // It came back to us by a forwarder: its report goes the short way.
            (_, ReversePath::Mailbox(sender)) if is_ours(&sender.untagged()) => Some(Reader::Sender(sender.untagged())),
            (_, _) if kind == ReportKind::Failed => postmaster(),
            (_, _) => None,
        }
    }

    /// Whether one more report may be written now. What is not told stands in the events.
    fn may_tell(&self, reader: &Reader) -> bool {
        if matches!(reader, Reader::Sender(_)) {
            return true;
        }
        let now = self.mailer.now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if now < told.0 || now >= told.0.after(HOUR) {
            *told = (now, 0);
        }
        told.1 = told.1.saturating_add(1);
        if told.1 == TO_POSTMASTER + 1 {
            tracing::error!(
                "the mail server refuses much that was taken for it; the rest of this hour stands in the events alone"
            );
        }
        told.1 <= TO_POSTMASTER
    }

    #[expect(clippy::too_many_arguments, reason = "a report is about all of these")]
    async fn written(
        &self,
        id: QueueId,
        item: &Item,
        created: Time,
        kind: ReportKind,
        about: &[Failure],
        returned: Returned,
        reader: Reader,
    ) -> Result<PreparedItem, QueueError> {
        let house = self.mailer.house();
        let text = id.to_string();
        let lines: Vec<ReportLine> = about
            .iter()
            .map(|failure| ReportLine { recipient: failure.address.to_string(), reason: failure.reason.clone() })
            .collect();
        let told = About { subject: &item.summary.subject, id: &text, recipient: "" };
        // What strangers sent stays where it was refused.
        let is_of_ours = item.origin == Origin::Outbound && matches!(reader, Reader::Sender(_));
        let returned = if is_of_ours { returned } else { returned.header_alone() };
        let (to, sheet) = match reader {
            Reader::Sender(sender) => (sender, report(&house.head, house.head.language, &told, kind, &lines)),
            Reader::Postmaster(postmaster) => {
                // A letter of ours says nothing that strangers wrote; their header is a part of its own.
                let told = About { subject: "", ..told };
                (postmaster, not_passed_on(&house.head, house.head.language, &told, &lines))
            }
        };
        let goes_outside = item.origin == Origin::Inbound && !house.domains.contains(to.domain());
        let (action, until) = match kind {
            ReportKind::Failed => (Action::Failed, None),
            ReportKind::Delayed(until) => (Action::Delayed, Some(until.unix_ms())),
            ReportKind::Success => (Action::Delivered, None),
            ReportKind::Relayed => (Action::Relayed, None),
        };
        let original = |address: &Address| {
            item.envelope.recipients.iter().find(|r| r.address == *address).and_then(|r| r.original.clone())
        };
        let recipients = about.iter().map(|failure| ReportedRecipient {
            address: failure.address.clone(),
            original: original(&failure.address),
            action,
            status: failure.status.clone(),
            diagnostic: failure.diagnostic.clone(),
            remote: failure.remote.clone(),
            // Somebody was asked just now.
            attempted_unix_ms: failure.remote.as_ref().map(|_| self.mailer.now().unix_ms()),
            until_unix_ms: until,
        });
        let report = Report {
            reporting_host: house.sender.hostname.to_string(),
            envelope_id: item.envelope.envelope_id.clone(),
            arrived_unix_ms: created.unix_ms(),
            recipients: recipients.collect(),
            international: item.envelope.smtputf8,
            returned,
        };
        let post = Post {
            kind: if goes_outside { FixedKind::ReportOutside } else { FixedKind::Report },
            in_reply_to: item.summary.message_id.clone(),
            report: Some(report),
            require_tls: item.envelope.require_tls,
            ..Post::receipt(to, sheet, id)
        };
        self.mailer.prepare(post).await
    }
}

/// Whether the sender wants to hear this about a recipient (RFC 3461 §4.1): failures unless told never, delays unless
/// told something else, success only on request.
fn wants(item: &Item, address: &Address, kind: ReportKind) -> bool {
    let notify = item.envelope.recipients.iter().find(|r| r.address == *address).and_then(|r| r.notify);
    match (kind, notify) {
        (ReportKind::Failed | ReportKind::Delayed(_), None) => true,
        (ReportKind::Failed, Some(notify)) => notify.failure,
        (ReportKind::Delayed(_), Some(notify)) => notify.delay,
        (ReportKind::Success | ReportKind::Relayed, notify) => notify.is_some_and(|notify| notify.success),
    }
}
