//! Where answers go: what a sender once chose is remembered for that kind of recipient.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::flow::settings::Settings;
use crate::mail::{Address, ReversePath};
use crate::net::Time;
use crate::policy::{RecipientVerdict, Verdict};
use crate::store::{Change, RowsHandle, StoreError, Table, Transaction, pages};
use crate::vault::Vault;

/// Keyed hash of sender and kind of recipient → department's id.
const RETURNS: Table = Table("flow.returns");

/// Keyed hash of a `Message-ID` of ours → which department gets answers to it, and in whose place.
const ANSWERED_BY: Table = Table("flow.answered_by");
/// How long answers find their department.
const ANSWERED: Duration = Duration::from_secs(2 * 366 * 24 * 3600);

/// Where answers to one message go.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct AnsweredBy {
    /// The department's id.
    department: String,
    /// Keyed hash of the sender, in whose place it is.
    sender: [u8; 32],
    /// When it was sent, in milliseconds since 1970.
    sent: i64,
}

/// What kind of recipient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientClass {
    /// A person.
    Citizen,
    /// A company: the number it was addressed by says so.
    Business,
    /// Another organisation: there is a tunnel to its domain.
    Authority,
}

/// A return mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnMailbox {
    /// Its address.
    pub address: Address,
    /// The department's id, if it is one.
    pub department: Option<String>,
    /// The sender, a rule, or an earlier choice says so; else it is the usual one.
    pub is_chosen: bool,
}

/// What senders chose. Cheap to clone.
#[derive(Clone)]
pub struct Returns {
    rows: RowsHandle,
    vault: Vault,
}

impl RecipientClass {
    /// The kind of a recipient, by the number it is addressed by.
    #[must_use]
    pub fn of(recipient: &RecipientVerdict) -> Self {
        match &recipient.number {
            Some(number) if number.kind().is_organisation() => Self::Business,
            Some(_) | None => Self::Citizen,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Citizen => "citizen",
            Self::Business => "business",
            Self::Authority => "authority",
        }
    }
}

impl Returns {
    /// What senders chose, in these rows.
    #[must_use]
    pub fn new(rows: RowsHandle, vault: Vault) -> Self {
        Self { rows, vault }
    }

    /// The return mailbox for a recipient: directive, header or rule; else what was remembered; else the default
    /// department; else the sender. `None` only where there is not even a sender.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn mailbox(
        &self,
        settings: &Settings,
        verdict: &Verdict,
        sender: &ReversePath,
        class: RecipientClass,
    ) -> Result<Option<ReturnMailbox>, StoreError> {
        let chosen = verdict.return_to().map(str::to_owned);
        let remembered = match (&chosen, sender) {
            (None, ReversePath::Mailbox(sender)) => self.remembered(sender, class)?,
            (Some(_), _) | (None, ReversePath::Null) => None,
        };
        let by_id = |(id, is_chosen): (Option<String>, bool)| {
            let id = id?;
            let address = settings.departments.get(&id)?.address.clone();
            Some(ReturnMailbox { address, department: Some(id), is_chosen })
        };
        // A department that is gone falls through to the next in order.
        let in_order = [(chosen, true), (remembered, true), (settings.default_department.clone(), false)];
        let to_sender =
            |sender: &Address| ReturnMailbox { address: sender.untagged(), department: None, is_chosen: false };
        Ok(in_order.into_iter().find_map(by_id).or_else(|| sender.mailbox().map(to_sender)))
    }

    /// Remembers a sender's choice, in the transaction that follows it.
    #[must_use]
    pub fn remember(&self, sender: &Address, class: RecipientClass, department: &str) -> Change {
        let key = self.key(sender, class);
        let department = department.to_owned();
        Box::new(move |tx| tx.put(RETURNS, &key, department.as_bytes()))
    }

    /// Notes which department gets answers to a message of this `Message-ID`, in place of its sender; in the transaction
    /// that sends it.
    #[must_use]
    pub fn note_thread(&self, message_id: &str, sender: &Address, department: &str, now: Time) -> Change {
        let key = self.thread_key(message_id);
        let row =
            AnsweredBy { department: department.to_owned(), sender: self.sender_hash(sender), sent: now.unix_ms() };
        Box::new(move |tx| tx.put(ANSWERED_BY, &key, &serde_json::to_vec(&row).unwrap_or_default()))
    }

    /// The department that gets an answer to one of these messages in place of this address, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn of_thread(&self, message_ids: &[String], addressed: &Address) -> Result<Option<String>, StoreError> {
        for id in message_ids {
            let row = self.rows.get(ANSWERED_BY, &self.thread_key(id))?;
            let row = row.and_then(|row| serde_json::from_slice::<AnsweredBy>(&row).ok());
            if let Some(row) = row.filter(|row| row.sender == self.sender_hash(addressed)) {
                return Ok(Some(row.department));
            }
        }
        Ok(None)
    }

    /// Forgets threads that nobody answers any more.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn forget(&self, now: Time) -> Result<(), StoreError> {
        let oldest = now.before(ANSWERED).unix_ms();
        let is_over = |row: &[u8]| serde_json::from_slice::<AnsweredBy>(row).is_ok_and(|row| row.sent < oldest);
        for page in pages(&*self.rows, ANSWERED_BY) {
            let over: Vec<_> = page?.into_iter().filter(|(_, row)| is_over(row)).map(|(key, _)| key).collect();
            if !over.is_empty() {
                let change =
                    move |tx: &mut dyn Transaction| over.iter().try_for_each(|key| tx.delete(ANSWERED_BY, key));
                self.rows.commit(Box::new(change)).await?;
            }
        }
        Ok(())
    }

    fn thread_key(&self, message_id: &str) -> [u8; 32] {
        self.vault.index().hash("answered-by", message_id.as_bytes())
    }

    fn sender_hash(&self, sender: &Address) -> [u8; 32] {
        self.vault.index().hash("answered-by-sender", sender.untagged().folded().as_bytes())
    }

    fn remembered(&self, sender: &Address, class: RecipientClass) -> Result<Option<String>, StoreError> {
        let found = self.rows.get(RETURNS, &self.key(sender, class))?;
        Ok(found.and_then(|id| String::from_utf8(id).ok()))
    }

    fn key(&self, sender: &Address, class: RecipientClass) -> [u8; 32] {
        let value = format!("{}\0{}", sender.untagged().folded(), class.as_str());
        self.vault.index().hash("return", value.as_bytes())
    }
}
