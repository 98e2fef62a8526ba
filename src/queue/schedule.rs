//! Who is due: hands out leases, oldest due first.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Mutex;

use crate::mail::{Domain, QueueId};
use crate::net::{Clock, Shutdown, Time};
use crate::queue::error::QueueError;
use crate::queue::item::Failure;
use crate::queue::lease::{ConsignmentLease, Grip, IncomingLease, Leases, TellingLease, Term};
use crate::queue::settle::Settlement;
use crate::queue::table::{
    CONSIGNMENTS, ConsignmentRow, Delay, INCOMING, ITEMS, ItemRow, consignment_key, incoming_key, line,
    open_consignment, open_item, parse_due,
};
use crate::queue::untold::{self, TELLING, UNTOLD};
use crate::sealing::NextHop;
use crate::store::{RowsHandle, StoreError, Table, decode_row, pages};
use crate::vault::{Epoch, Vault};

/// Keys read ahead in one look at a table.
const AHEAD: usize = 128;
/// What is due later than anything ever is was put there under a clock that has been set back since: it is due.
const FARTHEST: Duration = Duration::from_secs(60 * 24 * 3_600);
/// How long to sleep at most: a clock that was set back must not stop the queue.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How long to wait before looking again at a store that failed.
const AFTER_FAULT: Duration = Duration::from_secs(5);
/// How often work on a message may panic, one time after another, before the message is set aside.
const STRIKES: u32 = 3;
/// How long nobody takes up what made us panic.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Who leaves domains alone that were not there of late. Asked for by operators, done by whoever delivers.
pub trait EndPauses: Send + Sync {
    /// Leaves none of these alone any more; without a list, none at all.
    fn end_pauses(&self, domains: Option<&[Domain]>);
}

/// Nobody attempts anything here: no domain is left alone.
pub struct NoPauses;

impl EndPauses for NoPauses {
    fn end_pauses(&self, _: Option<&[Domain]>) {}
}

/// Hands out leases on what is due.
#[derive(Clone)]
pub struct Schedule {
    rows: RowsHandle,
    vault: Vault,
    clock: Clock,
    settlement: Settlement,
    incoming: Arc<Line>,
    internet: Arc<Line>,
    mail_server: Arc<Line>,
    telling: Arc<Line>,
}

/// One table's line: who holds leases, and what was read ahead.
struct Line {
    table: Table,
    leases: Arc<Leases>,
    ahead: Mutex<VecDeque<Grip>>,
}

impl Line {
    fn of(table: Table) -> Arc<Self> {
        Arc::new(Self { table, leases: Arc::new(Leases::default()), ahead: Mutex::default() })
    }
}

impl Schedule {
    /// A schedule over these rows; what cannot be read is set aside through `settlement`.
    #[must_use]
    pub fn new(rows: RowsHandle, vault: Vault, clock: Clock, settlement: Settlement) -> Self {
        let [internet, mail_server] = [NextHop::Internet, NextHop::MailServer].map(|hop| Line::of(line(hop)));
        let [incoming, telling] = [INCOMING, TELLING].map(Line::of);
        Self { rows, vault, clock, settlement, incoming, internet, mail_server, telling }
    }

    /// Epochs to which something in the queue is locked.
    ///
    /// # Errors
    /// [`QueueError`] if the medium fails or a row cannot be read.
    pub fn epochs_in_use(&self) -> Result<BTreeSet<Epoch>, QueueError> {
        let mut in_use = BTreeSet::new();
        for page in pages(&*self.rows, ITEMS) {
            for (_, row) in page? {
                let (clear, _): (ItemRow, _) = decode_row(&row)?;
                in_use.extend([Epoch::from_number(clear.epoch), clear.body.epoch]);
                in_use.extend(clear.sealed.iter().map(|body| body.epoch));
            }
        }
        for page in pages(&*self.rows, CONSIGNMENTS) {
            for (_, row) in page? {
                in_use.insert(Epoch::from_number(decode_row::<ConsignmentRow>(&row)?.0.epoch));
            }
        }
        for page in pages(&*self.rows, UNTOLD) {
            for (_, row) in page? {
                in_use.insert(untold::epoch_of(&row)?);
            }
        }
        Ok(in_use)
    }

