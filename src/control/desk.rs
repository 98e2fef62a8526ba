//! What an operator's request does. The daemon's socket and the command line without a daemon both ask here, so that
//! both give the same answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::control::protocol::{Answer, Refusal, Request};
use crate::control::trust_desk::TrustDesk;
use crate::directory::Scope;
use crate::mail::{Address, Domain, QueueId, Returned};
use crate::mailboxes::{EndMessages, Found, MailboxError, Milestones, PostBox};
use crate::net::{Clock, Time};
use crate::notify::{ReportKind, Reporter};
use crate::queue::{
    EndPauses, Ended, Failure, Filter, Inspector, QueueError, RecipientState, Schedule, Spool, Untold, Waiting,
};
use crate::records::{Event, EventKind, Journal, Recalled};
use crate::sender_auth::{KeyState, Keys, KeysFault, Rotation};
use crate::texts::say;
use crate::vault::Vault;

/// Messages listed at most.
const LISTED: usize = 10_000;
/// Events exported at a time.
const EVENTS: usize = 1_000;
/// Domains whose mail is tried again when certificates were brought for them.
const RETRIED_DOMAINS: usize = 20;
/// Octets of a locked message that go over the socket.
const EXPORT_OCTETS: u64 = 256 << 20;

/// What operators may ask.
pub struct Desk {
    /// The queue.
    pub inspector: Inspector,
    /// Who is rung when something becomes due.
    pub schedule: Schedule,
    /// Who leaves domains alone that were not there of late.
    pub pauses: Arc<dyn EndPauses>,
    /// What recipients can read.
    pub post_box: PostBox,
    /// Who ends messages.
    pub ending: Arc<dyn EndMessages>,
    /// Who tells senders.
    pub reporter: Reporter,
    /// What happened.
    pub journal: Journal,
    /// Kept octets.
    pub spool: Spool,
    /// The lock.
    pub vault: Vault,
    /// The keys that sign what leaves.
    pub keys: Arc<dyn Keys>,
    /// Certificates of others and of ours.
    pub trust: TrustDesk,
    /// What time it is.
    pub clock: Clock,
}

impl From<QueueError> for Refusal {
    fn from(fault: QueueError) -> Self {
        match fault {
            QueueError::NoSuchItem(ref id) => Self::bad_input(format!(
                "{fault}: it has ended, or never was there; `sealgate message trace {id}` tells what became of it"
            )),
            QueueError::Store(_) | QueueError::Vault(_) | QueueError::RowIsUnreadable(_) | QueueError::TooLong(_) => {
                Self::unavailable(fault.to_string())
            }
        }
    }
}

impl From<KeysFault> for Refusal {
    fn from(fault: KeysFault) -> Self {
        match fault {
            KeysFault::Asked(why) => Self::bad_input(why),
            KeysFault::Unavailable(why) => Self::unavailable(why),
        }
    }
}

impl From<MailboxError> for Refusal {
    fn from(fault: MailboxError) -> Self {
        Self::unavailable(fault.to_string())
    }
}

