//! The end of a message's time: its body is released, and what described it is taken out of its row.

use std::ops::Bound;

use async_trait::async_trait;

use crate::mail::QueueId;
use crate::mailboxes::error::MailboxError;
use crate::mailboxes::person::PersonId;
use crate::mailboxes::post_box::PostBox;
use crate::mailboxes::stored::{Milestones, Sent, Stored, StoredId};
use crate::mailboxes::table::{
    BY_PERSON, BY_TOKEN, EXPIRY, NEWS, SENT, STORED, StoredRow, UNCLAIMED, expiry_key, open, person_key, unclaimed_key,
};
use crate::net::Time;
use crate::store::{StoreError, Transaction, decode_row, encode_row, lock_value};

/// Ends messages by hand and tells their senders: asked for by operators, done by whoever writes letters.
#[async_trait]
pub trait EndMessages: Send + Sync + 'static {
    /// Ends a message for all its recipients; how many it was ended for.
    ///
    /// # Errors
    /// [`MailboxError`] if the lock or the medium fails.
    async fn end_message(&self, message: QueueId, by_recall: bool) -> Result<usize, MailboxError>;
}

/// A message whose time is over: what its sender may be told, and how to end it.
pub struct Ended {
    /// Which.
    pub id: StoredId,
    /// How far it had come.
    pub milestones: Milestones,
    /// What was known of it.
    pub stored: Stored,
    row: StoredRow,
    post_box: PostBox,
}

impl PostBox {
    /// Messages whose time is over at `now`, oldest first.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails or a row cannot be read.
    pub fn due(&self, now: Time, limit: usize) -> Result<Vec<Ended>, MailboxError> {
        let to = u64::try_from(now.unix_ms()).unwrap_or(0).saturating_add(1).to_be_bytes();
        let rows = self.rows.range(EXPIRY, Bound::Unbounded, Bound::Excluded(&to), limit)?;
        let ids = rows.iter().filter_map(|(key, _)| StoredId::of_key(key.get(8..)?));
        ids.filter_map(|id| self.ending(id).transpose()).collect()
    }

    /// A message that is to end now, by hand or by time; `None` if there is none or it has ended.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails or the row cannot be read.
    pub fn ending(&self, id: StoredId) -> Result<Option<Ended>, MailboxError> {
        let Some(row) = self.rows.get(STORED, &id.key())? else { return Ok(None) };
        if decode_row::<StoredRow>(&row)?.0.milestones.ended.is_some() {
            return Ok(None);
        }
        let (row, stored) = open(&self.vault, &row)?;
        Ok(Some(Ended { id, milestones: row.milestones, stored, row, post_box: self.clone() }))
    }

    /// Messages nobody has read and whose sender has not been told so, deposited before `then`.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails or a row cannot be read.
    pub fn unread_since(&self, then: Time, limit: usize) -> Result<Vec<(StoredId, Stored, Time)>, MailboxError> {
        let rows = self.rows.range(EXPIRY, Bound::Unbounded, Bound::Unbounded, limit)?;
        let mut unread = Vec::new();
        for id in rows.iter().filter_map(|(key, _)| StoredId::of_key(key.get(8..)?)) {
            let Some(row) = self.rows.get(STORED, &id.key())? else { continue };
            let (clear, _): (StoredRow, _) = decode_row(&row)?;
            let marks = clear.milestones;
            if marks.opened.is_none()
                && marks.reminded.is_none()
                && marks.ended.is_none()
                && marks.noticed <= then.unix_ms()
            {
                unread.push((id, open(&self.vault, &row)?.1, Time::from_unix_ms(clear.expires)));
            }
        }
        Ok(unread)
    }

    /// Marks that the sender was told a message is unread, in the transaction that tells.
    ///
    /// # Errors
    /// [`StoreError`] if the message is gone or the medium fails.
    pub fn reminded(tx: &mut dyn Transaction, id: StoredId, now: Time) -> Result<(), StoreError> {
        mark(tx, id, |marks| marks.reminded = Some(now.unix_ms()))
    }

    /// Marks an answer, and keeps it for the outbox, in the transaction that promises it.
    ///
    /// # Errors
    /// [`MailboxError`] if the lock cannot be made.
    pub fn answering(
        &self,
        person: PersonId,
        sent: &Sent,
    ) -> Result<impl FnOnce(&mut dyn Transaction) -> Result<(), StoreError> + Send + use<>, MailboxError> {
        let locked = lock_value(&self.vault, sent)?;
        let row = encode_row(&locked.epoch, &locked.octets)?;
        let key = [&person.as_bytes()[..], sent.id.as_bytes()].concat();
        let (id, at) = (sent.answers, sent.sent);
        Ok(move |tx: &mut dyn Transaction| {
            mark(tx, id, |marks| marks.answered = Some(at))?;
            tx.put(SENT, &key, &row)
        })
    }
}

impl Ended {
    /// Ends the message: nobody can read it any more.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn write(self, tx: &mut dyn Transaction, now: Time, recalled: bool) -> Result<(), StoreError> {
        let mut row = self.row;
        let current = tx.get(STORED, &self.id.key())?.ok_or(StoreError::Conflict("the message is gone"))?;
        let (current, _): (StoredRow, _) = decode_row(&current)?;
        if current.milestones.ended.is_some() {
            return Err(StoreError::Conflict("the message has ended meanwhile"));
        }
        row.milestones = Milestones { ended: Some(now.unix_ms()), recalled, ..current.milestones };
        row.person = current.person;
        if let Some(body) = row.body.take() {
            self.post_box.bodies.release(tx, &body)?;
        }
        tx.delete(EXPIRY, &expiry_key(row.expires, self.id))?;
        tx.delete(BY_TOKEN, &row.token)?;
        tx.delete(UNCLAIMED, &unclaimed_key(&row.address, self.id))?;
        tx.delete(NEWS, &[&self.id.key()[..], b"o"].concat())?;
        if let Some(person) = row.person {
            tx.delete(BY_PERSON, &person_key(person, self.id))?;
        }
        tx.put(STORED, &self.id.key(), &encode_row(&row, &[])?)
    }
}

fn mark(tx: &mut dyn Transaction, id: StoredId, set: impl FnOnce(&mut Milestones)) -> Result<(), StoreError> {
    let row = tx.get(STORED, &id.key())?.ok_or(StoreError::Conflict("the message is gone"))?;
    let (mut clear, locked): (StoredRow, _) = decode_row(&row)?;
    set(&mut clear.milestones);
    tx.put(STORED, &id.key(), &encode_row(&clear, locked)?)
}
