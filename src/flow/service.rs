//! Mail to our own service addresses: bounces of what we sent, answers to a notice, programs that answer in a thread.
//! None of it is passed on in the clear; what it says is reduced to its facts.

use crate::flow::addresses::{Bearing, ServiceAddress, Tokens};
use crate::flow::fault::of_mailbox;
use crate::flow::settings::Current;
use crate::flow::told::Told;
use crate::mail::{Address, Bounce, QueueId, ReversePath};
use crate::mailboxes::{PostBox, StoredId};
use crate::notify::{About, Post, Reporter, notice_answered, safe_answer};
use crate::policy::FixedKind;
use crate::queue::{Exchange, Kind, QueueError, Spool};
use crate::records::{Event, EventKind, Journal};
use crate::vault::{Token, Vault};

/// Octets of a bounce that are read.
const BOUNCE_OCTETS: u64 = 1 << 20;
/// How often a day addresses that write about one message are told how to answer: senders can be forged, and a notice
/// must not become a means to write to the world.
const ANSWERED_SAFELY: u32 = 3;

/// Reads what comes to service addresses. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// What is configured now.
    pub settings: Current,
    /// The lock.
    pub vault: Vault,
    /// Kept octets.
    pub spool: Spool,
    /// What tokens stand for.
    pub tokens: Tokens,
    /// What notices are about.
    pub post_box: PostBox,
    /// What was told today.
    pub told: Told,
    /// Who tells senders.
    pub reporter: Reporter,
    /// What happened.
    pub journal: Journal,
}

