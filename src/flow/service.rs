//! Mail to our own service addresses: bounces of what we sent, answers to a notice, programs that answer in a thread.
//! None of it is passed on in the clear; what it says is reduced to its facts.

use crate::flow::addresses::{Bearing, ServiceAddress, Tokens};
use crate::flow::fault::of_mailbox;
use crate::flow::settings::Current;
use crate::mail::{Bounce, ReversePath};
use crate::mailboxes::PostBox;
use crate::net::Clock;
use crate::notify::{About, Post, Reporter, notice_answered, safe_answer};
use crate::policy::FixedKind;
use crate::queue::{Exchange, Kind, QueueError, Spool};
use crate::records::{Event, EventKind, Journal};
use crate::store::{RowsHandle, Table};
use crate::vault::Vault;

/// Octets of a bounce that are read.
const BOUNCE_OCTETS: u64 = 1 << 20;
/// Keyed hash of an address → when it was last told how to answer.
const TOLD: Table = Table("flow.told");
/// How long somebody is not told again (RFC 3834 §2).
const TOLD_AGAIN: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Reads what comes to service addresses. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// What is configured now.
    pub settings: Current,
    /// Rows.
    pub rows: RowsHandle,
    /// The lock.
    pub vault: Vault,
    /// Kept octets.
    pub spool: Spool,
    /// What tokens stand for.
    pub tokens: Tokens,
    /// What notices are about.
    pub post_box: PostBox,
    /// Who tells senders.
    pub reporter: Reporter,
    /// What happened.
    pub journal: Journal,
    /// What time it is.
    pub clock: Clock,
}

impl Desk {
    /// Reads one message to one service address; what comes of it goes into the exchange.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn read(&self, exchange: &mut Exchange, address: Option<ServiceAddress>) -> Result<(), QueueError> {
        match address {
            Some(ServiceAddress::Bounce(token)) => match self.tokens.bearing(&token)? {
                Some(bearing) => self.bounced(exchange, bearing).await,
                None => Ok(()),
            },
            Some(ServiceAddress::Thread(token)) => match self.tokens.bearing(&token)? {
                Some(Bearing::Thread { about, .. } | Bearing::Bounce { about, .. }) => {
                    let event = Event::new(EventKind::Reduced)
                        .about(about)
                        .detail("an automatic or outside answer in a secure thread");
                    exchange.record(self.journal.entry(event)?);
                    self.answer_safely(exchange).await
                }
                None => Ok(()),
            },
            Some(ServiceAddress::NoReply) => self.answered_notice(exchange).await,
            None => Ok(()),
        }
    }

    /// What we sent came back: whoever waits for it is told.
    async fn bounced(&self, exchange: &mut Exchange, bearing: Bearing) -> Result<(), QueueError> {
        let (Bearing::Bounce { about, recipient, sender, subject }, Some(octets)) =
            (bearing, self.octets(exchange).await?)
        else {
            return Ok(());
        };
        let bounce = Bounce::read(&octets);
        let is_null = exchange.lease().item.envelope.sender == ReversePath::Null;
        match bounce {
            Some(bounce) if bounce.has_failed => {
                let teller = sender.map_or(ReversePath::Null, ReversePath::Mailbox);
                let reason = bounce.diagnostic.unwrap_or(bounce.status);
                let (letters, entries) =
                    self.reporter.notice_failed(about, &subject, recipient.as_ref(), &teller, &reason).await?;
                letters.into_iter().for_each(|letter| exchange.write(letter));
                entries.into_iter().for_each(|entry| exchange.record(entry));
            }
            // Delayed, delivered, out of office: noted, nobody is disturbed.
            Some(_) | None => {
                let detail =
                    if is_null { "a report or automatic answer came back" } else { "mail to a bounce address" };
                exchange.record(self.journal.entry(Event::new(EventKind::Reduced).about(about).detail(detail))?);
            }
        }
        Ok(())
    }

    /// Somebody answered a notice by mail: the author is told how to answer safely, the sender that someone tried.
    async fn answered_notice(&self, exchange: &mut Exchange) -> Result<(), QueueError> {
        self.answer_safely(exchange).await?;
        let item = exchange.lease().item.clone();
        if item.summary.automatic || item.envelope.sender == ReversePath::Null {
            return Ok(());
        }
        for id in item.summary.references.iter().rev() {
            let Some(stored) = self.post_box.thread(id).map_err(of_mailbox)? else { continue };
            let Some(found) = self.post_box.find(stored).map_err(of_mailbox)? else { continue };
            let event = Event::new(EventKind::NoticeAnswered).about(stored.message);
            exchange.record(self.journal.entry(event.recipient(item.envelope.sender.to_string()))?);
            if let Some(stored) = found.stored
                && let Some(sender) = stored.sender
            {
                let mailer = self.reporter.mailer();
                let house = mailer.house();
                let (text, recipient) = (found.id.message.to_string(), stored.address.to_string());
                let about = About { subject: &stored.subject, id: &text, recipient: &recipient };
                let sheet = notice_answered(&house.head, house.head.language, &about);
                exchange.write(mailer.prepare(Post::receipt(sender, sheet, found.id.message)).await?);
            }
            return Ok(());
        }
        Ok(())
    }

    /// Tells a person how to answer safely; never a program, and nobody twice a day.
    async fn answer_safely(&self, exchange: &mut Exchange) -> Result<(), QueueError> {
        let (id, item) = (exchange.lease().id, exchange.lease().item.clone());
        let ReversePath::Mailbox(author) = &item.envelope.sender else { return Ok(()) };
        if item.summary.automatic || self.settings.get().is_inside(author.domain()) {
            return Ok(());
        }
        let key = self.vault.index().hash("told", author.folded().as_bytes());
        let now = self.clock.now();
        let last = self.rows.get(TOLD, &key)?.and_then(|row| row.try_into().ok()).map(i64::from_be_bytes);
        if last.is_some_and(|last| now.before(TOLD_AGAIN).unix_ms() < last) {
            return Ok(());
        }
        let mailer = self.reporter.mailer();
        let house = mailer.house();
        let post = Post {
            kind: FixedKind::AutoReply,
            in_reply_to: item.summary.message_id.clone(),
            ..Post::receipt(author.clone(), safe_answer(&house.head, house.head.language), id)
        };
        exchange.write(mailer.prepare(post).await?);
        exchange.also(Box::new(move |tx| tx.put(TOLD, &key, &now.unix_ms().to_be_bytes())));
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
