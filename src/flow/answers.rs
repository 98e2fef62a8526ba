//! Answers from the portal, on their way to the department the sender chose.

use async_trait::async_trait;

use crate::flow::addresses::{Bearing, ServiceAddress, Tokens};
use crate::flow::settings::Current;
use crate::mail::{
    Address, Envelope, MultipartWriter, QueueId, ReversePath, mailbox, parameter, rfc5322, structured, unstructured,
};
use crate::mailboxes::{PostBox, Sent, Stored, StoredId};
use crate::net::Clock;
use crate::policy::{FixedKind, Verdict};
use crate::queue::{
    Answer, AnswerIntake, Attachment, Draft, Item, Kind, Marks, NewItem, Origin, QueueError, ReceptionError,
    RecipientState, Schedule, Smime, Spool, Summary,
};
use crate::records::{Event, EventKind, Journal};
use crate::sealing::{Content, Outgoing};
use crate::store::{RowsHandle, StoreError};
use crate::telemetry::{Labels, Metrics};
use crate::vault::{Token, Vault, random_octets};

/// Ids that `References` names at most: the first and the newest (RFC 5322 §3.6.4 sets no bound).
const REFERENCES: usize = 20;

/// The house as the portal's reply page sees it. Cheap to clone.
#[derive(Clone)]
pub struct Answers {
    /// What is configured now.
    pub settings: Current,
    /// Rows.
    pub rows: RowsHandle,
    /// The lock.
    pub vault: Vault,
    /// Where messages are begun.
    pub spool: Spool,
    /// What is answered.
    pub post_box: PostBox,
    /// Thread and bounce addresses.
    pub tokens: Tokens,
    /// What happened.
    pub journal: Journal,
    /// Who is rung.
    pub schedule: Schedule,
    /// What stops mail before there is trouble.
    pub marks: Marks,
    /// What time it is.
    pub clock: Clock,
    /// What operations watch.
    pub metrics: Metrics,
}

#[async_trait]
impl AnswerIntake for Answers {
    fn has_room(&self) -> bool {
        self.marks.has_room()
    }

    async fn answer(&self, answer: Answer) -> Result<QueueId, ReceptionError> {
        self.promise(answer).await.map_err(ReceptionError::from)
    }
}

impl Answers {
    async fn promise(&self, answer: Answer) -> Result<QueueId, QueueError> {
        let settings = self.settings.get();
        let answered = StoredId { message: answer.message, place: answer.recipient };
        let gone = || QueueError::NoSuchItem(answered.to_string());
        let found = self.post_box.find(answered).map_err(crate::flow::fault::of_mailbox)?.ok_or_else(gone)?;
        let (Some(stored), Some(person)) = (found.stored, found.person) else { return Err(gone()) };
        if let Some(first) = self.sent_before(answered, &answer.form)? {
            return Ok(first);
        }
        if let Err(mark) = self.marks.look() {
            tracing::warn!(reason = %mark, "an answer is not taken now");
            return Err(StoreError::DiskIsFull.into());
        }
        let now = self.clock.now();
        let id = QueueId::from_parts(u64::try_from(now.unix_ms()).unwrap_or(0), random_octets()?);
        let message_id = format!("<{}@{}>", id.to_string().to_lowercase(), settings.hostname);
        let bearing = Bearing::Thread {
            about: answer.message,
            place: answer.recipient,
            recipient: stored.address.clone(),
            person: *person.as_bytes(),
        };
        let (thread, thread_row) = self.tokens.mint(&bearing)?;
        let bearing = Bearing::AnswerBounce { about: answer.message, author: stored.address.clone() };
        let (bounce, bounce_row) = self.tokens.mint(&bearing)?;
        let address = |service: ServiceAddress| service.to_address(&settings.hostname).ok_or_else(gone);
        let from = address(ServiceAddress::Thread(thread))?;
        let header = header(&answer, &stored, id, &message_id, &from, &settings.organisation, now.unix_ms());
        let body = self.compose(&answer, &header).await?;
        let envelope = Envelope::plain(
            ReversePath::Mailbox(address(ServiceAddress::Bounce(bounce))?),
            vec![stored.return_mailbox.clone()],
        );
        let content = Content {
            head: Vec::new(),
            skip: 0,
            body: body.body_ref().clone(),
            has_eight_bit: false,
            has_utf8_header: false,
        };
        let event = Event::new(EventKind::Answered)
            .about(answer.message)
            .recipient(stored.address.to_string())
            .note(answer.author.clone());
        let promised = Event::new(EventKind::Promised)
            .about(id)
            .detail("door=portal")
            .recipient(stored.return_mailbox.to_string());
        let entries = vec![
            self.journal
                .entry(event.detail(format!("answer={id} provider={} level={}", answer.provider, answer.level)))?,
            self.journal.entry(promised)?,
        ];
        let item = Item {
            kind: Kind::Written {
                kind: FixedKind::Answer,
                about: answer.message,
                recipient: Some(stored.address.clone()),
                teller: ReversePath::Null,
            },
            origin: Origin::Outbound,
            verdict: Verdict::fixed(FixedKind::Answer, std::slice::from_ref(&stored.return_mailbox)),
            states: vec![RecipientState::Consigned(0)],
            summary: Summary {
                subject: answer.subject.clone(),
                message_id: Some(message_id.clone()),
                ..Summary::default()
            },
            envelope: envelope.clone(),
            sender_is_proven: false,
            smime: Smime::None,
        };
        let outgoings = vec![Outgoing::written(FixedKind::Answer, envelope, content)];
        let expires = now.after(settings.lifetime);
        let new = NewItem { id, item, body, created: now, expires, outgoings, entries }.prepare(&self.vault)?;
        let sent = Sent {
            id,
            answers: answered,
            sent: now.unix_ms(),
            expires: found.expires.unix_ms(),
            to: stored.department.clone().unwrap_or_else(|| settings.organisation.clone()),
            subject: answer.subject,
            text: answer.text,
            files: answer.attachments.iter().map(|file| file.file_name.clone()).collect(),
        };
        let mark = self.post_box.answering(person, &sent, &answer.form).map_err(crate::flow::fault::of_mailbox)?;
        let thread_hash = self.post_box.thread_hash(&message_id);
        let (bodies, files) = (self.spool.bodies().clone(), answer.attachments);
        let committed = self
            .rows
            .commit(Box::new(move |tx| {
                mark(tx)?;
                new.write(tx)?;
                thread_row.write(tx)?;
                bounce_row.write(tx)?;
                PostBox::join_thread(tx, &thread_hash, answered)?;
                PostBox::draft_sent(tx, person, answered)?;
                files.iter().try_for_each(|file| bodies.release(tx, &file.body))
            }))
            .await;
        if let Err(fault) = committed {
            let is_conflict = matches!(fault, StoreError::Conflict(_));
            // Another request was quicker with the same form.
            let first = if is_conflict { self.sent_before(answered, &answer.form)? } else { None };
            return first.ok_or_else(|| fault.into());
        }
        self.schedule.ring();
        self.metrics.written.get_or_create(&Labels::of("answer")).inc();
        Ok(id)
    }

