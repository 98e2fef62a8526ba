//! The operator's look at the queue, and hand on it: list, show, retry, hold, release.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde::Serialize;

use crate::mail::QueueId;
use crate::net::{Clock, Time};
use crate::policy::lift_hold;
use crate::queue::error::QueueError;
use crate::queue::intake::PreparedItem;
use crate::queue::item::{Consignment, Ended, Item, RecipientState};
use crate::queue::settle::put_or_finish;
use crate::queue::table::{
    BY_MESSAGE_ID, CONSIGNMENTS, ConsignmentRow, DUE, INCOMING, ITEMS, ItemRow, Stage, consignment_key, due_key,
    incoming_key, open_consignment, open_item,
};
use crate::records::{Event, EventKind, Journal};
use crate::store::{Bodies, BodyRef, RowsHandle, StoreError, decode_row, encode_row, lock_value, pages};
use crate::vault::Vault;

/// Items listed at most.
const LISTED: usize = 10_000;

/// Looks at the queue and changes what waits in it. Cheap to clone.
#[derive(Clone)]
pub struct Inspector {
    rows: RowsHandle,
    bodies: Arc<Bodies>,
    vault: Vault,
    journal: Journal,
    clock: Clock,
}

/// One item as listings show it: the field names are those of the interface page.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// The item's id.
    pub id: QueueId,
    /// Where it stands.
    pub stage: Stage,
    /// Envelope sender; empty for the null path.
    pub sender: String,
    /// RFC 3339.
    pub created: String,
    /// RFC 3339.
    pub expires: String,
    /// Octets.
    pub size: u64,
    /// How far each recipient has come.
    pub recipients: Vec<ListedRecipient>,
}

/// One recipient as listings show it.
#[derive(Debug, Clone, Serialize)]
pub struct ListedRecipient {
    /// Where to.
    pub address: String,
    /// `waiting`, `deferred`, `delivered`, `failed` or `held`.
    pub state: &'static str,
    /// Attempts so far.
    pub attempts: u32,
    /// RFC 3339.
    pub next_attempt: Option<String>,
    /// What the next hop said last, or why it is held.
    pub last_reply: Option<String>,
}

/// How much waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Items by where they stand.
    pub items: BTreeMap<Stage, u64>,
    /// When the oldest of them was taken that waits for nobody's decision.
    pub oldest: Option<Time>,
}

impl Inspector {
    /// An inspector over these rows.
    #[must_use]
    pub fn new(rows: RowsHandle, bodies: Arc<Bodies>, vault: Vault, journal: Journal, clock: Clock) -> Self {
        Self { rows, bodies, vault, journal, clock }
    }

    /// Every item, oldest first, at most ten thousand.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails. What cannot be read is listed as corrupt.
    pub fn list(&self) -> Result<Vec<Listed>, QueueError> {
        let rows = self.rows.range(ITEMS, Bound::Unbounded, Bound::Unbounded, LISTED)?;
        rows.iter()
            .filter_map(|(key, row)| Some((QueueId::from_bytes(key.as_slice().try_into().ok()?), row)))
            .map(|(id, row)| self.listed(id, row))
            .collect()
    }

    /// One item.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails.
    pub fn show(&self, id: QueueId) -> Result<Listed, QueueError> {
        self.listed(id, &self.row(id)?)
    }

    /// The item as it stands, whatever became of its consignments.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails or the row cannot be read.
    pub fn item(&self, id: QueueId) -> Result<Item, QueueError> {
        Ok(open_item(&self.vault, id, &self.row(id)?)?.1)
    }

    /// The item and its consignments as they stand, for who wants to end it by hand.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails or a row cannot be read.
    pub fn item_and_consignments(&self, id: QueueId) -> Result<(Item, Vec<Consignment>), QueueError> {
        let (row, item) = open_item(&self.vault, id, &self.row(id)?)?;
        let consignments = self.consignments(id, &row)?.into_iter().map(|(_, c)| c).collect();
        Ok((item, consignments))
    }

