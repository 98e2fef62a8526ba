//! What time brings: messages expire, senders hear what was read and what was not, keys are renewed and destroyed.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::delivery::{StsKeeping, TlsTally};
use crate::flow::addresses::Tokens;
use crate::flow::fault::{of_mailbox, to_mailbox};
use crate::flow::returns::Returns;
use crate::flow::settings::Current;
use crate::flow::told::Told;
use crate::mail::QueueId;
use crate::mailboxes::{EndMessages, Ended, MailboxError, Milestones, PostBox, Stored, StoredId};
use crate::net::{Clock, Shutdown, Steadiness, Time};
use crate::notify::{About, Post, Reporter, Sheet, expired, opened, recalled, unopened};
use crate::queue::{PreparedItem, QueueError, Schedule, Spool};
use crate::records::{Event, EventKind, Journal};
use crate::store::RowsHandle;
use crate::vault::Vault;

/// Messages ended or told of at a time.
const BATCH: usize = 200;
/// How often it is looked.
const EVERY: Duration = Duration::from_secs(15);
/// How often bodies without rows, and keys, are looked at.
const SELDOM: Duration = Duration::from_secs(3600);

/// Does what is due. Cheap to clone.
#[derive(Clone)]
pub struct Sweeper {
    /// What is configured now.
    pub settings: Current,
    /// Rows.
    pub rows: RowsHandle,
    /// The lock.
    pub vault: Vault,
    /// What can be read.
    pub post_box: PostBox,
    /// Kept octets.
    pub spool: Spool,
    /// Who tells senders.
    pub reporter: Reporter,
    /// What happened.
    pub journal: Journal,
    /// Who is rung.
    pub schedule: Schedule,
    /// What service addresses stand for.
    pub tokens: Tokens,
    /// What is remembered of the policies of domains.
    pub policies: StsKeeping,
    /// What is kept of TLS with domains.
    pub tally: TlsTally,
    /// What was told today.
    pub told: Told,
    /// Where answers go.
    pub returns: Returns,
    /// What time it is.
    pub clock: Clock,
    /// Whether it can be relied on: what is erased cannot be brought back.
    pub steadiness: Steadiness,
}

#[async_trait]
impl EndMessages for Sweeper {
    async fn end_message(&self, message: QueueId, by_recall: bool) -> Result<usize, MailboxError> {
        let mut count = 0;
        for found in self.post_box.of_message(message)? {
            let Some(ended) = self.post_box.ending(found.id)? else { continue };
            self.end(ended, self.clock.now(), by_recall).await.map_err(to_mailbox)?;
            count += 1;
        }
        Ok(count)
    }
}