    fn sent_before(&self, answered: StoredId, form: &Token) -> Result<Option<QueueId>, QueueError> {
        self.post_box.sent_with(answered, form).map_err(crate::flow::fault::of_mailbox)
    }

    /// Writes the whole message into the spool: files go from lock to lock, a piece at a time.
    async fn compose(&self, answer: &Answer, header: &[u8]) -> Result<crate::store::PreparedBody, QueueError> {
        let mut draft = self.spool.begin()?;
        draft.write(header).await?;
        let mut writer = MultipartWriter::new(format!("part-{}", Token::random()?));
        draft.write(&writer.begin(&answer.text)).await?;
        for file in &answer.attachments {
            self.attach(&mut draft, &mut writer, file).await?;
        }
        draft.write(&writer.end()).await?;
        draft.finish().await
    }

    async fn attach(
        &self,
        draft: &mut Draft,
        writer: &mut MultipartWriter,
        file: &Attachment,
    ) -> Result<(), QueueError> {
        draft.write(&writer.file(&file.file_name, &file.media_type)).await?;
        let mut locked = self.spool.bodies().read(&file.body).await?;
        let mut unlocking = self.vault.unlocking(file.body.epoch)?;
        let mut plain = zeroize::Zeroizing::new(Vec::new());
        while let Some(chunk) = locked.next().await? {
            unlocking.write(&chunk, &mut plain)?;
            draft.write(&writer.octets(&plain)).await?;
            plain.clear();
        }
        unlocking.finish(&mut plain)?;
        draft.write(&writer.octets(&plain)).await?;
        draft.write(&writer.end_file()).await
    }
}

/// The header of an answer: from the person by way of us, never a forged outside address.
fn header(
    answer: &Answer,
    stored: &Stored,
    id: QueueId,
    message_id: &str,
    from: &Address,
    organisation: &str,
    now: i64,
) -> Vec<u8> {
    let mut header = structured("Date", &rfc5322(now));
    header.extend(mailbox("From", &format!("{} via {organisation}", answer.author), from));
    header.extend(mailbox("Reply-To", &format!("{} via {organisation}", answer.author), from));
    header.extend(mailbox("To", stored.department.as_deref().unwrap_or_default(), &stored.return_mailbox));
    header.extend(unstructured("Subject", &answer.subject));
    header.extend(structured("Message-ID", message_id));
    if let Some(original) = &stored.message_id {
        header.extend(structured("In-Reply-To", original));
        header.extend(structured("References", &references(&stored.references, original)));
    }
    let number = if answer.number_verified { "verified" } else { "none" };
    let origin = [
        "portal".to_owned(),
        parameter("provider", &answer.provider),
        parameter("level", &answer.level),
        parameter("name", &answer.author),
        parameter("number", number),
    ];
    header.extend(structured("X-Sealgate-Origin", &origin.join("; ")));
    header.extend(structured("X-Sealgate-Message", &id.to_string()));
    header.extend(structured("Content-Language", &answer.language));
    header
}

fn references(older: &[String], original: &str) -> String {
    let mut ids: Vec<&str> = older.iter().map(String::as_str).filter(|id| *id != original).collect();
    if ids.len() > REFERENCES {
        ids.drain(1..ids.len() - REFERENCES);
    }
    ids.push(original);
    ids.join(" ")
}
