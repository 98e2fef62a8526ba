//! The embedded row store: redb, with one committer that shares each sync among all who wait for one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use crate::store::error::{StoreError, io_fault};
use crate::store::medium::{Medium, medium_fault};
use crate::store::migration::{self, VERSION};
use crate::store::rows::{Change, Row, Rows, Table, Transaction};
use crate::vault::make_private;

/// Changes that share one sync at most.
const GROUP: usize = 256;
/// Changes that may wait; beyond it, who wants to commit waits to be let in.
const WAITING: usize = 1_024;

type Definition<'t> = TableDefinition<'t, &'static [u8], &'static [u8]>;
type OpenTable<'w> = redb::Table<'w, &'static [u8], &'static [u8]>;
type TableRows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Rows in one file. Dropped, it closes the file when the last change is done.
pub struct Embedded {
    medium: Arc<Medium>,
    changes: Option<mpsc::Sender<Waiting>>,
    committer: Option<JoinHandle<()>>,
}

struct Waiting {
    change: Change,
    done: oneshot::Sender<Result<(), StoreError>>,
}

impl Embedded {
    /// Opens the rows at `path`, or makes them there, and migrates what an older sealgate wrote.
    ///
    /// # Errors
    /// [`StoreError`]: open elsewhere, written by a newer version, or the medium fails.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            make_private(folder).map_err(|fault| io_fault(&fault))?;
        }
        let medium = Arc::new(Medium::open(path)?);
        let (changes, waiting) = mpsc::channel(WAITING);
        let committed = Arc::clone(&medium);
        let committer = std::thread::Builder::new()
            .name("store-committer".into())
            .spawn(move || commit_groups(&committed, waiting))
            .map_err(|fault| io_fault(&fault))?;
        let store = Self { medium, changes: Some(changes), committer: Some(committer) };
        store.settle_version()?;
        Ok(store)
    }

    /// Reads a table; one that nobody wrote yet is empty.
    fn read<T: Default>(
        &self,
        table: Table,
        work: impl FnOnce(&TableRows) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.medium.with(|database| {
            let reading = database.begin_read().map_err(medium_fault)?;
            match reading.open_table(definition(table)) {
                Ok(rows) => work(&rows),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(T::default()),
                Err(fault) => Err(medium_fault(fault)),
            }
        })
    }

    /// Checks the version and migrates, before anybody else has the store.
    fn settle_version(&self) -> Result<(), StoreError> {
        let found = match self.get(migration::META, migration::VERSION_KEY)? {
            None => None,
            Some(octets) => Some(migration::parse_version(&octets)?),
        };
        match found {
            Some(found) if found > VERSION => Err(StoreError::WrittenByNewerVersion { found, known: VERSION }),
            Some(VERSION) => Ok(()),
            Some(_) | None => {
                group(&self.medium, vec![Box::new(move |tx| migration::migrate(tx, found))]).pop().unwrap_or(Ok(()))
            }
        }
    }
}

impl Drop for Embedded {
    /// Waits for the changes under way, so that the file is free when this returns.
    fn drop(&mut self) {
        self.changes = None;
        if let Some(committer) = self.committer.take() {
            let _ = committer.join();
        }
    }
}

#[async_trait]
impl Rows for Embedded {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(table, |rows| Ok(rows.get(key).map_err(medium_fault)?.map(|value| value.value().to_vec())))
    }

    fn range(&self, table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.read(table, |rows| collect(rows, from, to, limit))
    }

    fn keys(
        &self,
        table: Table,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(table, |rows| {
            let found = rows.range::<&[u8]>((from, to)).map_err(medium_fault)?.take(limit);
            found.map(|row| Ok(row.map_err(medium_fault)?.0.value().to_vec())).collect()
        })
    }

    fn last(&self, table: Table) -> Result<Option<Row>, StoreError> {
        self.read(table, |rows| {
            let last = rows.last().map_err(medium_fault)?;
            Ok(last.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
        })
    }

    async fn commit(&self, change: Change) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        let closed = || StoreError::Unavailable("the store is closed".into());
        let changes = self.changes.as_ref().ok_or_else(closed)?;
        changes.send(Waiting { change, done }).await.map_err(|_| closed())?;
        outcome.await.map_err(|_| closed())?
    }
}