impl Desk {
    /// Does what is asked.
    ///
    /// # Errors
    /// The refusal: what happened and what to do.
    pub async fn answer(&self, request: Request) -> Result<Answer, Refusal> {
        let value = match request {
            Request::QueueList { to, stage, after, limit } => {
                let page = self.inspector.list(&Filter { to, stage, after, limit })?;
                json!({ "items": to_value(&page.items), "next": page.next })
            }
            Request::QueueShow { id } => self.show(id)?,
            Request::QueueRetry { id, to } => self.retry(id, to).await?,
            Request::QueueHold { id } => {
                let is_held = self.inspector.is_held(id)?;
                if !is_held {
                    self.inspector.hold(id).await?;
                }
                json!({ "held": [id], "already": is_held })
            }
            Request::QueueRelease { id } => {
                if !self.inspector.holds(id)? {
                    return Err(Refusal::bad_input(format!(
                        "nothing of {id} is held; `sealgate queue retry {id}` attempts what waits for its time"
                    )));
                }
                self.inspector.release(id).await?;
                self.schedule.ring();
                json!({ "released": [id] })
            }
            Request::QueueDrop { id } => self.drop_item(id).await?,
            Request::MessageList => self.messages()?,
            Request::MessageShow { id } => self.message(id)?,
            Request::MessageRecall { id } => self.end(id, true).await?,
            Request::MessageExpire { id } => self.end(id, false).await?,
            Request::MessageTrace { which } => self.trace(&which)?,
            Request::MessageExport { id } => return self.export(id).await,
            Request::RecipientList => self.recipients()?,
            Request::RecipientShow { address } => self.recipient(&address)?,
            Request::RecipientUnbind { address } => self.unbind(&address).await?,
            Request::KeyList { dns } => self.keys(dns).await?,
            Request::KeyRotateDkim { domain, algorithm, published } => {
                let made = self.keys.rotate(&Rotation { domain, algorithm, is_published: published }).await?;
                Value::Array(made.iter().map(signing_key).collect())
            }
            Request::KeyRotateVault => self.rotate().await?,
            Request::KeyExport => self.export_keys().await?,
            Request::CertificateTake { .. } | Request::CertificateDecide { .. } => {
                let value = self.trust.answer(request).await?;
                self.retry_whom(&value).await?;
                value
            }
            Request::TunnelList { .. }
            | Request::TunnelShow { .. }
            | Request::TunnelRemove { .. }
            | Request::CertificateOwn { .. }
            | Request::CertificateList { .. }
            | Request::CertificateShow { .. }
            | Request::CertificateRemove { .. }
            | Request::CertificateRequest { .. }
            | Request::CertificateAuthority { .. }
            | Request::CertificateKeys { .. }
            | Request::CertificateIssue { .. } => self.trust.answer(request).await?,
            Request::AuditVerify { head } => self.verify(head.as_deref())?,
            Request::AuditHead => {
                let head = self.journal.head().map_err(|fault| Refusal::unavailable(fault.to_string()))?;
                json!({ "events": head.events, "head": head.hex() })
            }
            Request::AuditExport { since } => self.events(since)?,
        };
        Ok(Answer { value, octets: Vec::new() })
    }

    /// An item, and who would hear that it was given up.
    fn show(&self, id: QueueId) -> Result<Value, Refusal> {
        let mut shown = to_value(&self.inspector.show(id)?);
        let hears = self.inspector.item(id).ok().and_then(|item| self.reporter.hears_of_drop(&item));
        if let Some(object) = shown.as_object_mut() {
            object.insert("hears".to_owned(), json!(hears));
        }
        Ok(shown)
    }

    async fn retry(&self, asked: Option<QueueId>, to: Option<Domain>) -> Result<Value, Refusal> {
        let Some(id) = asked else { return self.retry_all(to).await };
        if self.inspector.is_held(id)? {
            return Err(Refusal::bad_input(format!(
                "{id} is held: a person decides about it; `sealgate queue release {id}` lets it go"
            )));
        }
        let item = self.inspector.item(id).ok();
        let recipients = item.iter().flat_map(|item| &item.envelope.recipients);
        let domains: Vec<Domain> = recipients.map(|recipient| recipient.address.domain().clone()).collect();
        self.pauses.end_pauses(Some(&domains));
        self.inspector.retry(id).await?;
        self.schedule.ring();
        Ok(json!({ "retried": [id], "count": 1, "held": 0 }))
    }

    async fn retry_all(&self, to: Option<Domain>) -> Result<Value, Refusal> {
        let (inspector, domain) = (self.inspector.clone(), to.clone());
        // With many messages it takes seconds.
        let found = tokio::task::spawn_blocking(move || inspector.waiting(domain.as_ref())).await;
        let Waiting { ids, held } = found.map_err(|fault| Refusal::unavailable(fault.to_string()))??;
        self.pauses.end_pauses(to.as_ref().map(std::slice::from_ref));
        let count = self.inspector.retry_all(&ids, to.as_ref()).await?;
        self.schedule.ring();
        let named = ids.get(..ids.len().min(LISTED)).unwrap_or_default();
        Ok(json!({ "retried": named, "count": count, "held": held }))
    }

