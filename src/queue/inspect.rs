//! The operator's look at the queue, and hand on it: list, show, retry, hold, release.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::mail::{Domain, QueueId};
use crate::net::{Clock, Time};
use crate::policy::lift_hold;
use crate::queue::error::QueueError;
use crate::queue::index::{self, APART, BY_DOMAIN, domain_hash};
use crate::queue::intake::PreparedItem;
use crate::queue::item::{Consignment, Item, RecipientState};
use crate::queue::listed::Listed;
use crate::queue::remains;
use crate::queue::settle::put_or_finish;
use crate::queue::table::{
    BY_MESSAGE_ID, CONSIGNMENTS, ConsignmentRow, INCOMING, ITEMS, ItemRow, Stage, consignment_key, due_key,
    incoming_key, open_consignment, open_item,
};
use crate::queue::untold::{self, Untold};
use crate::records::{Event, EventKind, Journal};
use crate::store::{Bodies, BodyRef, RowsHandle, StoreError, Transaction, decode_row, encode_row, lock_value};
use crate::vault::Vault;

/// Items on one page of a listing, recipients on it, and rows looked at for it.
const LISTED: usize = 1_000;
const RECIPIENTS: usize = 10_000;
const LOOKED_AT: usize = 20_000;
/// Rows read at a time.
const AT_A_TIME: usize = 100;
/// Items moved at the same time: they share a sync.
const TOGETHER: usize = 256;

/// Looks at the queue and changes what waits in it. Cheap to clone.
#[derive(Clone)]
pub struct Inspector {
    rows: RowsHandle,
    bodies: Arc<Bodies>,
    vault: Vault,
    journal: Journal,
    clock: Clock,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Items with a recipient of this domain.
    pub to: Option<Domain>,
    /// Items that stand here.
    pub stage: Option<Stage>,
    /// Items behind this one.
    pub after: Option<QueueId>,
    /// Items at most.
    pub limit: Option<usize>,
}

/// A part of a listing.
#[derive(Debug)]
pub struct Page {
    /// Oldest first.
    pub items: Vec<Listed>,
    /// What to list behind to go on; nothing if this was all.
    pub next: Option<QueueId>,
}