    /// The kept octets of an item.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails.
    pub fn body(&self, id: QueueId) -> Result<BodyRef, QueueError> {
        let row = self.row(id)?;
        Ok(decode_row::<ItemRow>(&row)?.0.body)
    }

    /// The message that had this `Message-ID` (with angle brackets), in the queue or not.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails.
    pub fn find(&self, message_id: &str) -> Result<Option<QueueId>, QueueError> {
        let hash = self.vault.index().hash("message-id", message_id.as_bytes());
        let found = self.rows.get(BY_MESSAGE_ID, &hash)?;
        Ok(found.and_then(|id| id.try_into().ok()).map(QueueId::from_bytes))
    }

    /// Every item that waits for its time, and for nobody's decision: neither held nor set aside.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails.
    pub fn waiting(&self) -> Result<Vec<QueueId>, QueueError> {
        let mut waiting = Vec::new();
        for page in pages(&*self.rows, ITEMS) {
            let rows = page?.into_iter().filter(|(_, row)| {
                decode_row::<ItemRow>(row).is_ok_and(|(item, _)| !matches!(item.stage, Stage::Held | Stage::Corrupt))
            });
            waiting.extend(rows.filter_map(|(key, _)| key.try_into().ok().map(QueueId::from_bytes)));
        }
        Ok(waiting)
    }

    /// How much waits, now. Reads the clear part of every item's row.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails.
    pub fn census(&self) -> Result<Census, QueueError> {
        let mut census = Census::default();
        for page in pages(&*self.rows, ITEMS) {
            for (_, row) in page? {
                let Ok((item, _)) = decode_row::<ItemRow>(&row) else {
                    *census.items.entry(Stage::Corrupt).or_default() += 1;
                    continue;
                };
                *census.items.entry(item.stage).or_default() += 1;
                if !matches!(item.stage, Stage::Held | Stage::Corrupt) {
                    let created = Time::from_unix_ms(item.created);
                    census.oldest = Some(census.oldest.map_or(created, |oldest| oldest.min(created)));
                }
            }
        }
        Ok(census)
    }

    /// Whether an item waits for a person's decision.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails.
    pub fn is_held(&self, id: QueueId) -> Result<bool, QueueError> {
        Ok(decode_row::<ItemRow>(&self.row(id)?)?.0.stage == Stage::Held)
    }

    /// Whether anything of an item waits for a person's decision.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails.
    pub fn holds(&self, id: QueueId) -> Result<bool, QueueError> {
        let (row, _): (ItemRow, _) = decode_row(&self.row(id)?)?;
        Ok(row.stage == Stage::Held || row.held > 0)
    }

    /// Makes everything of this item that waits for its time due now.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails.
    pub async fn retry(&self, id: QueueId) -> Result<(), QueueError> {
        self.reschedule(id, Some(self.clock.now()), None).await
    }

    /// Stops every attempt for this item until it is released.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails.
    pub async fn hold(&self, id: QueueId) -> Result<(), QueueError> {
        let event = Event::new(EventKind::Held).about(id).detail("held by the operator");
        self.reschedule(id, None, Some(event)).await
    }