impl Sweeper {
    /// Sweeps until the end begins.
    pub async fn run(self, shutdown: Shutdown) {
        let mut seldom: Option<Instant> = None;
        while !shutdown.has_begun() {
            if self.steadiness.holds() {
                if let Err(fault) = self.sweep().await {
                    tracing::error!(%fault, "the sweep broke off; it is tried again");
                }
                if seldom.is_none_or(|last| last.elapsed() >= SELDOM) {
                    seldom = Some(Instant::now());
                    self.rarely(self.clock.now()).await;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.post_box.has_news() => {}
                () = shutdown.begun() => {}
            }
        }
    }

    /// Everything that is due now, once.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails: the rest waits for the next sweep.
    pub async fn sweep(&self) -> Result<(), QueueError> {
        let now = self.clock.now();
        for ended in self.post_box.due(now, BATCH).map_err(of_mailbox)? {
            self.end(ended, now, false).await?;
        }
        for id in self.post_box.news(BATCH).map_err(of_mailbox)? {
            self.tell_opened(id).await?;
        }
        let then = now.before(self.settings.get().remind_after);
        for (id, stored, until) in self.post_box.unread_since(then, BATCH).map_err(of_mailbox)? {
            self.tell_unread(id, &stored, until, now).await?;
        }
        for damaged in self.post_box.take_damage() {
            let event = Event::new(EventKind::Corrupt).detail(format!("a row of {} cannot be read", damaged.table));
            self.journal.write(damaged.about.into_iter().fold(event, Event::about)).await?;
        }
        Ok(())
    }

    /// Ends a message: by time, or because it was taken back.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails.
    pub async fn end(&self, ended: Ended, now: Time, by_recall: bool) -> Result<(), QueueError> {
        let kind = if by_recall { EventKind::Recalled } else { EventKind::Expired };
        let event = Event::new(kind).about(ended.id.message);
        let entry = self.journal.entry(match &ended.stored {
            Some(stored) => event.recipient(stored.address.to_string()),
            None => event.detail("damaged: nobody could be told"),
        })?;
        let was_read = ended.milestones.opened.is_some();
        let letter = match (&ended.stored, by_recall, was_read) {
            (Some(stored), true, _) => self.letter(ended.id, stored, recalled).await?,
            (Some(stored), false, false) => self.letter(ended.id, stored, expired).await?,
            (Some(_), false, true) | (None, _, _) => None,
        };
        self.rows
            .commit(Box::new(move |tx| {
                ended.write(tx, now, by_recall)?;
                letter.map_or(Ok(()), |letter| letter.write(tx))?;
                entry.write(tx)
            }))
            .await?;
        self.schedule.ring();
        Ok(())
    }

    async fn tell_opened(&self, id: StoredId) -> Result<(), QueueError> {
        let found = self.post_box.find(id).map_err(of_mailbox)?;
        let letter = match found {
            Some(found) => match (found.stored, found.milestones) {
                (Some(stored), Milestones { opened: Some(at), .. }) => {
                    let at = Time::from_unix_ms(at);
                    self.letter(id, &stored, |head, language, about| opened(head, language, about, at)).await?
                }
                (Some(_) | None, _) => None,
            },
            None => None,
        };
        self.rows
            .commit(Box::new(move |tx| {
                PostBox::told(tx, id)?;
                letter.map_or(Ok(()), |letter| letter.write(tx))
            }))
            .await?;
        self.schedule.ring();
        Ok(())
    }

    async fn tell_unread(&self, id: StoredId, stored: &Stored, until: Time, now: Time) -> Result<(), QueueError> {
        let letter = self.letter(id, stored, |head, language, about| unopened(head, language, about, until)).await?;
        self.rows
            .commit(Box::new(move |tx| {
                PostBox::reminded(tx, id, now)?;
                letter.map_or(Ok(()), |letter| letter.write(tx))
            }))
            .await?;
        self.schedule.ring();
        Ok(())
    }

    async fn letter(
        &self,
        id: StoredId,
        stored: &Stored,
        write: impl FnOnce(&crate::notify::Letterhead, crate::texts::Language, &About<'_>) -> Sheet,
    ) -> Result<Option<PreparedItem>, QueueError> {
        let Some(sender) = &stored.sender else { return Ok(None) };
        let mailer = self.reporter.mailer();
        let house = mailer.house();
        let (text, recipient) = (id.message.to_string(), stored.address.to_string());
        let about = About { subject: &stored.subject, id: &text, recipient: &recipient };
        let sheet = write(&house.head, house.head.language, &about);
        let post = Post { in_reply_to: stored.message_id.clone(), ..Post::receipt(sender.clone(), sheet, id.message) };
        Ok(Some(mailer.prepare(post).await?))
    }

    /// Files without rows, and the vault's epochs.
    async fn rarely(&self, now: Time) {
        match self.spool.bodies().sweep(now).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "removed bodies that nothing names"),
            Err(fault) => tracing::error!(%fault, "bodies could not be swept"),
        }
        match self.journal.head() {
            Ok(head) => tracing::info!(audit.events = head.events, audit.head = %head.hex(), "the newest event"),
            Err(fault) => tracing::error!(%fault, "the newest event cannot be read"),
        }
        if let Err(fault) = self.told.forget().await {
            tracing::error!(%fault, "what was told could not be forgotten");
        }
        if let Err(fault) = self.returns.forget(now).await {
            tracing::error!(%fault, "old threads could not be forgotten");
        }
        if let Err(fault) = self.tally.forget().await {
            tracing::error!(%fault, "what was counted of TLS could not be forgotten");
        }
        let settings = self.settings.get();
        if self.vault.is_due_for_rotation(now, settings.rotate_every) {
            match self.vault.rotate(now) {
                Ok(epoch) => {
                    let event = Event::new(EventKind::KeyCreated).detail(format!("vault epoch {}", epoch.number()));
                    if let Err(fault) = self.journal.write_with_epochs(event).await {
                        tracing::error!(%fault, "an event could not be written");
                    }
                }
                Err(fault) => tracing::error!(%fault, "no new epoch could be begun"),
            }
        }
        if let Err(fault) = self.erase(now).await {
            tracing::error!(%fault, "old epochs could not be ended; it is tried again");
        }
    }
}