/// What waits for its time, and how much for a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// What waits for its time, oldest first.
    pub ids: Vec<QueueId>,
    /// Items that are held.
    pub held: u64,
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

    /// A page of the items that pass a filter, oldest first.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails. What cannot be read is listed as corrupt.
    pub fn list(&self, filter: &Filter) -> Result<Page, QueueError> {
        let limit = filter.limit.unwrap_or(LISTED).min(LISTED);
        let (mut page, mut recipients, mut looked_at) = (Page { items: Vec::new(), next: None }, 0, 0);
        for id in self.candidates(filter) {
            let id = id?;
            if page.items.len() >= limit || recipients >= RECIPIENTS || looked_at >= LOOKED_AT {
                return Ok(page);
            }
            page.next = Some(id);
            looked_at += 1;
            let Some(row) = self.rows.get(ITEMS, id.as_bytes())? else { continue };
            let stands = decode_row::<ItemRow>(&row).map_or(Stage::Corrupt, |(row, _)| row.stage);
            if filter.stage.is_some_and(|stage| stage != stands) {
                continue;
            }
            let listed = self.listed(id, &row)?;
            recipients += listed.recipients.len();
            page.items.push(listed);
        }
        page.next = None;
        Ok(page)
    }

    /// Ids of what may pass a filter, oldest first: by the index that leaves out most.
    fn candidates(&self, filter: &Filter) -> impl Iterator<Item = Result<QueueId, QueueError>> {
        let (table, prefix) = match (&filter.to, filter.stage.filter(|stage| index::is_apart(*stage))) {
            (Some(domain), _) => (BY_DOMAIN, domain_hash(&self.vault, domain).to_be_bytes().to_vec()),
            (None, Some(stage)) => (APART, vec![index::place(stage)]),
            (None, None) => (ITEMS, Vec::new()),
        };
        let behind = [&prefix[..], filter.after.map_or([0; 16], |id| *id.as_bytes()).as_slice()].concat();
        let last = [&prefix[..], [u8::MAX; 16].as_slice()].concat();
        let rows = Arc::clone(&self.rows);
        let mut from = Some(behind);
        std::iter::from_fn(move || {
            let start = from.take()?;
            let (start, end) = (Bound::Excluded(start.as_slice()), Bound::Included(last.as_slice()));
            let read = rows.keys(table, start, end, AT_A_TIME);
            from = read.as_ref().ok().and_then(|keys| keys.last().cloned());
            Some(read)
        })
        .flat_map(|read| {
            let (keys, fault) = match read {
                Ok(keys) => (keys, None),
                Err(fault) => (Vec::new(), Some(Err(QueueError::from(fault)))),
            };
            let id = |key: Vec<u8>| Some(QueueId::from_bytes(*key.last_chunk::<16>()?));
            keys.into_iter().filter_map(id).map(Ok).chain(fault)
        })
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

    /// What its sender is still to be told, for who ends it by hand.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails or a row cannot be read.
    pub fn untold(&self, id: QueueId) -> Result<Untold, QueueError> {
        Ok(untold::of(&*self.rows, &self.vault, id)?.1)
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

    /// Every item that waits for its time, and for nobody's decision: neither held nor set aside; and how many are held. With
    /// a domain, those that have a recipient there.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails.
    pub fn waiting(&self, to: Option<&Domain>) -> Result<Waiting, QueueError> {
        let mut waiting = Waiting::default();
        for id in self.candidates(&Filter { to: to.cloned(), ..Filter::default() }) {
            let id = id?;
            let Some(row) = self.rows.get(ITEMS, id.as_bytes())? else { continue };
            match decode_row::<ItemRow>(&row) {
                Ok((item, _)) if item.stage == Stage::Held => waiting.held += 1,
                Ok((item, _)) if !index::is_apart(item.stage) => waiting.ids.push(id),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(waiting)
    }

    /// How much waits, now.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails.
    pub fn census(&self) -> Result<Census, QueueError> {
        let items = index::counts(&*self.rows)?;
        let mut oldest = None;
        for id in self.candidates(&Filter::default()) {
            let id = id?;
            let Some(row) = self.rows.get(ITEMS, id.as_bytes())? else { continue };
            if let Ok((item, _)) = decode_row::<ItemRow>(&row)
                && !index::is_apart(item.stage)
            {
                oldest = Some(Time::from_unix_ms(item.created));
                break;
            }
        }
        Ok(Census { items, oldest })
    }

    /// How many items there are, at all stages.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails.
    pub fn count(&self) -> Result<u64, QueueError> {
        Ok(index::counts(&*self.rows)?.values().sum())
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
        self.reschedule(id, Some(self.clock.now()), None, None).await
    }

    /// The same for many items, with a domain for what of them goes there alone. What ended meanwhile is passed over.
    /// The answer is how many were made due.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails.
    pub async fn retry_all(&self, ids: &[QueueId], to: Option<&Domain>) -> Result<u64, QueueError> {
        let now = self.clock.now();
        let mut retried = 0;
        for together in ids.chunks(TOGETHER) {
            for outcome in join_all(together.iter().map(|id| self.reschedule(*id, Some(now), None, to))).await {
                match outcome {
                    Ok(()) => retried += 1,
                    Err(fault) if fault.is_conflict() || matches!(fault, QueueError::NoSuchItem(_)) => {}
                    // It is found, and set aside, when it is due.
                    Err(fault) if fault.is_damage() => {}
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(retried)
    }

    /// Stops every attempt for this item until it is released.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails.
    pub async fn hold(&self, id: QueueId) -> Result<(), QueueError> {
        let event = Event::new(EventKind::Held).about(id).detail("held by the operator");
        self.reschedule(id, None, Some(event), None).await
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
                    row.take_over(&current);
                    if let Some(due) = before.due {
                        tx.delete(INCOMING, &incoming_key(due, id))?;
                    }
                    tx.put(INCOMING, &incoming_key(now.unix_ms(), id), &[])?;
                    index::moved(tx, id, Some(current.stage), Some(row.stage))?;
                    tx.put(ITEMS, id.as_bytes(), &encode_row(&row, &locked.octets)?)
                }))
                .await?;
        }
        let event = Event::new(EventKind::Released).about(id).detail("released by the operator");
        self.reschedule(id, Some(now), Some(event), None).await
    }

    /// Gives an item up: everything of it goes out, with the reports that tell its sender, in one transaction. So also one
    /// whose rows cannot be decoded; of the body of such a one a file may stay that only its locked octets fill.
    ///
    /// # Errors
    /// [`QueueError::NoSuchItem`], or if the medium fails.
    pub async fn remove(&self, id: QueueId, reports: Vec<PreparedItem>, event: Event) -> Result<(), QueueError> {
        let row = self.row(id)?;
        let entry = self.journal.entry(event)?;
        let bodies = Arc::clone(&self.bodies);
        if !self.can_be_decoded(id, &row)? {
            let kept = self.bodies_of_damaged(id, &row)?;
            let clear = move |tx: &mut dyn Transaction| {
                if tx.get(ITEMS, id.as_bytes())?.is_none_or(|current| current != row) {
                    return Err(StoreError::Conflict("the item was changed meanwhile"));
                }
                remains::clear(tx, &bodies, id, &kept)?;
                reports.into_iter().try_for_each(|report| report.write(tx))?;
                entry.write(tx)
            };
            return Ok(self.rows.commit(Box::new(clear)).await?);
        }
        self.rows
            .commit(Box::new(move |tx| {
                let row = tx.get(ITEMS, id.as_bytes())?.ok_or(StoreError::Conflict("the item is gone"))?;
                let (mut item, locked): (ItemRow, _) = decode_row(&row)?;
                if let Some(due) = item.due.take() {
                    tx.delete(INCOMING, &incoming_key(due, id))?;
                }
                for number in 0..item.made {
                    if let Some(row) = tx.get(CONSIGNMENTS, &consignment_key(id, number))?
                        && let (consignment, _) = decode_row::<ConsignmentRow>(&row)?
                        && let Some(due) = consignment.due
                    {
                        tx.delete(consignment.line(), &due_key(due, id, number))?;
                    }
                }
                let before = item.stage;
                (item.open, item.held, item.waiting, item.stage) = (0, 0, 0, Stage::Active);
                untold::forget(tx, id, &mut item)?;
                put_or_finish(tx, &bodies, id, before, &item, locked)?;
                reports.into_iter().try_for_each(|report| report.write(tx))?;
                entry.write(tx)
            }))
            .await?;
        Ok(())
    }

    /// Whether what stands in the clear of an item and of its consignments can be read.
    fn can_be_decoded(&self, id: QueueId, row: &[u8]) -> Result<bool, QueueError> {
        let Ok((item, _)) = decode_row::<ItemRow>(row) else { return Ok(false) };
        for number in 0..item.made {
            let row = self.rows.get(CONSIGNMENTS, &consignment_key(id, number))?;
            if row.is_some_and(|row| decode_row::<ConsignmentRow>(&row).is_err()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The bodies of an item of which a row cannot be decoded, as what can be says: its own, and those sealed for some.
    fn bodies_of_damaged(&self, id: QueueId, row: &[u8]) -> Result<Vec<BodyRef>, QueueError> {
        if let Ok((item, _)) = decode_row::<ItemRow>(row) {
            return Ok([vec![item.body], item.sealed].concat());
        }
        let (first, last) = (consignment_key(id, 0), consignment_key(id, u16::MAX));
        let rows = self.rows.range(CONSIGNMENTS, Bound::Included(&first), Bound::Included(&last), RECIPIENTS)?;
        let opened = rows.iter().filter_map(|(_, row)| open_consignment(&self.vault, id, row).ok());
        let mut bodies: Vec<BodyRef> = Vec::new();
        for body in opened.map(|(_, consignment)| consignment.outgoing.content().body.clone()) {
            if !bodies.contains(&body) {
                bodies.push(body);
            }
        }
        Ok(bodies)
    }

    /// Moves every consignment that has not ended (and the item, while incoming) to a time, or to no time: all of them, or
    /// those with an open recipient of this domain.
    async fn reschedule(
        &self,
        id: QueueId,
        at: Option<Time>,
        event: Option<Event>,
        to: Option<&Domain>,
    ) -> Result<(), QueueError> {
        let (row, _): (ItemRow, _) = decode_row(&self.row(id)?)?;
        let numbers = to.map(|domain| self.going_to(id, &row, domain)).transpose()?;
        let entry = event.map(|event| self.journal.entry(event)).transpose()?;
        let bodies = Arc::clone(&self.bodies);
        self.rows
            .commit(Box::new(move |tx| {
                let row = tx.get(ITEMS, id.as_bytes())?.ok_or(StoreError::Conflict("the item is gone"))?;
                let (mut item, item_locked): (ItemRow, _) = decode_row(&row)?;
                let mut moved = Vec::new();
                let stood_at = item.stage;
                for number in numbers.unwrap_or_else(|| (0..item.made).collect()) {
                    let key = consignment_key(id, number);
                    let Some(row) = tx.get(CONSIGNMENTS, &key)? else { continue };
                    let (row, locked): (ConsignmentRow, _) = decode_row(&row)?;
                    if !row.ended {
                        moved.push((number, row, locked.to_vec()));
                    }
                }
                for (number, mut row, locked) in moved {
                    if let Some(due) = row.due {
                        tx.delete(row.line(), &due_key(due, id, number))?;
                    }
                    row.due = at.map(Time::unix_ms);
                    if let Some(due) = row.due {
                        tx.put(row.line(), &due_key(due, id, number), &[])?;
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
                if let Some(at) = at.filter(|_| item.untold > 0) {
                    untold::plan(tx, id, &mut item, at)?;
                }
                item.stage = match at {
                    None => Stage::Held,
                    Some(_) if item.due.is_some() => Stage::Incoming,
                    Some(_) if item.open > 0 || item.untold > 0 => Stage::Active,
                    Some(_) => Stage::Held,
                };
                // What was set aside may have been served meanwhile: then nothing is left of it.
                put_or_finish(tx, &bodies, id, stood_at, &item, item_locked)?;
                entry.map_or(Ok(()), |entry| entry.write(tx))
            }))
            .await?;
        Ok(())
    }

    /// The consignments of an item with a recipient of this domain who has neither got it nor failed.
    fn going_to(&self, id: QueueId, row: &ItemRow, domain: &Domain) -> Result<Vec<u16>, QueueError> {
        let mut numbers = Vec::new();
        for number in 0..row.made {
            let Some(row) = self.rows.get(CONSIGNMENTS, &consignment_key(id, number))? else { continue };
            let (_, consignment) = open_consignment(&self.vault, id, &row)?;
            let recipients = consignment.outgoing.envelope().recipients.iter().zip(&consignment.progress);
            if recipients.into_iter().any(|(r, progress)| r.address.domain() == domain && progress.ended.is_none()) {
                numbers.push(number);
            }
        }
        Ok(numbers)
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
        let Ok((clear, _)) = decode_row::<ItemRow>(row) else { return Ok(Listed::undecodable(id)) };
        let Ok((_, item)) = open_item(&self.vault, id, row) else { return Ok(Listed::locked(id, &clear)) };
        let consignments = self.consignments(id, &clear).unwrap_or_default();
        Ok(Listed::of(id, &clear, &item, &consignments))
    }
}