    /// Lets a held item go: what the operator held is due now; where a rule held a recipient, the hold alone is
    /// lifted and the next strongest protection applies.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails.
    pub async fn release(&self, id: QueueId) -> Result<(), QueueError> {
        let (mut row, mut item) = open_item(&self.vault, id, &self.row(id)?)?;
        let now = self.clock.now();
        if item.states.iter().any(|state| matches!(state, RecipientState::Held { .. })) {
            for (place, state) in item.states.iter_mut().enumerate() {
                if matches!(state, RecipientState::Held { .. }) {
                    item.verdict = lift_hold(&item.verdict, place);
                    *state = RecipientState::Waiting;
                }
            }
            let locked = lock_value(&self.vault, &item).map_err(|fault| QueueError::of(fault, id))?;
            let before = row.clone();
            row.held = 0;
            row.waiting =
                u16::try_from(item.states.iter().filter(|state| state.is_waiting()).count()).unwrap_or(u16::MAX);
            row.epoch = locked.epoch;
            row.stage = Stage::Incoming;
            row.due = Some(now.unix_ms());
            self.rows
                .commit(Box::new(move |tx| {
                    let (current, _): (ItemRow, _) =
                        decode_row(&tx.get(ITEMS, id.as_bytes())?.ok_or(StoreError::Conflict("the item is gone"))?)?;
                    if current.due != before.due || current.made != before.made {
                        return Err(StoreError::Conflict("the item was changed meanwhile"));
                    }
                    row.open = current.open;
                    if let Some(due) = before.due {
                        tx.delete(INCOMING, &incoming_key(due, id))?;
                    }
                    tx.put(INCOMING, &incoming_key(now.unix_ms(), id), &[])?;
                    tx.put(ITEMS, id.as_bytes(), &encode_row(&row, &locked.octets)?)
                }))
                .await?;
        }
        let event = Event::new(EventKind::Released).about(id).detail("released by the operator");
        self.reschedule(id, Some(now), Some(event)).await
    }

    /// Gives an item up: everything of it goes out, with the reports that tell its sender, in one transaction.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails.
    pub async fn remove(&self, id: QueueId, reports: Vec<PreparedItem>, event: Event) -> Result<(), QueueError> {
        self.row(id)?;
        let entry = self.journal.entry(event)?;
        let bodies = Arc::clone(&self.bodies);
        self.rows
            .commit(Box::new(move |tx| {
                let row = tx.get(ITEMS, id.as_bytes())?.ok_or(StoreError::Conflict("the item is gone"))?;
                let (mut item, locked): (ItemRow, _) = decode_row(&row)?;
                if let Some(due) = item.due.take() {
                    tx.delete(INCOMING, &incoming_key(due, id))?;
                }
                for number in 0..item.made {
                    if let Some(row) = tx.get(CONSIGNMENTS, &consignment_key(id, number))?
                        && let Some(due) = decode_row::<ConsignmentRow>(&row)?.0.due
                    {
                        tx.delete(DUE, &due_key(due, id, number))?;
                    }
                }
                (item.open, item.held, item.waiting, item.stage) = (0, 0, 0, Stage::Active);
                put_or_finish(tx, &bodies, id, &item, locked)?;
                reports.into_iter().try_for_each(|report| report.write(tx))?;
                entry.write(tx)
            }))
            .await?;
        Ok(())
    }

    /// Moves every consignment that has not ended (and the item, while incoming) to a time, or to no time.
    async fn reschedule(&self, id: QueueId, at: Option<Time>, event: Option<Event>) -> Result<(), QueueError> {
        self.row(id)?;
        let entry = event.map(|event| self.journal.entry(event)).transpose()?;
        self.rows
            .commit(Box::new(move |tx| {
                let row = tx.get(ITEMS, id.as_bytes())?.ok_or(StoreError::Conflict("the item is gone"))?;
                let (mut item, item_locked): (ItemRow, _) = decode_row(&row)?;
                let mut moved = Vec::new();
                for number in 0..item.made {
                    let key = consignment_key(id, number);
                    let Some(row) = tx.get(CONSIGNMENTS, &key)? else { continue };
                    let (row, locked): (ConsignmentRow, _) = decode_row(&row)?;
                    if !row.ended {
                        moved.push((number, row, locked.to_vec()));
                    }
                }
                for (number, mut row, locked) in moved {
                    if let Some(due) = row.due {
                        tx.delete(DUE, &due_key(due, id, number))?;
                    }
                    row.due = at.map(Time::unix_ms);
                    if let Some(due) = row.due {
                        tx.put(DUE, &due_key(due, id, number), &[])?;
                    }
                    tx.put(CONSIGNMENTS, &consignment_key(id, number), &encode_row(&row, &locked)?)?;
                }
                if let Some(due) = item.due.take() {
                    tx.delete(INCOMING, &incoming_key(due, id))?;
                }
                if let Some(at) = at.filter(|_| item.waiting > 0) {
                    tx.put(INCOMING, &incoming_key(at.unix_ms(), id), &[])?;
                    item.due = Some(at.unix_ms());
                }
                item.stage = match at {
                    None => Stage::Held,
                    Some(_) if item.due.is_some() => Stage::Incoming,
                    Some(_) if item.open > 0 => Stage::Active,
                    Some(_) => Stage::Held,
                };
                tx.put(ITEMS, id.as_bytes(), &encode_row(&item, item_locked)?)?;
                entry.map_or(Ok(()), |entry| entry.write(tx))
            }))
            .await?;
        Ok(())
    }

