//! What a person has begun to write: one draft for each message. A draft never expires before its message.

use serde::{Deserialize, Serialize};

use crate::mailboxes::error::MailboxError;
use crate::mailboxes::person::PersonId;
use crate::mailboxes::post_box::PostBox;
use crate::mailboxes::stored::StoredId;
use crate::mailboxes::table::{DRAFTS, person_key};
use crate::store::{BodyRef, PreparedBody, Transaction, encode_row, lock_value};

/// An answer that is not sent yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Subject.
    pub subject: String,
    /// Text.
    pub text: String,
    /// Files, locked as they were uploaded.
    pub files: Vec<DraftFile>,
    /// When it was saved last, milliseconds since 1970.
    pub saved: i64,
}

/// A file of a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftFile {
    /// Its name as uploaded, without any folder.
    pub name: String,
    /// Its media type by content.
    pub media_type: String,
    /// Its locked octets.
    pub body: BodyRef,
}

impl PostBox {
    /// The draft of an answer to a message.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails or the row cannot be read.
    pub fn draft(&self, person: PersonId, id: StoredId) -> Result<Option<Draft>, MailboxError> {
        let Some(row) = self.rows.get(DRAFTS, &person_key(person, id))? else { return Ok(None) };
        self.unlocked(&row).map(Some)
    }

    /// A person's drafts, newest first.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn drafts(&self, person: PersonId) -> Result<Vec<(StoredId, Draft)>, MailboxError> {
        let mut drafts = Vec::new();
        for (key, row) in self.newest_of(DRAFTS, person)? {
            let Some(id) = key.get(16..).and_then(StoredId::of_key) else { continue };
            let draft = self.unless_damaged(DRAFTS, &key, Some(id.message), self.unlocked(&row))?;
            drafts.extend(draft.map(|draft| (id, draft)));
        }
        drafts.sort_by_key(|(_, draft): &(StoredId, Draft)| std::cmp::Reverse(draft.saved));
        Ok(drafts)
    }

    /// Saves a draft: `added` are the bodies of files that stand in it for the first time, `removed` those of files that
    /// stand in it no more.
    ///
    /// # Errors
    /// [`MailboxError`] if a file of it is gone meanwhile, or the medium fails.
    pub async fn save_draft(
        &self,
        person: PersonId,
        id: StoredId,
        mut draft: Draft,
        added: Vec<PreparedBody>,
        removed: Vec<BodyRef>,
    ) -> Result<(), MailboxError> {
        draft.saved = self.clock.now().unix_ms();
        let locked = lock_value(&self.vault, &draft)?;
        let row = encode_row(&locked.epoch, &locked.octets)?;
        let bodies = self.bodies.clone();
        let new: Vec<u128> = added.iter().map(|body| body.body_ref().id).collect();
        let kept: Vec<BodyRef> = draft.files.into_iter().map(|file| file.body).collect();
        let change = move |tx: &mut dyn Transaction| {
            // Another window, or the end of an epoch, may have put other bodies in their place.
            kept.iter().filter(|body| !new.contains(&body.id)).try_for_each(|body| bodies.is_there(tx, body))?;
            for mut body in added {
                body.record(tx)?;
            }
            removed.iter().try_for_each(|body| bodies.release(tx, body))?;
            tx.put(DRAFTS, &person_key(person, id), &row)
        };
        Ok(self.rows.commit(Box::new(change)).await?)
    }

    /// Throws a draft away with its files.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub async fn discard_draft(&self, person: PersonId, id: StoredId) -> Result<(), MailboxError> {
        let files = self.draft(person, id)?.map(|draft| draft.files).unwrap_or_default();
        let bodies = self.bodies.clone();
        let change = move |tx: &mut dyn Transaction| {
            if tx.get(DRAFTS, &person_key(person, id))?.is_none() {
                return Ok(());
            }
            files.iter().try_for_each(|file| bodies.release(tx, &file.body))?;
            tx.delete(DRAFTS, &person_key(person, id))
        };
        Ok(self.rows.commit(Box::new(change)).await?)
    }

    /// Takes a draft's row out, in the transaction that sends it; its files' bodies are released there too.
    ///
    /// # Errors
    /// [`crate::store::StoreError`] if the medium fails.
    pub fn draft_sent(
        tx: &mut dyn Transaction,
        person: PersonId,
        id: StoredId,
    ) -> Result<(), crate::store::StoreError> {
        tx.delete(DRAFTS, &person_key(person, id))
    }
}