impl Desk {
    /// Reads one message to one service address; what comes of it goes into the exchange.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn read(&self, exchange: &mut Exchange, address: Option<ServiceAddress>) -> Result<(), QueueError> {
        match address {
            Some(ServiceAddress::Bounce(token)) => match self.tokens.bearing(&token)? {
                Some(bearing) => self.bounced(exchange, &token, bearing).await,
                None => Ok(()),
            },
            Some(ServiceAddress::Thread(token)) => match self.tokens.bearing(&token)? {
                Some(
                    Bearing::Thread { about, .. }
                    | Bearing::Bounce { about, .. }
                    | Bearing::SealedBounce { about, .. }
                    | Bearing::OpenedBounce { about }
                    | Bearing::AnswerBounce { about, .. },
                ) => {
                    let event = Event::new(EventKind::Reduced)
                        .about(about)
                        .detail("an automatic or outside answer in a secure thread");
                    exchange.record(self.journal.entry(event)?);
                    self.answer_safely(exchange, about).await
                }
                None => Ok(()),
            },
            Some(ServiceAddress::NoReply) => self.answered_notice(exchange).await,
            None => Ok(()),
        }
    }

    /// What we sent came back: whoever waits for it is told, once. Whoever got the notice can write such a report, so it
    /// counts only as RFC 3464 §2 wants it sent, and says no more than its status.
    async fn bounced(&self, exchange: &mut Exchange, token: &Token, bearing: Bearing) -> Result<(), QueueError> {
        if !exchange.is_first("bounce", token.as_bytes()) {
            return Ok(());
        }
        let Some(octets) = self.octets(exchange).await? else { return Ok(()) };
        let is_null = exchange.lease().item.envelope.sender == ReversePath::Null;
        let failed = Bounce::read(&octets).filter(|bounce| bounce.has_failed && is_null);
        match (bearing, failed) {
            (Bearing::Bounce { about, recipient, sender, subject }, Some(bounce)) => {
                let teller = sender.map_or(ReversePath::Null, ReversePath::Mailbox);
                let reason = self.reporter.reason_of(&bounce.status);
                let note = bounce.diagnostic.unwrap_or(bounce.status);
                let (letters, entries) =
                    self.reporter.notice_failed(about, &subject, recipient.as_ref(), &teller, &reason, &note).await?;
                letters.into_iter().for_each(|letter| exchange.write(letter));
                entries.into_iter().for_each(|entry| exchange.record(entry));
                exchange.also(self.tokens.spend(token));
            }
            (Bearing::SealedBounce { about, recipients, sender, subject }, Some(bounce)) => {
                // A partner's mail server may send a report for each recipient; nobody makes us write more letters than that.
                let most = u32::try_from(recipients.len()).unwrap_or(u32::MAX);
                let Some(counted) = self.told.once_more("sealed-bounce", token.as_bytes(), most)? else {
                    return Ok(());
                };
                let named = |address: &&Address| {
                    let told = bounce.recipients.iter().filter_map(|it| it.address.as_ref());
                    told.into_iter().any(|it| it.folded() == address.folded())
                };
                let failed: Vec<Address> = recipients.iter().filter(named).cloned().collect();
                let failed = if failed.is_empty() { recipients } else { failed };
                let (letters, entries) =
                    self.reporter.sealed_failed(about, &subject, &failed, sender.as_ref(), &bounce).await?;
                letters.into_iter().for_each(|letter| exchange.write(letter));
                entries.into_iter().for_each(|entry| exchange.record(entry));
                exchange.also(counted);
            }
            (Bearing::AnswerBounce { about, author }, Some(bounce)) => {
                tracing::error!(message.id = %about, status = bounce.status, "the mail server gave an answer back that it had taken");
                let event =
                    Event::new(EventKind::Failed).about(about).detail("an answer came back from the mail server");
                let note = bounce.diagnostic.unwrap_or(bounce.status);
                exchange.record(self.journal.entry(event.recipient(author.to_string()).note(note))?);
                exchange.write(self.reporter.answer_lost(about, &author).await?);
                exchange.also(self.tokens.spend(token));
            }
            (Bearing::OpenedBounce { about }, Some(bounce)) => {
                tracing::error!(message.id = %about, status = bounce.status, "the mail server gave back opened mail that it had taken");
                let event =
                    Event::new(EventKind::Failed).about(about).detail("opened mail came back from the mail server");
                let note = bounce.diagnostic.unwrap_or(bounce.status);
                exchange.record(self.journal.entry(event.note(note))?);
            }
            // Delayed, delivered, out of office: noted, nobody is disturbed.
            (
                Bearing::Bounce { about, .. }
                | Bearing::SealedBounce { about, .. }
                | Bearing::OpenedBounce { about }
                | Bearing::AnswerBounce { about, .. },
                None,
            ) => {
                let detail =
                    if is_null { "a report or automatic answer came back" } else { "mail to a bounce address" };
                exchange.record(self.journal.entry(Event::new(EventKind::Reduced).about(about).detail(detail))?);
            }
            (Bearing::Thread { .. }, _) => {}
        }
        Ok(())
    }

    /// Somebody answered a notice by mail: the author is told how to answer safely, the sender, once a day, that someone
    /// tried.
    async fn answered_notice(&self, exchange: &mut Exchange) -> Result<(), QueueError> {
        let item = exchange.lease().item.clone();
        let Some(id) = self.notice_in(&item.summary.references)? else { return Ok(()) };
        self.answer_safely(exchange, id.message).await?;
        let is_program = item.summary.automatic || item.envelope.sender == ReversePath::Null;
        if is_program || !exchange.is_first("notice-answered", id.to_string().as_bytes()) {
            return Ok(());
        }
        let event = Event::new(EventKind::NoticeAnswered).about(id.message);
        exchange.record(self.journal.entry(event.recipient(item.envelope.sender.to_string()))?);
        let found = self.post_box.find(id).map_err(of_mailbox)?;
        if let Some(stored) = found.and_then(|found| found.stored)
            && let Some(sender) = stored.sender
            && let Some(counted) = self.told.once_more("notice-answered", id.to_string().as_bytes(), 1)?
        {
            let mailer = self.reporter.mailer();
            let house = mailer.house();
            let (text, recipient) = (id.message.to_string(), stored.address.to_string());
            let about = About { subject: &stored.subject, id: &text, recipient: &recipient };
            let sheet = notice_answered(&house.head, house.head.language, &about);
            exchange.write(mailer.prepare(Post::receipt(sender, sheet, id.message)).await?);
            exchange.also(counted);
        }
        Ok(())
    }

    /// The stored message whose notice the newest of these ids is.
    fn notice_in(&self, references: &[String]) -> Result<Option<StoredId>, QueueError> {
        for id in references.iter().rev() {
            if let Some(stored) = self.post_box.thread(id).map_err(of_mailbox)? {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }

    /// Tells a person who wrote about a message how to answer safely; never a program, nobody twice a day.
    async fn answer_safely(&self, exchange: &mut Exchange, about: QueueId) -> Result<(), QueueError> {
        let (id, item) = (exchange.lease().id, exchange.lease().item.clone());
        let ReversePath::Mailbox(author) = &item.envelope.sender else { return Ok(()) };
        // The marks on a return path change from day to day; whom it belongs to does not.
        let person = author.untagged();
        let (settings, folded) = (self.settings.get(), person.folded());
        let is_ours = [author, &person].iter().any(|address| settings.is_inside(address.domain()));
        if item.summary.automatic || is_ours || !exchange.is_first("safe-answer", folded.as_bytes()) {
            return Ok(());
        }
        let (Some(author_counted), Some(about_counted)) = (
            self.told.once_more("safe-answer-to", folded.as_bytes(), 1)?,
            self.told.once_more("safe-answer-about", about.as_bytes(), ANSWERED_SAFELY)?,
        ) else {
            return Ok(());
        };
        let mailer = self.reporter.mailer();
        let house = mailer.house();
        let post = Post {
            kind: FixedKind::AutoReply,
            in_reply_to: item.summary.message_id.clone(),
            ..Post::receipt(author.clone(), safe_answer(&house.head, house.head.language), id)
        };
        exchange.write(mailer.prepare(post).await?);
        exchange.also(author_counted);
        exchange.also(about_counted);
        Ok(())
    }

    /// The whole message, if it is no longer than a bounce is.
    async fn octets(&self, exchange: &mut Exchange) -> Result<Option<Vec<u8>>, QueueError> {
        let Kind::Mail { content, .. } = &exchange.lease().item.kind else { return Ok(None) };
        let body = content.body.clone();
        if body.plain_length > BOUNCE_OCTETS {
            return Ok(None);
        }
        let locked = self.spool.bodies().read_whole(&body, 2 * BOUNCE_OCTETS).await?;
        Ok(Some(self.vault.unlock(body.epoch, &locked)?.to_vec()))
    }
}