    /// What waits for those about whose certificates something was brought or decided is looked at now, unless they are many:
    /// then when its time comes.
    async fn retry_whom(&self, told: &Value) -> Result<(), Refusal> {
        let rows = told.get("taken").unwrap_or(told).as_array().map(Vec::as_slice).unwrap_or_default();
        let scopes = rows.iter().filter_map(|row| row.get("for")?.as_str()?.parse::<Scope>().ok());
        let domains: BTreeSet<Domain> = scopes.map(|scope| scope.domain().clone()).collect();
        if domains.len() > RETRIED_DOMAINS {
            return Ok(());
        }
        for domain in domains {
            self.retry_all(Some(domain)).await?;
        }
        Ok(())
    }

    /// Gives an item up; its sender is always told, unless nobody can read who that is.
    async fn drop_item(&self, id: QueueId) -> Result<Value, Refusal> {
        let (item, consignments) = match self.inspector.item_and_consignments(id) {
            Err(fault) if fault.is_damage() => {
                let event = Event::new(EventKind::Dropped).about(id).detail("damaged: nobody could be told");
                self.inspector.remove(id, Vec::new(), event).await?;
                return Ok(json!({ "dropped": [id], "recipients": 0, "told": false, "hears": "damaged" }));
            }
            found => found?,
        };
        let house = self.reporter.mailer().house();
        let reason = say(house.head.language, "reason-dropped", &[]);
        let failure = |address: &Address| Failure {
            address: address.clone(),
            status: "5.7.1".to_owned(),
            diagnostic: None,
            remote: None,
            reason: reason.clone(),
            note: "dropped by the operator".to_owned(),
        };
        let mut given_up = Vec::new();
        for (state, recipient) in item.states.iter().zip(&item.envelope.recipients) {
            if state.is_waiting() || matches!(state, RecipientState::Held { .. }) {
                given_up.push(failure(&recipient.address));
            }
        }
        for consignment in &consignments {
            for (progress, recipient) in consignment.progress.iter().zip(&consignment.outgoing.envelope().recipients) {
                if progress.ended != Some(Ended::Delivered) && progress.ended != Some(Ended::Failed) {
                    given_up.push(failure(&recipient.address));
                }
            }
        }
        let created = created_of(id);
        let hears = self.reporter.hears_of_drop(&item).filter(|_| !given_up.is_empty());
        let (mut reports, _) = self.reporter.dropped(id, &item, created, &given_up).await?;
        let untold = match self.inspector.untold(id) {
            Err(fault) if fault.is_damage() => Untold::default(),
            found => found?,
        };
        for (kind, about) in ReportKind::of(&untold) {
            let (more, _) = self.reporter.report(id, &item, created, kind, about, Returned::default()).await?;
            reports.extend(more);
        }
        let mut event = Event::new(EventKind::Dropped).about(id).detail(format!(
            "{} {}",
            given_up.len(),
            if given_up.len() == 1 { "recipient" } else { "recipients" }
        ));
        event.told.recipients = given_up.iter().map(|failure| failure.address.to_string()).collect();
        self.inspector.remove(id, reports, event).await?;
        self.schedule.ring();
        Ok(json!({ "dropped": [id], "recipients": given_up.len(), "told": hears.is_some(), "hears": hears }))
    }

    fn messages(&self) -> Result<Value, Refusal> {
        let mut messages: Vec<Value> = Vec::new();
        let mut current: Option<(QueueId, Vec<Found>)> = None;
        for found in self.post_box.all(LISTED)? {
            match &mut current {
                Some((id, recipients)) if *id == found.id.message => recipients.push(found),
                Some(_) | None => {
                    if let Some((id, recipients)) = current.replace((found.id.message, vec![found])) {
                        messages.push(self.message_of(id, &recipients)?);
                    }
                }
            }
        }
        if let Some((id, recipients)) = current {
            messages.push(self.message_of(id, &recipients)?);
        }
        Ok(Value::Array(messages))
    }

