//! What came of the work: one transaction that takes the old state out and puts the new one in.

use std::collections::HashSet;
use std::sync::Arc;

use crate::mail::QueueId;
use crate::net::{Clock, Time};
use crate::queue::error::QueueError;
use crate::queue::index;
use crate::queue::intake::{PreparedItem, lock_consignments, write_consignments};
use crate::queue::item::RecipientState;
use crate::queue::lease::{ConsignmentLease, Grip, IncomingLease, TellingLease};
use crate::queue::table::{
    CONSIGNMENTS, ConsignmentRow, DUE, DUE_INSIDE, Delay, INCOMING, ITEMS, ItemRow, Stage, consignment_key, due_key,
    incoming_key,
};
use crate::queue::untold::{self, TELLING, Telling, UNTOLD};
use crate::records::{Entry, Event, EventKind, Journal};
use crate::sealing::Outgoing;
use crate::store::{
    Bodies, Change, PreparedBody, RowsHandle, StoreError, Transaction, decode_row, encode_row, lock_value,
};
use crate::telemetry::Metrics;
use crate::vault::Vault;

/// Commits what came of the work. Cheap to clone.
#[derive(Clone)]
pub struct Settlement {
    rows: RowsHandle,
    bodies: Arc<Bodies>,
    vault: Vault,
    journal: Journal,
    clock: Clock,
    metrics: Metrics,
}

/// One incoming item for what came of it and what stays behind.
pub struct Exchange {
    lease: IncomingLease,
    outgoings: Vec<Outgoing>,
    written: Vec<PreparedItem>,
    sealed: Vec<PreparedBody>,
    changes: Vec<Change>,
    entries: Vec<Entry>,
    again: Option<Time>,
    done: HashSet<(&'static str, Vec<u8>)>,
}

impl Exchange {
    /// Nothing came of it yet.
    #[must_use]
    pub fn of(lease: IncomingLease) -> Self {
        Self {
            lease,
            outgoings: Vec::new(),
            written: Vec::new(),
            sealed: Vec::new(),
            changes: Vec::new(),
            entries: Vec::new(),
            again: None,
            done: HashSet::new(),
        }
    }

    /// Whether this is the first time that something of this kind is done here. A message may name an address twice, and
    /// two changes that each may happen once would refuse each other.
    pub fn is_first(&mut self, kind: &'static str, about: &[u8]) -> bool {
        self.done.insert((kind, about.to_vec()))
    }

    /// The item, to say how far its recipients have come.
    pub fn lease(&mut self) -> &mut IncomingLease {
        &mut self.lease
    }

    /// This leaves, for these recipients (their places in the envelope).
    pub fn send(&mut self, outgoing: Outgoing, recipients: &[usize]) {
        let number = self.lease.row.made.saturating_add(u16::try_from(self.outgoings.len()).unwrap_or(u16::MAX));
        self.outgoings.push(outgoing);
        self.mark(recipients, &RecipientState::Consigned(number));
    }

    /// These recipients have come so far.
    pub fn mark(&mut self, recipients: &[usize], state: &RecipientState) {
        for place in recipients {
            if let Some(slot) = self.lease.item.states.get_mut(*place) {
                *slot = state.clone();
            }
        }
    }

    /// A message of our own comes of it.
    pub fn write(&mut self, item: PreparedItem) {
        self.written.push(item);
    }

    /// A body that something sent here names; it goes out with the item.
    pub fn keep(&mut self, body: PreparedBody) {
        self.sealed.push(body);
    }

