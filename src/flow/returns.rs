//! Where answers go: what a sender once chose is remembered for that kind of recipient.

use crate::flow::settings::Settings;
use crate::mail::{Address, ReversePath};
use crate::policy::{RecipientVerdict, Verdict};
use crate::store::{Change, RowsHandle, StoreError, Table};
use crate::vault::Vault;

/// Keyed hash of sender and kind of recipient → department's id.
const RETURNS: Table = Table("flow.returns");

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

    fn remembered(&self, sender: &Address, class: RecipientClass) -> Result<Option<String>, StoreError> {
        let found = self.rows.get(RETURNS, &self.key(sender, class))?;
        Ok(found.and_then(|id| String::from_utf8(id).ok()))
    }

    fn key(&self, sender: &Address, class: RecipientClass) -> [u8; 32] {
        let value = format!("{}\0{}", sender.untagged().folded(), class.as_str());
        self.vault.index().hash("return", value.as_bytes())
    }
}