    /// Something was promised or changed: look again.
    pub fn ring(&self) {
        self.incoming.leases.bell.notify_one();
        self.internet.leases.bell.notify_one();
        self.mail_server.leases.bell.notify_one();
        self.telling.leases.bell.notify_one();
    }

    /// The next item for the carrier; `None` when the end has begun.
    pub async fn next_incoming(&self, shutdown: &Shutdown) -> Option<IncomingLease> {
        loop {
            let grip = self.next(&self.incoming, shutdown).await?;
            match self.open_incoming(&grip) {
                Ok(Some(lease)) => return Some(lease),
                Ok(None) => {}
                Err(fault) => self.fault(&grip, &fault).await,
            }
        }
    }

    /// The next consignment to attempt towards this hop; `None` when the end has begun.
    pub async fn next_consignment(&self, hop: NextHop, shutdown: &Shutdown) -> Option<ConsignmentLease> {
        let line = match hop {
            NextHop::Internet => &self.internet,
            NextHop::MailServer => &self.mail_server,
        };
        loop {
            let grip = self.next(line, shutdown).await?;
            match self.open_consignment(&grip) {
                Ok(Some(lease)) => return Some(lease),
                Ok(None) => {}
                Err(fault) => self.fault(&grip, &fault).await,
            }
        }
    }

    /// The next message whose sender is to be told something; `None` when the end has begun.
    pub async fn next_telling(&self, shutdown: &Shutdown) -> Option<TellingLease> {
        loop {
            let grip = self.next(&self.telling, shutdown).await?;
            match self.open_telling(&grip) {
                Ok(Some(lease)) => return Some(lease),
                Ok(None) => {}
                Err(fault) => self.fault(&grip, &fault).await,
            }
        }
    }

    /// Whether somebody works on any consignment of this item now.
    #[must_use]
    pub fn is_active(&self, id: QueueId, made: u16) -> bool {
        let is_attempted = |number| [&self.internet, &self.mail_server].iter().any(|it| it.leases.is_held(id, number));
        self.incoming.leases.is_held(id, 0) || (0..made).any(is_attempted)
    }

    /// Does the work on a lease. Work that panics loses neither the lease nor the loop: it is taken up again a moment
    /// later, and what makes us panic every time is set aside, so that the others flow.
    pub async fn watch(&self, grip: Grip, work: impl Future<Output = ()>) {
        if AssertUnwindSafe(work).catch_unwind().await.is_ok() {
            return grip.clear();
        }
        let id = grip.id();
        if grip.suspect() < STRIKES {
            tracing::error!(item.id = %id, "the work on a message panicked; it is tried again");
            return tokio::time::sleep(AFTER_PANIC).await;
        }
        tracing::error!(item.id = %id, "the work on a message panics every time: it is set aside");
        match self.settlement.set_aside(&grip, "the work on it panics every time").await {
            Ok(()) => grip.clear(),
            Err(fault) => {
                tracing::error!(item.id = %id, %fault, "a message could not be set aside");
                tokio::time::sleep(AFTER_FAULT).await;
            }
        }
    }

    async fn next(&self, line: &Line, shutdown: &Shutdown) -> Option<Grip> {
        loop {
            if shutdown.has_begun() {
                return None;
            }
            let mut ahead = line.ahead.lock().await;
            if let Some(next) = ahead.pop_front() {
                return Some(next);
            }
            let sleep = match self.read_ahead(line, &mut ahead) {
                Ok(None) => continue,
                Ok(Some(sleep)) => sleep,
                Err(fault) => {
                    tracing::error!(table = line.table.0, %fault, "the queue cannot be read");
                    AFTER_FAULT
                }
            };
            // The lock stays held: one waits for the bell, the others wait for the one.
            tokio::select! {
                () = line.leases.bell.notified() => {}
                () = tokio::time::sleep(sleep) => {}
                () = shutdown.begun() => return None,
            }
        }
    }