    fn message(&self, id: QueueId) -> Result<Value, Refusal> {
        let recipients = self.post_box.of_message(id)?;
        if recipients.is_empty() {
            return Err(Refusal::bad_input(format!(
                "no message {id} is or was in the portal; `sealgate queue show` looks in the queue"
            )));
        }
        self.message_of(id, &recipients)
    }

    async fn end(&self, id: QueueId, by_recall: bool) -> Result<Value, Refusal> {
        let count = self.ending.end_message(id, by_recall).await?;
        if count == 0 {
            return Err(Refusal::bad_input(format!("no message {id} can be read in the portal now")));
        }
        Ok(json!({ "id": id, "ended": count }))
    }

    fn trace(&self, which: &str) -> Result<Value, Refusal> {
        let id = match which.parse::<QueueId>() {
            Ok(id) => id,
            Err(_) => {
                let bracketed = format!("<{}>", which.trim_matches(['<', '>']));
                let found = self.inspector.find(&bracketed)?;
                found.ok_or_else(|| Refusal::bad_input(format!("no message has the id or Message-ID {which}")))?
            }
        };
        let events = self.journal.trace(id).map_err(|fault| Refusal::unavailable(fault.to_string()))?;
        if events.is_empty() {
            return Err(Refusal::bad_input(format!("nothing is known of {id}")));
        }
        let mut told: Vec<(u64, Value)> =
            events.iter().flat_map(|event| traced(event).map(|line| (event.number, line))).collect();
        for notice in events.iter().filter(|event| event.kind == EventKind::Noticed) {
            told.extend(self.way_of_notice(notice)?);
        }
        told.sort_by_key(|(number, _)| *number);
        let told: Vec<Value> = told.into_iter().map(|(_, line)| line).collect();
        Ok(json!({ "id": id, "events": told }))
    }

    /// How a notice fared on its way: it is a message of its own, and its recipient is this one's.
    fn way_of_notice(&self, noticed: &Recalled) -> Result<Vec<(u64, Value)>, Refusal> {
        let Ok(id) = noticed.detail.parse::<QueueId>() else { return Ok(Vec::new()) };
        let events = self.journal.trace(id).map_err(|fault| Refusal::unavailable(fault.to_string()))?;
        let fared = |event: &Recalled| {
            let on_its_way = matches!(
                event.kind,
                EventKind::Delivered | EventKind::Deferred | EventKind::Failed | EventKind::Held | EventKind::Dropped
            );
            on_its_way.then(|| Recalled { detail: format!("notice {id}: {}", event.detail), ..event.clone() })
        };
        Ok(events
            .iter()
            .filter_map(fared)
            .flat_map(|event| traced(&event).map(|line| (event.number, line)).collect::<Vec<_>>())
            .collect())
    }

    /// When the notice to each recipient of a message came back, if it did.
    fn failed_notices(&self, id: QueueId) -> Result<Vec<(String, Time)>, Refusal> {
        let events = self.journal.trace(id).map_err(|fault| Refusal::unavailable(fault.to_string()))?;
        let failed = events.into_iter().filter(|event| event.kind == EventKind::NoticeFailed);
        Ok(failed
            .flat_map(|event| {
                event.told.unwrap_or_default().recipients.into_iter().map(move |address| (address, event.time))
            })
            .collect())
    }

    fn message_of(&self, id: QueueId, recipients: &[Found]) -> Result<Value, Refusal> {
        // Who has opened it has found it, notice or not.
        let unread = recipients.iter().any(|found| found.milestones.opened.is_none());
        // One event that cannot be read must not hide the messages.
        let failed = if unread { self.failed_notices(id).unwrap_or_default() } else { Vec::new() };
        Ok(message_of(id, recipients, &failed))
    }