    /// Another module's rows change with it. The change must look before it writes, like every [`Change`].
    pub fn also(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// This happened.
    pub fn record(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Recipients that are still waiting are served again then.
    pub fn again(&mut self, at: Time) {
        self.again = Some(at);
    }
}

impl Settlement {
    /// A settlement over these rows and bodies.
    #[must_use]
    pub fn new(
        rows: RowsHandle,
        bodies: Arc<Bodies>,
        vault: Vault,
        journal: Journal,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self { rows, bodies, vault, journal, clock, metrics }
    }

    /// Exchanges an incoming item for what came of it: all of it, or nothing.
    ///
    /// # Errors
    /// [`QueueError`]; the item is as before then. So also if an operator has held it or made it due meanwhile.
    pub async fn commit(&self, exchange: Exchange) -> Result<(), QueueError> {
        let Exchange { lease, outgoings, written, sealed, changes, entries, again, done: _ } = exchange;
        let id = lease.id;
        let new = lock_consignments(&self.vault, id, outgoings, self.clock.now(), lease.term.expires)?;
        let locked = lock_value(&self.vault, &lease.item).map_err(|fault| QueueError::of(fault, id))?;
        let waiting = lease.item.states.iter().filter(|state| state.is_waiting()).count();
        let held = lease.item.states.iter().filter(|s| matches!(s, RecipientState::Held { .. })).count();
        let mut row = lease.row.clone();
        let old_due = row.due.take();
        row.held = u16::try_from(held).unwrap_or(u16::MAX);
        row.epoch = locked.epoch;
        row.attempts += 1;
        row.waiting = u16::try_from(waiting).unwrap_or(u16::MAX);
        row.due = (waiting > 0).then(|| again.unwrap_or_else(|| self.clock.now()).unix_ms());
        let bodies = Arc::clone(&self.bodies);
        self.rows
            .commit(Box::new(move |tx| {
                let (current, _): (ItemRow, _) = decode_row(&tx.get(ITEMS, id.as_bytes())?.ok_or(GONE)?)?;
                // Held by hand, perhaps: then nothing of it leaves before a person says so.
                if current.due != old_due {
                    return Err(StoreError::Conflict("the item was changed meanwhile"));
                }
                row.take_over(&current);
                row.open = current.open.saturating_add(u16::try_from(new.len()).unwrap_or(u16::MAX));
                let first = current.made;
                row.made = first.saturating_add(u16::try_from(new.len()).unwrap_or(u16::MAX));
                row.stage = stage_of(&row);
                for mut body in sealed {
                    body.record(tx)?;
                    row.sealed.push(body.body_ref().clone());
                }
                changes.into_iter().try_for_each(|change| change(tx))?;
                if let Some(due) = old_due {
                    tx.delete(INCOMING, &incoming_key(due, id))?;
                }
                if let Some(due) = row.due {
                    tx.put(INCOMING, &incoming_key(due, id), &[])?;
                }
                write_consignments(tx, id, first, new)?;
                written.into_iter().try_for_each(|item| item.write(tx))?;
                put_or_finish(tx, &bodies, id, current.stage, &row, &locked.octets)?;
                entries.into_iter().try_for_each(|entry| entry.write(tx))
            }))
            .await?;
        drop(lease);
        Ok(())
    }

    /// Settles an attempt: the lease's consignment says how far each recipient has come. The rest is attempted `again`
    /// then. What its sender is to be told is written in the same transaction, and told in one of its own.
    ///
    /// # Errors
    /// [`QueueError`]; the consignment is due as before then. While the lease is held nobody else attempts it.
    pub async fn settle(
        &self,
        lease: &ConsignmentLease,
        again: Time,
        telling: &Telling,
        entries: Vec<Entry>,
    ) -> Result<(), QueueError> {
        self.settle_at(lease, Some(again), telling, entries).await
    }

    /// Settles an attempt like [`Settlement::settle`], but what is left waits for an operator.
    ///
    /// # Errors
    /// [`QueueError`]; the consignment is due as before then.
    pub async fn hold(
        &self,
        lease: &ConsignmentLease,
        telling: &Telling,
        entries: Vec<Entry>,
    ) -> Result<(), QueueError> {
        self.settle_at(lease, None, telling, entries).await
    }

    async fn settle_at(
        &self,
        lease: &ConsignmentLease,
        again: Option<Time>,
        telling: &Telling,
        entries: Vec<Entry>,
    ) -> Result<(), QueueError> {
        let (id, number) = (lease.id, lease.number);
        let ended = lease.consignment.has_ended();
        let locked = lock_value(&self.vault, &lease.consignment).map_err(|fault| QueueError::of(fault, id))?;
        let mut row = lease.row.clone();
        let old_due = row.due.take();
        row.attempts += 1;
        row.ended = ended;
        row.epoch = locked.epoch;
        row.due = again.filter(|_| !ended).map(Time::unix_ms);
        let is_held = again.is_none() && !ended;
        let (untold, is_late) = (telling.lock(&self.vault, id)?, telling.is_late);
        let now = self.clock.now();
        let gathered = now.after(telling.gather);
        let bodies = Arc::clone(&self.bodies);
        self.rows
            .commit(Box::new(move |tx| {
                let item_row = tx.get(ITEMS, id.as_bytes())?.ok_or(GONE)?;
                let (mut item, item_locked): (ItemRow, _) = decode_row(&item_row)?;
                let before = item.stage;
                let (current, _): (ConsignmentRow, _) =
                    decode_row(&tx.get(CONSIGNMENTS, &consignment_key(id, number))?.ok_or(GONE)?)?;
                if current.ended {
                    return Err(StoreError::Conflict("the consignment has ended meanwhile"));
                }
                for due in [old_due, current.due].into_iter().flatten() {
                    tx.delete(row.line(), &due_key(due, id, number))?;
                }
                if current.due.is_none() && !ended {
                    row.due = None; // held by hand meanwhile
                }
                if let Some(due) = row.due {
                    tx.put(row.line(), &due_key(due, id, number), &[])?;
                }
                item.open = item.open.saturating_sub(u16::from(ended));
                if let Some(untold) = &untold {
                    untold::note(tx, id, (number, row.attempts), untold, &mut item)?;
                }
                let is_news = is_late && item.delay == Delay::NotYet;
                if is_news {
                    item.delay = Delay::Due;
                }
                // Where nothing of it goes another way, or all has come to its end, there is nothing to wait for.
                let is_alone = item.waiting == 0 && item.open == u16::from(!ended);
                if untold.is_some() || is_news || (is_alone && item.untold > 0) {
                    untold::plan(tx, id, &mut item, if is_alone { now } else { gathered })?;
                }
                item.attempts += 1;
                // The last one's row goes out with the item.
                if !is_finished(&item) {
                    tx.put(CONSIGNMENTS, &consignment_key(id, number), &encode_row(&row, &locked.octets)?)?;
                }
                if is_held {
                    item.stage = Stage::Held;
                } else if item.stage == Stage::Active && !ended {
                    item.stage = Stage::Deferred;
                }
                put_or_finish(tx, &bodies, id, before, &item, item_locked)?;
                entries.into_iter().try_for_each(|entry| entry.write(tx))
            }))
            .await?;
        Ok(())
    }

    /// Tells a sender: the reports come in, what they tell goes out. What came of the message meanwhile is told `later`.
    ///
    /// # Errors
    /// [`QueueError`]; it is to be told as before then.
    pub async fn tell(
        &self,
        lease: &TellingLease,
        reports: Vec<PreparedItem>,
        entries: Vec<Entry>,
        later: Time,
    ) -> Result<(), QueueError> {
        let (id, keys, is_late) = (lease.id, lease.keys.clone(), lease.is_late());
        let bodies = Arc::clone(&self.bodies);
        self.rows
            .commit(Box::new(move |tx| {
                let item_row = tx.get(ITEMS, id.as_bytes())?.ok_or(GONE)?;
                let (mut item, item_locked): (ItemRow, _) = decode_row(&item_row)?;
                for key in &keys {
                    tx.get(UNTOLD, key)?.ok_or(StoreError::Conflict("it was told meanwhile"))?;
                }
                keys.iter().try_for_each(|key| tx.delete(UNTOLD, key))?;
                item.untold = item.untold.saturating_sub(u16::try_from(keys.len()).unwrap_or(u16::MAX));
                if is_late {
                    item.delay = Delay::Told;
                }
                untold::unplan(tx, id, &mut item)?;
                if item.untold > 0 || item.delay == Delay::Due {
                    untold::plan(tx, id, &mut item, later)?;
                }
                reports.into_iter().try_for_each(|report| report.write(tx))?;
                put_or_finish(tx, &bodies, id, item.stage, &item, item_locked)?;
                entries.into_iter().try_for_each(|entry| entry.write(tx))
            }))
            .await?;
        Ok(())
    }

    /// Sets aside what cannot be read: nothing attempts it any more, nothing throws it away.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails.
    pub async fn set_aside(&self, grip: &Grip, reason: &str) -> Result<(), QueueError> {
        self.aside(grip, None, Vec::new(), reason).await
    }

    /// Sets aside what was attempted and can never be settled, as when the item it belongs to cannot be read: how far
    /// each recipient has come is kept, for who has got the message must not get it again.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails; the consignment is due as before then.
    pub async fn set_aside_attempted(
        &self,
        lease: &ConsignmentLease,
        entries: Vec<Entry>,
        reason: &str,
    ) -> Result<(), QueueError> {
        let id = lease.id;
        let locked = lock_value(&self.vault, &lease.consignment).map_err(|fault| QueueError::of(fault, id))?;
        let row = ConsignmentRow {
            due: None,
            attempts: lease.row.attempts + 1,
            ended: lease.consignment.has_ended(),
            epoch: locked.epoch,
            ..lease.row.clone()
        };
        let encoded = encode_row(&row, &locked.octets)?;
        self.aside(&lease.grip, Some((encoded, row.ended)), entries, reason).await
    }

    async fn aside(
        &self,
        grip: &Grip,
        attempted: Option<(Vec<u8>, bool)>,
        entries: Vec<Entry>,
        reason: &str,
    ) -> Result<(), QueueError> {
        let (id, number) = (grip.id(), grip.number());
        let event = Event::new(EventKind::Corrupt).about(id).detail(reason);
        let entry = self.journal.entry(event)?;
        // By the key it was found with, and by what its row says now, if it can be read and was moved meanwhile.
        let mut dues = vec![grip.due()];
        self.rows
            .commit(Box::new(move |tx| {
                let item = tx.get(ITEMS, id.as_bytes())?;
                let decoded = item.as_deref().map(decode_row::<ItemRow>);
                let mut has_ended = false;
                match number {
                    Some(number) => {
                        let key = consignment_key(id, number);
                        if let Some(row) = tx.get(CONSIGNMENTS, &key)?
                            && let Ok((mut row, locked)) = decode_row::<ConsignmentRow>(&row)
                        {
                            dues.extend(row.due.take());
                            has_ended = !row.ended && attempted.as_ref().is_some_and(|(_, ended)| *ended);
                            tx.put(CONSIGNMENTS, &key, &encode_row(&row, locked)?)?;
                        }
                        for table in [DUE, DUE_INSIDE] {
                            dues.iter().try_for_each(|due| tx.delete(table, &due_key(*due, id, number)))?;
                        }
                        if let Some((row, _)) = attempted {
                            tx.put(CONSIGNMENTS, &key, &row)?;
                        }
                    }
                    None => {
                        dues.extend(decoded.iter().flatten().filter_map(|(item, _)| item.due));
                        dues.extend(decoded.iter().flatten().filter_map(|(item, _)| item.tell_at));
                        for table in [INCOMING, TELLING] {
                            dues.iter().try_for_each(|due| tx.delete(table, &incoming_key(*due, id)))?;
                        }
                    }
                }
                match decoded {
                    None => {}
                    Some(Ok((mut item, locked))) => {
                        index::moved(tx, id, Some(item.stage), Some(Stage::Corrupt))?;
                        item.stage = Stage::Corrupt;
                        item.open = item.open.saturating_sub(u16::from(has_ended));
                        item.due = item.due.filter(|_| number.is_some());
                        if number.is_none() {
                            item.tell_at = None;
                        }
                        tx.put(ITEMS, id.as_bytes(), &encode_row(&item, locked)?)?;
                    }
                    Some(Err(_)) => index::set_apart(tx, id)?,
                }
                entries.into_iter().try_for_each(|entry| entry.write(tx))?;
                entry.write(tx)
            }))
            .await?;
        self.metrics.corrupt.inc();
        Ok(())
    }
}

const GONE: StoreError = StoreError::Conflict("the item is gone");

/// Where an item stands after it was carried, by what its row counts.
fn stage_of(row: &ItemRow) -> Stage {
    if row.due.is_some() {
        Stage::Deferred
    } else if row.open > 0 {
        Stage::Active
    } else {
        Stage::Held
    }
}

/// Whether nothing is left to do for an item.
fn is_finished(row: &ItemRow) -> bool {
    let is_served = row.due.is_none() && row.waiting == 0 && row.open == 0 && row.held == 0;
    is_served && row.untold == 0 && row.stage != Stage::Corrupt
}

/// Writes the item's row, which stood at `before`, or, when nothing is left to do for it, takes everything out.
pub(crate) fn put_or_finish(
    tx: &mut dyn Transaction,
    bodies: &Bodies,
    id: QueueId,
    before: Stage,
    row: &ItemRow,
    locked: &[u8],
) -> Result<(), StoreError> {
    if !is_finished(row) {
        let mut row = row.clone();
        if row.open == 0 && row.untold == 0 && row.due.is_none() && row.stage != Stage::Corrupt {
            row.stage = Stage::Held;
        }
        index::moved(tx, id, Some(before), Some(row.stage))?;
        return tx.put(ITEMS, id.as_bytes(), &encode_row(&row, locked)?);
    }
    for number in 0..row.made {
        tx.delete(CONSIGNMENTS, &consignment_key(id, number))?;
    }
    index::leave(tx, id, row, before)?;
    tx.delete(ITEMS, id.as_bytes())?;
    row.sealed.iter().try_for_each(|body| bodies.release(tx, body))?;
    bodies.release(tx, &row.body)
}