    /// Reads due keys ahead. `None` if there are any, else how long to sleep.
    fn read_ahead(&self, line: &Line, ahead: &mut VecDeque<Grip>) -> Result<Option<Duration>, StoreError> {
        let now = self.clock.now();
        let limit = AHEAD + line.leases.count();
        let mut wait = LONGEST_SLEEP;
        let beyond = incoming_key(now.after(FARTHEST).unix_ms(), QueueId::from_bytes([u8::MAX; 16]));
        let mut keys = self.rows.range(line.table, Bound::Unbounded, Bound::Unbounded, limit)?;
        keys.splice(0..0, self.rows.range(line.table, Bound::Excluded(beyond.as_slice()), Bound::Unbounded, limit)?);
        for (key, _) in keys {
            let Some((due, id, number)) = parse_due(&key) else { continue };
            if !is_due(due, now) {
                wait = wait.min(due.since(now));
                break;
            }
            if let Some(guard) = line.leases.take(id, number) {
                ahead.push_back(Grip::new(guard, is_of_consignments(line.table).then_some(number), due));
            }
        }
        Ok(ahead.is_empty().then_some(wait.max(Duration::from_millis(1))))
    }

    fn open_incoming(&self, grip: &Grip) -> Result<Option<IncomingLease>, QueueError> {
        let id = grip.id();
        let Some(row) = self.rows.get(ITEMS, id.as_bytes())? else { return Ok(None) };
        let (row, item) = open_item(&self.vault, id, &row)?;
        let still_due = row.due.is_some_and(|due| is_due(Time::from_unix_ms(due), self.clock.now()));
        Ok(still_due.then(|| IncomingLease { id, item, term: Term::from(&row), row, grip: grip.clone() }))
    }

    fn open_consignment(&self, grip: &Grip) -> Result<Option<ConsignmentLease>, QueueError> {
        let id = grip.id();
        let Some(number) = grip.number() else { return Ok(None) };
        let Some(row) = self.rows.get(CONSIGNMENTS, &consignment_key(id, number))? else { return Ok(None) };
        let (row, consignment) = open_consignment(&self.vault, id, &row)?;
        let still_due = row.due.is_some_and(|due| is_due(Time::from_unix_ms(due), self.clock.now()));
        if still_due && self.rows.get(ITEMS, id.as_bytes())?.is_none() {
            // Nothing that came of an attempt could be settled: it would be sent again and again.
            return Err(QueueError::NoSuchItem(id.to_string()));
        }
        Ok(still_due.then(|| ConsignmentLease {
            id,
            number,
            consignment,
            term: Term::from(&row),
            row,
            grip: grip.clone(),
        }))
    }

    fn open_telling(&self, grip: &Grip) -> Result<Option<TellingLease>, QueueError> {
        let id = grip.id();
        let Some(row) = self.rows.get(ITEMS, id.as_bytes())? else { return Ok(None) };
        let (row, item) = open_item(&self.vault, id, &row)?;
        if !row.tell_at.is_some_and(|at| is_due(Time::from_unix_ms(at), self.clock.now())) {
            return Ok(None);
        }
        let (keys, untold) = untold::of(&*self.rows, &self.vault, id)?;
        let delayed = if row.delay == Delay::Due { self.delayed(id, row.made)? } else { Vec::new() };
        Ok(Some(TellingLease { id, item, untold, delayed, keys, term: Term::from(&row), row, grip: grip.clone() }))
    }

    /// Who of an item's recipients was attempted and waits.
    fn delayed(&self, id: QueueId, made: u16) -> Result<Vec<Failure>, QueueError> {
        let mut delayed = Vec::new();
        for number in 0..made {
            let Some(row) = self.rows.get(CONSIGNMENTS, &consignment_key(id, number))? else { continue };
            let (_, consignment) = open_consignment(&self.vault, id, &row)?;
            delayed
                .extend(consignment.progress.into_iter().filter(|it| it.ended.is_none()).filter_map(|it| it.delayed));
        }
        Ok(delayed)
    }

    async fn fault(&self, grip: &Grip, fault: &QueueError) {
        let id = grip.id();
        if fault.is_temporary() {
            tracing::error!(item.id = %id, %fault, "a queue item cannot be read now");
            tokio::time::sleep(AFTER_FAULT).await;
            return;
        }
        tracing::error!(item.id = %id, %fault, "a queue item cannot be read and is set aside");
        if let Err(fault) = self.settlement.set_aside(grip, &fault.to_string()).await {
            tracing::error!(item.id = %id, %fault, "a queue item could not be set aside");
            tokio::time::sleep(AFTER_FAULT).await;
        }
    }
}

/// Whether a table's keys end in the number of a consignment.
fn is_of_consignments(table: Table) -> bool {
    table != INCOMING && table != TELLING
}

fn is_due(due: Time, now: Time) -> bool {
    due <= now || due > now.after(FARTHEST)
}
