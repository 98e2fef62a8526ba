//! What keeps an epoch's identity needed, and what outlives its epoch: moved on to the newest one before the old one ends.

use std::collections::BTreeSet;

use crate::mailboxes::draft::{Draft, DraftFile};
use crate::mailboxes::error::MailboxError;
use crate::mailboxes::post_box::PostBox;
use crate::mailboxes::stored::Sent;
use crate::mailboxes::table::{BINDINGS, BindingRow, DRAFTS, SENT, STORED, StoredRow};
use crate::net::Time;
use crate::store::{PreparedBody, StoreError, Transaction, decode_row, encode_row, lock_value, pages, unlock_value};
use crate::vault::Epoch;

impl PostBox {
    /// Epochs to which something is locked that somebody may still read: messages that have not ended, and answers in
    /// outboxes. Drafts and ties are not among them: they move on.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails or a row cannot be read.
    pub fn epochs_in_use(&self) -> Result<BTreeSet<Epoch>, MailboxError> {
        let mut in_use = BTreeSet::new();
        for page in pages(&*self.rows, STORED) {
            for (key, row) in page? {
                let read = decode_row::<StoredRow>(&row).map(|(clear, _)| clear).map_err(MailboxError::from);
                let Some(clear) = self.unless_damaged(STORED, &key, None, read)? else { continue };
                if clear.milestones.ended.is_none() {
                    in_use.insert(Epoch::from_number(clear.epoch));
                    in_use.extend(clear.body.map(|body| body.epoch));
                }
            }
        }
        for page in pages(&*self.rows, SENT) {
            for (key, row) in page? {
                let read = decode_row::<u32>(&row).map(|(epoch, _)| epoch).map_err(MailboxError::from);
                in_use.extend(self.unless_damaged(SENT, &key, None, read)?.map(Epoch::from_number));
            }
        }
        Ok(in_use)
    }

    /// Takes answers out of outboxes in which nobody sees them any more.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails or a row cannot be read.
    pub async fn forget_answers(&self, now: Time) -> Result<(), MailboxError> {
        let mut over = Vec::new();
        for page in pages(&*self.rows, SENT) {
            for (key, row) in page? {
                let sent: Option<Sent> = self.unless_damaged(SENT, &key, None, self.unlocked(&row))?;
                if sent.is_some_and(|sent| sent.expires <= now.unix_ms()) {
                    over.push(key);
                }
            }
        }
        if over.is_empty() {
            return Ok(());
        }
        let change = move |tx: &mut dyn Transaction| over.iter().try_for_each(|key| tx.delete(SENT, key));
        Ok(self.rows.commit(Box::new(change)).await?)
    }

    /// Locks to the newest epoch what is locked to `from` and has no end of its own: ties between addresses and
    /// persons, and drafts with their files. What a person changes in that moment is left for the next time.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails or something cannot be unlocked.
    pub async fn move_on(&self, from: Epoch) -> Result<(), MailboxError> {
        let mut ties = Vec::new();
        for page in pages(&*self.rows, BINDINGS) {
            for (key, row) in page? {
                let moved = self.unless_damaged(BINDINGS, &key, None, self.moved_tie(from, &row))?;
                ties.extend(moved.flatten().map(|new| (key, row, new)));
            }
        }
        let change = move |tx: &mut dyn Transaction| {
            ties.iter().try_for_each(|(key, old, new)| match tx.get(BINDINGS, key)? {
                Some(there) if there == *old => tx.put(BINDINGS, key, new),
                Some(_) | None => Ok(()),
            })
        };
        self.rows.commit(Box::new(change)).await?;
        for page in pages(&*self.rows, DRAFTS) {
            for (key, row) in page? {
                let moved = self.move_draft(from, key.clone(), row).await;
                self.unless_damaged(DRAFTS, &key, None, moved)?;
            }
        }
        Ok(())
    }

    /// A tie's row, locked anew; `None` if it is not locked to that epoch.
    fn moved_tie(&self, from: Epoch, row: &[u8]) -> Result<Option<Vec<u8>>, MailboxError> {
        let (clear, locked): (BindingRow, _) = decode_row(row)?;
        if clear.epoch != from.number() {
            return Ok(None);
        }
        let address: String = unlock_value(&self.vault, clear.epoch, locked)?;
        let fresh = lock_value(&self.vault, &address)?;
        let clear = BindingRow { epoch: fresh.epoch, ..clear };
        Ok(Some(encode_row(&clear, &fresh.octets)?))
    }

    async fn move_draft(&self, from: Epoch, key: Vec<u8>, row: Vec<u8>) -> Result<(), MailboxError> {
        let (epoch, locked): (u32, _) = decode_row(&row)?;
        let mut draft: Draft = unlock_value(&self.vault, epoch, locked)?;
        if epoch != from.number() && draft.files.iter().all(|file| file.body.epoch != from) {
            return Ok(());
        }
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for file in draft.files.iter_mut().filter(|file| file.body.epoch == from) {
            let moved = self.move_file(file).await?;
            removed.push(std::mem::replace(&mut file.body, moved.body_ref().clone()));
            added.push(moved);
        }
        let fresh = lock_value(&self.vault, &draft)?;
        let new = encode_row(&fresh.epoch, &fresh.octets)?;
        let bodies = self.bodies.clone();
        let change = move |tx: &mut dyn Transaction| {
            if tx.get(DRAFTS, &key)?.as_ref() != Some(&row) {
                return Err(StoreError::Conflict("the draft was changed meanwhile"));
            }
            for mut body in added {
                body.record(tx)?;
            }
            removed.iter().try_for_each(|body| bodies.release(tx, body))?;
            tx.put(DRAFTS, &key, &new)
        };
        Ok(self.rows.commit(Box::new(change)).await?)
    }

    async fn move_file(&self, file: &DraftFile) -> Result<PreparedBody, MailboxError> {
        let mut unlocking = self.vault.unlocking(file.body.epoch)?;
        let mut reader = self.bodies.read(&file.body).await?;
        let mut upload = self.upload()?;
        let mut plain = Vec::new();
        while let Some(locked) = reader.next().await? {
            unlocking.write(&locked, &mut plain)?;
            upload.write(&plain).await?;
            plain.clear();
        }
        unlocking.finish(&mut plain)?;
        upload.write(&plain).await?;
        upload.finish().await
    }
}