    async fn export(&self, id: QueueId) -> Result<Answer, Refusal> {
        let body = match self.post_box.of_message(id)?.into_iter().find_map(|found| found.stored) {
            Some(stored) => stored.body,
            None => self.inspector.body(id)?,
        };
        let octets = self
            .spool
            .bodies()
            .read_whole(&body, EXPORT_OCTETS)
            .await
            .map_err(|fault| Refusal::unavailable(fault.to_string()))?;
        let event = Event::new(EventKind::Fetched).about(id).detail("exported, locked, by the operator");
        self.post_box.record(event).await?;
        let sha256: String = body.sha256.iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(Answer {
            value: json!({ "id": id, "epoch": body.epoch.number(), "sha256": sha256, "size": octets.len() }),
            octets,
        })
    }

    fn recipients(&self) -> Result<Value, Refusal> {
        let bindings = self.post_box.bindings(LISTED)?;
        let row = |b: crate::mailboxes::Binding| json!({ "address": b.address, "person": format!("{:?}", b.person), "since": Time::from_unix_ms(b.since).rfc3339() });
        Ok(Value::Array(bindings.into_iter().map(row).collect()))
    }

    fn recipient(&self, address: &str) -> Result<Value, Refusal> {
        match self.post_box.binding(&parse(address)?)? {
            Some(b) => Ok(
                json!({ "address": b.address, "person": format!("{:?}", b.person), "since": Time::from_unix_ms(b.since).rfc3339() }),
            ),
            None => Err(Refusal::bad_input(format!("{address} is tied to nobody"))),
        }
    }

    async fn unbind(&self, address: &str) -> Result<Value, Refusal> {
        match self.post_box.unbind(&parse(address)?).await? {
            true => Ok(json!({ "unbound": address })),
            false => Err(Refusal::bad_input(format!("{address} is tied to nobody"))),
        }
    }

    async fn keys(&self, looks_up: bool) -> Result<Value, Refusal> {
        let row = |e: crate::vault::EpochState| json!({ "kind": "vault", "epoch": e.epoch.number(), "created": e.created.rfc3339(), "current": e.current, "destroyed": e.destroyed });
        let signing = self.keys.list(looks_up).await?;
        Ok(Value::Array(self.vault.epochs().into_iter().map(row).chain(signing.iter().map(signing_key)).collect()))
    }

    async fn rotate(&self) -> Result<Value, Refusal> {
        let epoch = self.vault.rotate(self.clock.now()).map_err(|fault| Refusal::unavailable(fault.to_string()))?;
        let event =
            Event::new(EventKind::KeyCreated).detail(format!("vault epoch {}, by the operator", epoch.number()));
        self.journal.write_with_epochs(event).await.map_err(|fault| Refusal::unavailable(fault.to_string()))?;
        Ok(json!({ "epoch": epoch.number() }))
    }

    async fn export_keys(&self) -> Result<Value, Refusal> {
        let files = self.vault.export().map_err(|fault| Refusal::unavailable(fault.to_string()))?;
        self.post_box.record(Event::new(EventKind::KeyUsed).detail("epoch identities exported, locked")).await?;
        let file = |(name, octets): (String, Vec<u8>)| json!({ "name": name, "octets": STANDARD.encode(octets) });
        Ok(Value::Array(files.into_iter().map(file).collect()))
    }

    fn verify(&self, head: Option<&str>) -> Result<Value, Refusal> {
        let known = head.map(hash_of).transpose()?;
        let report = self.journal.verify(known.as_ref()).map_err(|fault| Refusal::unavailable(fault.to_string()))?;
        Ok(
            json!({ "sound": report.sound, "events": report.events, "head": report.head.hex(), "first_fault": report.first_fault }),
        )
    }

    fn events(&self, since: Option<i64>) -> Result<Value, Refusal> {
        let mut events = Vec::new();
        let mut next = 0;
        loop {
            let page = self.journal.from(next, EVENTS).map_err(|fault| Refusal::unavailable(fault.to_string()))?;
            let Some(last) = page.last() else { break };
            next = last.number + 1;
            events.extend(
                page.iter().filter(|event| since.is_none_or(|since| event.time.unix_ms() >= since)).map(exported),
            );
        }
        Ok(Value::Array(events))
    }
}