/// Gathers what waits and commits it, until nobody can send any more.
fn commit_groups(medium: &Medium, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut changes = vec![first.change];
        let mut done = vec![first.done];
        while changes.len() < GROUP
            && let Ok(next) = waiting.try_recv()
        {
            changes.push(next.change);
            done.push(next.done);
        }
        for (done, outcome) in done.into_iter().zip(group(medium, changes)) {
            // Who gave up waiting does not hear it; the commit stands.
            let _ = done.send(outcome);
        }
    }
}

/// One durable transaction for all changes: each has its own outcome, unless the medium fails under all of them.
fn group(medium: &Medium, changes: Vec<Change>) -> Vec<Result<(), StoreError>> {
    let count = changes.len();
    match medium.change(|database| try_group(database, changes)) {
        Ok(outcomes) => outcomes,
        Err(fault) => (0..count).map(|_| Err(again(&fault))).collect(),
    }
}

fn try_group(database: &Database, changes: Vec<Change>) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let mut writing = database.begin_write().map_err(medium_fault)?;
    writing.set_durability(Durability::Immediate).map_err(medium_fault)?;
    let count = changes.len();
    let mut outcomes = Vec::with_capacity(count);
    let mut view = View { writing: &writing, tables: RefCell::default() };
    for change in changes {
        let outcome = catch_unwind(AssertUnwindSafe(|| change(&mut view)));
        match outcome {
            Ok(Ok(())) => outcomes.push(Ok(())),
            Ok(Err(StoreError::Conflict(why))) => outcomes.push(Err(StoreError::Conflict(why))),
            // What it met, all would: none of the group stands.
            Ok(Err(fault)) if fault.is_temporary() => return Err(fault),
            // A fault of its own, and it may have written: none of the group stands, but the others may come again.
            Ok(Err(fault)) => return Ok(all_but_one_again(count, outcomes.len(), fault)),
            Err(_) => return Ok(all_but_one_again(count, outcomes.len(), StoreError::Panicked)),
        }
    }
    drop(view);
    writing.commit().map_err(medium_fault)?;
    Ok(outcomes)
}

/// The outcomes of a group in which one change is at fault: it alone hears why.
fn all_but_one_again(count: usize, at: usize, fault: StoreError) -> Vec<Result<(), StoreError>> {
    let again = || Err(StoreError::Unavailable("a change beside it was at fault".into()));
    let mut outcomes: Vec<_> = (0..count).map(|_| again()).collect();
    if let Some(outcome) = outcomes.get_mut(at) {
        *outcome = Err(fault);
    }
    outcomes
}

/// The rows as the changes of one group see them.
///
/// A table that was opened stays open until the group ends: each closing writes its root into the table of tables.
struct View<'w> {
    writing: &'w WriteTransaction,
    tables: RefCell<HashMap<&'static str, OpenTable<'w>>>,
}

impl<'w> View<'w> {
    fn with<T>(
        &self,
        table: Table,
        work: impl FnOnce(&mut OpenTable<'w>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut tables = self.tables.borrow_mut();
        match tables.entry(table.0) {
            Entry::Occupied(open) => work(open.into_mut()),
            Entry::Vacant(place) => {
                work(place.insert(self.writing.open_table(definition(table)).map_err(medium_fault)?))
            }
        }
    }
}

impl Transaction for View<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(table, |rows| Ok(rows.get(key).map_err(medium_fault)?.map(|value| value.value().to_vec())))
    }

    fn range(&self, table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.with(table, |rows| collect(rows, from, to, limit))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.with(table, |rows| rows.insert(key, value).map(drop).map_err(medium_fault))
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.with(table, |rows| rows.remove(key).map(drop).map_err(medium_fault))
    }
}

fn collect<R>(rows: &R, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError>
where
    R: ReadableTable<&'static [u8], &'static [u8]>,
{
    let mut found = Vec::new();
    for row in rows.range::<&[u8]>((from, to)).map_err(medium_fault)?.take(limit) {
        let (key, value) = row.map_err(medium_fault)?;
        found.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(found)
}

fn definition(table: Table) -> Definition<'static> {
    TableDefinition::new(table.0)
}

/// The same fault for everybody of a group.
fn again(fault: &StoreError) -> StoreError {
    match fault {
        StoreError::DiskIsFull => StoreError::DiskIsFull,
        StoreError::OpenElsewhere => StoreError::OpenElsewhere,
        StoreError::Damaged(what) => StoreError::Damaged(what.clone()),
        StoreError::Conflict(why) => StoreError::Conflict(why),
        StoreError::Panicked => StoreError::Panicked,
        StoreError::Unavailable(_) | StoreError::WrittenByNewerVersion { .. } => {
            StoreError::Unavailable(fault.to_string())
        }
    }
}
