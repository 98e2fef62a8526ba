//! Letters on their way: a sheet becomes a message, a message becomes an item of the queue.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::mail::{Address, Domain, Envelope, Letter, QueueId, Report, ReversePath, TlsReport};
use crate::net::{Clock, Time};
use crate::notify::letter::{Letterhead, Sheet};
use crate::policy::{FixedKind, Verdict};
use crate::queue::{Item, Kind, NewItem, Origin, PreparedItem, QueueError, RecipientState, Smime, Spool, Summary};
use crate::records::{Event, EventKind, Journal};
use crate::sealing::{Content, Outgoing};
use crate::texts::Language;
use crate::vault::{Vault, random_octets};

/// Who the letters come from.
#[derive(Debug, Clone)]
pub struct Sender {
    /// `hostname`: Message-IDs and service addresses.
    pub hostname: Domain,
    /// `notify.from`: the name people see.
    pub name: String,
    /// `notify.from`: the address people see.
    pub address: Address,
    /// How long to try.
    pub lifetime: Duration,
    /// How long to try with what nobody is told of if it comes back.
    pub report_lifetime: Duration,
}

/// Puts letters into the queue. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    spool: Spool,
    vault: Vault,
    journal: Journal,
    clock: Clock,
    house: Arc<RwLock<Arc<House>>>,
}

/// What letters show of the house that writes them.
#[derive(Debug)]
pub struct House {
    /// Who they come from.
    pub sender: Sender,
    /// What they show of the organisation.
    pub head: Letterhead,
    /// `organisation.domains`: who has a mailbox there is told what strangers are not.
    pub domains: Vec<Domain>,
}

/// A letter about to be put into the queue.
pub struct Post {
    /// What it is.
    pub kind: FixedKind,
    /// To whom.
    pub to: Address,
    /// What it says.
    pub sheet: Sheet,
    /// The message it is about.
    pub about: QueueId,
    /// That message's subject, for who is told if this letter comes back.
    pub about_subject: String,
    /// That message's sender, who is told if the letter comes back; null for nobody.
    pub teller: ReversePath,
    /// The recipient of that message it concerns.
    pub concerns: Option<Address>,
    /// Envelope sender: a bounce address, or null where nobody is to be told.
    pub return_path: ReversePath,
    /// The `Message-ID` it answers, to stand in the same thread.
    pub in_reply_to: Option<String>,
    /// The machine-readable half of a delivery report, and what comes back of the message it reports on.
    pub report: Option<Report>,
    /// It tells of a message whose sender requires TLS all the way, and is protected like it (RFC 8689 §5).
    pub require_tls: bool,
}

/// A report on TLS, and what it is about.
pub struct TlsReported {
    /// What it says.
    pub report: TlsReport,
    /// The domain.
    pub domain: Domain,
    /// Days between the beginning of 1970 and that of the day.
    pub day: i64,
}

fn message_id(id: QueueId, house: &House) -> String {
    format!("<{}@{}>", id.to_string().to_lowercase(), house.sender.hostname)
}

impl Post {
    /// A receipt to a sender: nobody is told if it comes back.
    #[must_use]
    pub fn receipt(to: Address, sheet: Sheet, about: QueueId) -> Self {
        Self {
            kind: FixedKind::Receipt,
            to,
            sheet,
            about,
            about_subject: String::new(),
            teller: ReversePath::Null,
            concerns: None,
            return_path: ReversePath::Null,
            in_reply_to: None,
            report: None,
            require_tls: false,
        }
    }
}

impl Mailer {
    /// A mailer over this spool.
    #[must_use]
    pub fn new(spool: Spool, vault: Vault, journal: Journal, clock: Clock, house: House) -> Self {
        Self { spool, vault, journal, clock, house: Arc::new(RwLock::new(Arc::new(house))) }
    }

