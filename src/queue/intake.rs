//! The promise: an item, its body, its first consignments and its events, in one transaction.

use crate::mail::QueueId;
use crate::net::Time;
use crate::queue::error::QueueError;
use crate::queue::index;
use crate::queue::item::{Consignment, Item, RecipientState};
use crate::queue::table::{
    BY_MESSAGE_ID, CONSIGNMENTS, ConsignmentRow, Delay, INCOMING, ITEMS, ItemRow, Stage, consignment_key, due_key,
    incoming_key,
};
use crate::records::Entry;
use crate::sealing::Outgoing;
use crate::store::{BodyRef, PreparedBody, StoreError, Transaction, encode_row, lock_value};
use crate::vault::Vault;

/// A message about to be promised.
pub struct NewItem {
    /// Its id.
    pub id: QueueId,
    /// What was taken and how it was judged.
    pub item: Item,
    /// Its kept octets.
    pub body: PreparedBody,
    /// When it was taken.
    pub created: Time,
    /// When to give up.
    pub expires: Time,
    /// What can leave at once, because serving it needed no look-up. Their recipients' states are *consigned* already.
    pub outgoings: Vec<Outgoing>,
    /// What happened.
    pub entries: Vec<Entry>,
}

/// The same, locked and ready to be written.
pub struct PreparedItem {
    id: QueueId,
    item_row: ItemRow,
    item_locked: Vec<u8>,
    body: PreparedBody,
    consignments: Vec<(ConsignmentRow, Vec<u8>)>,
    message_id: Option<(String, [u8; 32])>,
    entries: Vec<Entry>,
}

impl NewItem {
    /// Locks what describes the message.
    ///
    /// # Errors
    /// [`QueueError`] if the lock cannot be made.
    pub fn prepare(self, vault: &Vault) -> Result<PreparedItem, QueueError> {
        let item_locked = lock_value(vault, &self.item).map_err(|fault| QueueError::of(fault, self.id))?;
        let created = self.created.unix_ms();
        let consignments = lock_consignments(vault, self.id, self.outgoings, self.created, self.expires)?;
        let waiting = self.item.states.iter().filter(|state| state.is_waiting()).count();
        let held = self.item.states.iter().filter(|s| matches!(s, RecipientState::Held { .. })).count();
        let made = u16::try_from(consignments.len()).map_err(|_| StoreError::Conflict("too many consignments"))?;
        let item_row = ItemRow {
            stage: if waiting > 0 { Stage::Incoming } else { Stage::Active },
            created,
            expires: self.expires.unix_ms(),
            size: self.body.body_ref().plain_length,
            attempts: 0,
            due: (waiting > 0).then_some(created),
            waiting: u16::try_from(waiting).unwrap_or(u16::MAX),
            open: made,
            made,
            held: u16::try_from(held).unwrap_or(u16::MAX),
            untold: 0,
            tell_at: None,
            delay: Delay::NotYet,
            domains: index::domains_of(vault, &self.item.envelope),
            body: self.body.body_ref().clone(),
            sealed: Vec::new(),
            epoch: item_locked.epoch,
        };
        Ok(PreparedItem {
            id: self.id,
            item_row,
            item_locked: item_locked.octets,
            body: self.body,
            consignments,
            message_id: self
                .item
                .summary
                .message_id
                .as_ref()
                .map(|id| (id.clone(), vault.index().hash("message-id", id.as_bytes()))),
            entries: self.entries,
        })
    }
}

impl PreparedItem {
    /// The item's id.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Its `Message-ID`, with angle brackets.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.message_id.as_ref().map(|(text, _)| text.as_str())
    }

    /// The kept octets.
    #[must_use]
    pub fn body_ref(&self) -> &BodyRef {
        self.body.body_ref()
    }

    /// Writes everything: after the commit, the message is ours to deliver or report.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn write(mut self, tx: &mut dyn Transaction) -> Result<(), StoreError> {
        self.body.record(tx)?;
        if let Some(due) = self.item_row.due {
            tx.put(INCOMING, &incoming_key(due, self.id), &[])?;
        }
        if let Some((_, hash)) = self.message_id {
            tx.put(BY_MESSAGE_ID, &hash, self.id.as_bytes())?;
        }
        index::enter(tx, self.id, &self.item_row)?;
        tx.put(ITEMS, self.id.as_bytes(), &encode_row(&self.item_row, &self.item_locked)?)?;
        write_consignments(tx, self.id, 0, self.consignments)?;
        self.entries.into_iter().try_for_each(|entry| entry.write(tx))
    }
}

pub(crate) fn lock_consignments(
    vault: &Vault,
    id: QueueId,
    outgoings: Vec<Outgoing>,
    now: Time,
    expires: Time,
) -> Result<Vec<(ConsignmentRow, Vec<u8>)>, QueueError> {
    outgoings
        .into_iter()
        .map(|outgoing| {
            let hop = outgoing.next_hop();
            let locked = lock_value(vault, &Consignment::new(outgoing)).map_err(|fault| QueueError::of(fault, id))?;
            let row = ConsignmentRow {
                created: now.unix_ms(),
                expires: expires.unix_ms(),
                hop,
                due: Some(now.unix_ms()),
                attempts: 0,
                ended: false,
                epoch: locked.epoch,
            };
            Ok((row, locked.octets))
        })
        .collect()
}

pub(crate) fn write_consignments(
    tx: &mut dyn Transaction,
    id: QueueId,
    first: u16,
    rows: Vec<(ConsignmentRow, Vec<u8>)>,
) -> Result<(), StoreError> {
    for (number, (row, locked)) in (first..).zip(rows) {
        if let Some(due) = row.due {
            tx.put(row.line(), &due_key(due, id, number), &[])?;
        }
        tx.put(CONSIGNMENTS, &consignment_key(id, number), &encode_row(&row, &locked)?)?;
    }
    Ok(())
}
