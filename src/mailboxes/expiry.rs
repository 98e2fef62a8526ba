//! The end of a message's time: its body is released, and what described it is taken out of its row.

use std::ops::Bound;

use async_trait::async_trait;

use crate::mail::QueueId;
use crate::mailboxes::answered::{forget_forms, mark};
use crate::mailboxes::error::MailboxError;
use crate::mailboxes::post_box::PostBox;
use crate::mailboxes::stored::{Milestones, Stored, StoredId};
use crate::mailboxes::table::{
    BY_PERSON, BY_TOKEN, EXPIRY, NEWS, STORED, StoredRow, UNCLAIMED, UNREAD, expiry_key, open, person_key, sortable,
    unclaimed_key, unread_key,
};
use crate::net::Time;
use crate::store::{StoreError, Table, Transaction, decode_row, encode_row};

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
    /// What was known of it; `None` where nobody can read it.
    pub stored: Option<Stored>,
    row: StoredRow,
    post_box: PostBox,
}

impl PostBox {
    /// Messages whose time is over at `now`, oldest first.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn due(&self, now: Time, limit: usize) -> Result<Vec<Ended>, MailboxError> {
        self.until(EXPIRY, now, limit, |id| self.ending(id))
    }

    /// What is made of the messages that a table lists by time, up to a moment, oldest first, until so many are found.
    fn until<T>(
        &self,
        table: Table,
        then: Time,
        limit: usize,
        make: impl Fn(StoredId) -> Result<Option<T>, MailboxError>,
    ) -> Result<Vec<T>, MailboxError> {
        let to = sortable(then.unix_ms().saturating_add(1));
        let (mut made, mut from) = (Vec::new(), Vec::new());
        while made.len() < limit {
            let rows = self.rows.range(table, Bound::Excluded(&from), Bound::Excluded(&to), limit)?;
            let Some((last, _)) = rows.last() else { break };
            from.clone_from(last);
            for id in rows.iter().filter_map(|(key, _)| StoredId::of_key(key.get(8..)?)) {
                made.extend(self.unless_damaged(STORED, &id.key(), Some(id.message), make(id))?.flatten());
            }
        }
        Ok(made)
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
        let (clear, _): (StoredRow, _) = decode_row(&row)?;
        // What nobody can read ends by its clear part, to the minute like everything else.
        let read = open(&self.vault, &row).map(|(_, stored)| stored);
        let stored = self.unless_damaged(STORED, &id.key(), Some(id.message), read)?;
        Ok(Some(Ended { id, milestones: clear.milestones, stored, row: clear, post_box: self.clone() }))
    }

    /// Messages nobody has read and whose sender has not been told so, deposited before `then`.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn unread_since(&self, then: Time, limit: usize) -> Result<Vec<(StoredId, Stored, Time)>, MailboxError> {
        self.until(UNREAD, then, limit, |id| {
            let Some(row) = self.rows.get(STORED, &id.key())? else { return Ok(None) };
            let (clear, stored) = open(&self.vault, &row)?;
            Ok(Some((id, stored, Time::from_unix_ms(clear.expires))))
        })
    }

    /// Marks that the sender was told a message is unread, in the transaction that tells.
    ///
    /// # Errors
    /// [`StoreError`] if the message is gone or the medium fails.
    pub fn reminded(tx: &mut dyn Transaction, id: StoredId, now: Time) -> Result<(), StoreError> {
        let noticed = mark(tx, id, |marks| marks.reminded = Some(now.unix_ms()))?.noticed;
        tx.delete(UNREAD, &unread_key(noticed, id))
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
        tx.delete(UNREAD, &unread_key(row.milestones.noticed, self.id))?;
        tx.delete(BY_TOKEN, &row.token)?;
        tx.delete(UNCLAIMED, &unclaimed_key(&row.address, self.id))?;
        tx.delete(NEWS, &[&self.id.key()[..], b"o"].concat())?;
        forget_forms(tx, self.id)?;
        if let Some(person) = row.person {
            tx.delete(BY_PERSON, &person_key(person, self.id))?;
        }
        tx.put(STORED, &self.id.key(), &encode_row(&row, &[])?)
    }
}