    fn row(&self, id: QueueId) -> Result<Vec<u8>, QueueError> {
        self.rows.get(ITEMS, id.as_bytes())?.ok_or_else(|| QueueError::NoSuchItem(id.to_string()))
    }

    fn consignments(&self, id: QueueId, row: &ItemRow) -> Result<Vec<(ConsignmentRow, Consignment)>, QueueError> {
        let mut found = Vec::new();
        for number in 0..row.made {
            if let Some(row) = self.rows.get(CONSIGNMENTS, &consignment_key(id, number))? {
                found.push(open_consignment(&self.vault, id, &row)?);
            }
        }
        Ok(found)
    }

    fn listed(&self, id: QueueId, row: &[u8]) -> Result<Listed, QueueError> {
        let (clear, _): (ItemRow, _) = decode_row(row)?;
        let mut listed = Listed {
            id,
            stage: clear.stage,
            sender: String::new(),
            created: Time::from_unix_ms(clear.created).rfc3339(),
            expires: Time::from_unix_ms(clear.expires).rfc3339(),
            size: clear.size,
            recipients: Vec::new(),
        };
        let Ok((_, item)) = open_item(&self.vault, id, row) else {
            listed.stage = Stage::Corrupt;
            return Ok(listed);
        };
        listed.sender = item.envelope.sender.mailbox().map(ToString::to_string).unwrap_or_default();
        for (state, recipient) in item.states.iter().zip(&item.envelope.recipients) {
            let (state, reply) = match state {
                RecipientState::Waiting if clear.stage == Stage::Held => ("held", None),
                RecipientState::Waiting => ("waiting", None),
                RecipientState::Delayed { reason } if clear.stage == Stage::Held => ("held", Some(reason.clone())),
                RecipientState::Delayed { reason } => ("deferred", Some(reason.clone())),
                RecipientState::Held { reason } => ("held", Some(reason.clone())),
                RecipientState::Deposited => ("delivered", None),
                RecipientState::Refused => ("failed", None),
                RecipientState::Consigned(_) => continue,
            };
            let next = clear
                .due
                .filter(|_| matches!(state, "waiting" | "deferred"))
                .map(|due| Time::from_unix_ms(due).rfc3339());
            listed.recipients.push(ListedRecipient {
                address: recipient.address.to_string(),
                state,
                attempts: clear.attempts,
                next_attempt: next,
                last_reply: reply,
            });
        }
        for (row, consignment) in self.consignments(id, &clear).unwrap_or_default() {
            listed.recipients.extend(consigned(&row, &consignment, clear.stage));
        }
        Ok(listed)
    }
}

fn consigned(row: &ConsignmentRow, consignment: &Consignment, stage: Stage) -> Vec<ListedRecipient> {
    let recipients = consignment.outgoing.envelope().recipients.iter().zip(&consignment.progress);
    recipients
        .map(|(recipient, progress)| ListedRecipient {
            address: recipient.address.to_string(),
            state: match progress.ended {
                Some(Ended::Delivered) => "delivered",
                Some(Ended::Failed) => "failed",
                None if stage == Stage::Held => "held",
                None if row.attempts > 0 => "deferred",
                None => "waiting",
            },
            attempts: row.attempts,
            next_attempt: row.due.filter(|_| progress.ended.is_none()).map(|due| Time::from_unix_ms(due).rfc3339()),
            last_reply: progress.last_reply.clone(),
        })
        .collect()
}