    /// What letters show now.
    #[must_use]
    pub fn house(&self) -> Arc<House> {
        Arc::clone(&self.house.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Letters show this from now on.
    pub fn swap(&self, house: House) {
        *self.house.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(house);
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// A fresh id for a message.
    ///
    /// # Errors
    /// [`QueueError`] if there is no randomness.
    pub fn fresh_id(&self) -> Result<QueueId, QueueError> {
        let now = u64::try_from(self.clock.now().unix_ms()).unwrap_or(0);
        Ok(QueueId::from_parts(now, random_octets()?))
    }

    /// Writes the letter and locks it: what comes back goes into the transaction of what it tells.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn prepare(&self, post: Post) -> Result<PreparedItem, QueueError> {
        let house = self.house();
        let id = self.fresh_id()?;
        let message_id = message_id(id, &house);
        let octets = self.compose(&house, &post, &message_id);
        self.keep(&house, id, post, message_id, &octets).await
    }

    /// Writes a report on TLS with a domain, to one of the places where the domain wants it. Nobody is told if it comes
    /// back.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn prepare_tls_report(&self, to: Address, reported: &TlsReported) -> Result<PreparedItem, QueueError> {
        let house = self.house();
        let id = self.fresh_id()?;
        let message_id = message_id(id, &house);
        let TlsReported { report, domain, day } = reported;
        let submitter = house.sender.address.domain();
        let subject = report.subject(domain, submitter);
        let text = format!("Report on TLS with {domain}, by {submitter}.\n");
        let letter = Letter {
            from: (house.sender.name.clone(), house.sender.address.clone()),
            to: to.clone(),
            reply_to: None,
            subject: subject.clone(),
            text: text.clone(),
            html: None,
            language: "en".to_owned(),
            message_id: message_id.clone(),
            date_unix_ms: self.clock.now().unix_ms(),
            in_reply_to: None,
            auto_replied: false,
        };
        let octets = report.to_bytes(&letter, domain, submitter, *day);
        let sheet = Sheet { subject, language: Language::En, text, html: String::new() };
        let post = Post { kind: FixedKind::TlsReport, ..Post::receipt(to, sheet, id) };
        self.keep(&house, id, post, message_id, &octets).await
    }

    async fn keep(
        &self,
        house: &House,
        id: QueueId,
        post: Post,
        message_id: String,
        octets: &[u8],
    ) -> Result<PreparedItem, QueueError> {
        let event = match post.kind {
            FixedKind::Notice => EventKind::Noticed,
            FixedKind::Receipt => EventKind::Receipt,
            FixedKind::Report
            | FixedKind::ReportOutside
            | FixedKind::TlsReport
            | FixedKind::AutoReply
            | FixedKind::Answer
            | FixedKind::Opened => EventKind::Report,
        };
        let entry = self
            .journal
            .entry(Event::new(event).about(post.about).detail(id.to_string()).recipient(post.to.to_string()))?;
        let envelope = Envelope {
            smtputf8: post.to.needs_smtputf8(),
            require_tls: post.require_tls,
            ..Envelope::plain(post.return_path, vec![post.to.clone()])
        };
        let body = self.spool.keep(octets).await?;
        let body_ref = body.body_ref().clone();
        let content = Content {
            head: Vec::new(),
            skip: 0,
            body: body_ref,
            has_eight_bit: !octets.is_ascii(),
            has_utf8_header: false,
        };
        let now = self.clock.now();
        let lifetime = match post.kind {
            FixedKind::Receipt
            | FixedKind::Report
            | FixedKind::ReportOutside
            | FixedKind::TlsReport
            | FixedKind::AutoReply => house.sender.report_lifetime,
            FixedKind::Notice | FixedKind::Answer | FixedKind::Opened => house.sender.lifetime,
        };
        let item = Item {
            kind: Kind::Written { kind: post.kind, about: post.about, recipient: post.concerns, teller: post.teller },
            origin: Origin::Outbound,
            verdict: Verdict::fixed(post.kind, std::slice::from_ref(&post.to)),
            states: vec![RecipientState::Consigned(0)],
            summary: Summary {
                subject: post.sheet.subject,
                about_subject: post.about_subject,
                message_id: Some(message_id),
                ..Summary::default()
            },
            envelope: envelope.clone(),
            sender_is_proven: false,
            smime: Smime::None,
        };
        let outgoings = vec![Outgoing::written(post.kind, envelope, content)];
        NewItem { id, item, body, created: now, expires: now.after(lifetime), outgoings, entries: vec![entry] }
            .prepare(&self.vault)
    }

    fn compose(&self, house: &House, post: &Post, message_id: &str) -> Vec<u8> {
        let letter = Letter {
            from: (house.sender.name.clone(), house.sender.address.clone()),
            to: post.to.clone(),
            // An answer to a notice must reach us, whatever address of the organisation it is from.
            reply_to: format!("noreply@{}", house.sender.hostname)
                .parse()
                .ok()
                .filter(|_| post.kind == FixedKind::Notice),
            subject: post.sheet.subject.clone(),
            text: post.sheet.text.clone(),
            html: Some(post.sheet.html.clone()),
            language: post.sheet.language.tag().to_owned(),
            message_id: message_id.to_owned(),
            date_unix_ms: self.clock.now().unix_ms(),
            in_reply_to: post.in_reply_to.clone(),
            auto_replied: post.kind == FixedKind::AutoReply,
        };
        match &post.report {
            None => letter.to_bytes(),
            Some(report) => report.to_bytes(&letter),
        }
    }
}
