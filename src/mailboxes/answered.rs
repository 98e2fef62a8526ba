//! Answers: each form is sent once; an answer marks its message and is kept for the outbox.

use std::ops::Bound;

use crate::mail::QueueId;
use crate::mailboxes::error::MailboxError;
use crate::mailboxes::person::PersonId;
use crate::mailboxes::post_box::PostBox;
use crate::mailboxes::stored::{Milestones, Sent, StoredId};
use crate::mailboxes::table::{FORMS, SENT, STORED, StoredRow, sent_key};
use crate::store::{StoreError, Transaction, decode_row, encode_row, lock_value};
use crate::vault::Token;

/// Rows taken out at a time.
const PAGE: usize = 1_000;

impl PostBox {
    /// The answer that was sent with a form, known by its token. None is known of a message that has ended.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn sent_with(&self, id: StoredId, form: &Token) -> Result<Option<QueueId>, MailboxError> {
        let row = self.rows.get(FORMS, &self.form_key(id, form))?;
        Ok(row.and_then(|row| row.try_into().ok()).map(QueueId::from_bytes))
    }

    /// An answer of a person's, while it is in their outbox.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails or the row cannot be read.
    pub fn sent_as(&self, person: PersonId, answer: QueueId) -> Result<Option<Sent>, MailboxError> {
        let row = self.rows.get(SENT, &sent_key(person, answer))?;
        row.map(|row| self.unlocked(&row)).transpose()
    }

    /// Marks an answer, keeps it for the outbox, and its form as sent, in the transaction that promises it. It comes
    /// first there: [`StoreError::Conflict`] if that form was sent before.
    ///
    /// # Errors
    /// [`MailboxError`] if the lock cannot be made.
    pub fn answering(
        &self,
        person: PersonId,
        sent: &Sent,
        form: &Token,
    ) -> Result<impl FnOnce(&mut dyn Transaction) -> Result<(), StoreError> + Send + use<>, MailboxError> {
        let locked = lock_value(&self.vault, sent)?;
        let row = encode_row(&locked.epoch, &locked.octets)?;
        let (key, form) = (sent_key(person, sent.id), self.form_key(sent.answers, form));
        let (id, answer, at) = (sent.answers, sent.id, sent.sent);
        Ok(move |tx: &mut dyn Transaction| {
            if tx.get(FORMS, &form)?.is_some() {
                return Err(StoreError::Conflict("this form was sent before"));
            }
            let marks = mark(tx, id, |marks| marks.answered = Some(at))?;
            // Nobody sends a form again once its message has ended, and nothing would take its row out.
            if marks.ended.is_none() {
                tx.put(FORMS, &form, answer.as_bytes())?;
            }
            tx.put(SENT, &key, &row)
        })
    }

    fn form_key(&self, id: StoredId, form: &Token) -> Vec<u8> {
        [&id.key()[..], &self.vault.index().hash("form", form.as_bytes())].concat()
    }
}

/// Takes out which forms were sent about a message, in the transaction that ends it.
pub(crate) fn forget_forms(tx: &mut dyn Transaction, id: StoredId) -> Result<(), StoreError> {
    let key = id.key();
    loop {
        let rows = tx.range(FORMS, Bound::Included(&key), Bound::Unbounded, PAGE)?;
        let of_it: Vec<Vec<u8>> =
            rows.into_iter().map(|(key, _)| key).take_while(|row| row.starts_with(&key)).collect();
        of_it.iter().try_for_each(|row| tx.delete(FORMS, row))?;
        if of_it.len() < PAGE {
            return Ok(());
        }
    }
}

/// Sets a milestone of a message.
pub(crate) fn mark(
    tx: &mut dyn Transaction,
    id: StoredId,
    set: impl FnOnce(&mut Milestones),
) -> Result<Milestones, StoreError> {
    let row = tx.get(STORED, &id.key())?.ok_or(StoreError::Conflict("the message is gone"))?;
    let (mut clear, locked): (StoredRow, _) = decode_row(&row)?;
    set(&mut clear.milestones);
    tx.put(STORED, &id.key(), &encode_row(&clear, locked)?)?;
    Ok(clear.milestones)
}
