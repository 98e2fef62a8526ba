//! The end of an epoch: once nothing that somebody may still read is locked to it, its identity is destroyed, and with it
//! every copy of what was, in free pages of the store and in backups.

use std::time::Duration;

use crate::flow::fault::of_mailbox;
use crate::flow::sweep::Sweeper;
use crate::net::Time;
use crate::queue::QueueError;
use crate::records::{Event, EventKind};
use crate::store::StoreError;
use crate::vault::{Epoch, EpochState};

/// How long an epoch is kept at least after the next one began: sessions that began in it end, and what left comes back
/// if it bounces (a mail server gives up after five days, RFC 5321 §4.5.4.1).
const GRACE: Duration = Duration::from_secs(7 * 24 * 3_600);

impl Sweeper {
    /// Ends every epoch that nothing needs any more.
    ///
    /// # Errors
    /// [`QueueError`] if the lock or the store fails: the epoch is there still, and the next sweep tries again.
    pub async fn erase(&self, now: Time) -> Result<(), QueueError> {
        self.post_box.forget_answers(now).await.map_err(of_mailbox)?;
        let over = over_at(&self.vault.epochs(), now);
        if over.is_empty() {
            return Ok(());
        }
        let (post_box, schedule) = (self.post_box.clone(), self.schedule.clone());
        let look = move || {
            let mut in_use = schedule.epochs_in_use()?;
            in_use.extend(post_box.epochs_in_use().map_err(of_mailbox)?);
            Ok::<_, QueueError>(in_use)
        };
        // Every row is looked at, which with many messages takes seconds.
        let in_use =
            tokio::task::spawn_blocking(look).await.map_err(|fault| StoreError::Unavailable(fault.to_string()))??;
        for epoch in over.into_iter().filter(|epoch| !in_use.contains(epoch)) {
            self.end_epoch(epoch).await?;
        }
        Ok(())
    }

    async fn end_epoch(&self, epoch: Epoch) -> Result<(), QueueError> {
        self.post_box.move_on(epoch).await.map_err(of_mailbox)?;
        self.tokens.move_on(epoch).await?;
        self.policies.move_on(epoch).await?;
        // The event comes first: an identity that is gone without a word would look like a loss.
        self.journal
            .write(Event::new(EventKind::KeyDestroyed).detail(format!("vault epoch {}", epoch.number())))
            .await?;
        self.vault.destroy(epoch)?;
        tracing::info!(epoch = epoch.number(), "ended an epoch: what was locked to it is erased");
        Ok(())
    }
}

/// Epochs that are there still although another began long ago, oldest first.
fn over_at(epochs: &[EpochState], now: Time) -> Vec<Epoch> {
    let with_next = epochs.iter().zip(epochs.iter().skip(1));
    let over = with_next.filter(|(epoch, next)| !epoch.destroyed && !epoch.current && now >= next.created.after(GRACE));
    over.map(|(epoch, _)| epoch.epoch).collect()
}