fn parse(address: &str) -> Result<Address, Refusal> {
    address.parse().map_err(|fault| Refusal::bad_input(format!("{address}: {fault}")))
}

fn hash_of(hex: &str) -> Result<[u8; 32], Refusal> {
    let fault = || Refusal::bad_input("a head has 64 hexadecimal digits".to_owned());
    let mut hash = [0; 32];
    if hex.len() != 64 {
        return Err(fault());
    }
    for (place, slot) in hash.iter_mut().enumerate() {
        let pair = hex.get(place * 2..place * 2 + 2).ok_or_else(fault)?;
        *slot = u8::from_str_radix(pair, 16).map_err(|_| fault())?;
    }
    Ok(hash)
}

fn to_value<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// A key that signs, beside those of the vault.
fn signing_key(key: &KeyState) -> Value {
    let mut value = to_value(key);
    if let Some(object) = value.as_object_mut() {
        object.insert("kind".to_owned(), json!("dkim"));
    }
    value
}

/// When a message was taken: its id tells.
fn created_of(id: QueueId) -> Time {
    Time::from_unix_ms(i64::try_from(id.unix_ms()).unwrap_or(0))
}

fn message_of(id: QueueId, recipients: &[Found], failed_notices: &[(String, Time)]) -> Value {
    let stored = recipients.iter().find_map(|found| found.stored.as_ref());
    let time = |ms: i64| Time::from_unix_ms(ms).rfc3339();
    // What was ended before its time can be read no longer.
    let until = |found: &Found| {
        found.milestones.ended.map_or(found.expires, |ended| found.expires.min(Time::from_unix_ms(ended)))
    };
    let recipient = |found: &Found| {
        let Milestones { noticed, opened, answered, .. } = found.milestones;
        let address = found.stored.as_ref().map(|stored| stored.address.to_string());
        let failed = failed_notices.iter().rfind(|(whose, _)| Some(whose) == address.as_ref());
        json!({
            "address": address,
            "channel": "pickup",
            "state": found.milestones.state(),
            "damaged": found.is_damaged,
            "noticed": time(noticed),
            "notice_failed": failed.map(|(_, time)| time.rfc3339()),
            "opened": opened.map(time),
            "answered": answered.map(time),
        })
    };
    json!({
        "id": id,
        "message_id": stored.and_then(|stored| stored.message_id.clone()),
        "direction": "out",
        "created": created_of(id).rfc3339(),
        "expires": recipients.iter().map(until).max().map(Time::rfc3339),
        "recipients": recipients.iter().map(recipient).collect::<Vec<_>>(),
    })
}

/// An event as lines of a trace: one for each recipient.
fn traced(event: &Recalled) -> impl Iterator<Item = Value> {
    let all = event.told.as_ref().map(|told| told.recipients.clone()).unwrap_or_default();
    let whole = shown(event);
    let each = if all.is_empty() { vec![Value::Null] } else { all.into_iter().map(Value::String).collect() };
    each.into_iter().map(move |recipient| {
        let mut line = whole.clone();
        if let Some(object) = line.as_object_mut() {
            object.insert("recipient".to_owned(), recipient);
        }
        line
    })
}

fn shown(event: &Recalled) -> Value {
    let told = event.told.as_ref();
    let note = told.map(|told| told.note.as_str()).filter(|note| !note.is_empty());
    let detail = match (event.detail.as_str(), note) {
        ("", Some(note)) => note.to_owned(),
        (detail, Some(note)) => format!("{detail} ({note})"),
        (detail, None) => detail.to_owned(),
    };
    json!({
        "time": event.time.rfc3339(),
        "event": event.kind.as_str(),
        "recipient": told.map(|told| told.recipients.join(", ")).filter(|text| !text.is_empty()),
        "detail": detail,
    })
}

fn exported(event: &Recalled) -> Value {
    let mut value = shown(event);
    if let Some(object) = value.as_object_mut() {
        object.insert("number".to_owned(), json!(event.number));
        object.insert("id".to_owned(), json!(event.message));
        object.insert("erased".to_owned(), json!(event.told.is_none()));
    }
    value
}
