//! The opened file of the row store, and what becomes of it when the disk is full.
//!
//! After a write failed once, redb refuses everything until its file is opened anew: what lies in its cache need not be what
//! lies on the disk. A full disk is no reason to stop a daemon for good, so the file is opened anew then. After any other
//! fault it is not: a medium that loses writes needs a person.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redb::{Builder, Database};

use crate::store::error::{StoreError, io_fault};

/// Octets redb may keep in memory.
const CACHE_OCTETS: usize = 64 << 20;
/// How long to wait before opening anew: this at least, and ten times what the last opening took.
const PAUSE: Duration = Duration::from_millis(500);

/// The file, open or waiting to be opened anew.
pub(crate) struct Engine {
    path: PathBuf,
    open: RwLock<Option<Database>>,
    /// When the file may be opened anew; `None` while nothing is wrong with it.
    anew: Mutex<Option<Instant>>,
}

impl Engine {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StoreError`]: open elsewhere, or the medium fails.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = create(path)?;
        Ok(Self { path: path.to_owned(), open: RwLock::new(Some(database)), anew: Mutex::new(None) })
    }

    /// Works with the open file.
    ///
    /// # Errors
    /// What the work says; [`StoreError::DiskIsFull`] as long as a file that met a full disk cannot be opened anew.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.open_anew()?;
        // The one lock is given back before the other is taken: `open_anew` takes them the other way round.
        let done = match &*self.open.read().unwrap_or_else(PoisonError::into_inner) {
            Some(database) => work(database),
            None => Err(StoreError::DiskIsFull),
        };
        if matches!(done, Err(StoreError::DiskIsFull)) {
            let mut anew = self.anew.lock().unwrap_or_else(PoisonError::into_inner);
            anew.get_or_insert_with(|| Instant::now() + PAUSE);
        }
        done
    }

    fn open_anew(&self) -> Result<(), StoreError> {
        let mut anew = self.anew.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(due) = *anew else { return Ok(()) };
        let began = Instant::now();
        if began < due {
            return Err(StoreError::DiskIsFull);
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first: the file is locked while it is open.
        *open = None;
        match create(&self.path) {
            Ok(database) => {
                tracing::info!("the row store, closed because the disk was full, is open again");
                *open = Some(database);
                *anew = None;
                Ok(())
            }
            Err(fault) => {
                *anew = Some(Instant::now() + PAUSE.max(began.elapsed() * 10));
                Err(fault)
            }
        }
    }
}

fn create(path: &Path) -> Result<Database, StoreError> {
    Builder::new().set_cache_size(CACHE_OCTETS).create(path).map_err(|fault| match fault {
        redb::DatabaseError::DatabaseAlreadyOpen => StoreError::OpenElsewhere,
        other => medium_fault(other),
    })
}

/// What redb met, in our words.
pub(crate) fn medium_fault(fault: impl Into<redb::Error>) -> StoreError {
    match fault.into() {
        redb::Error::Io(fault) => io_fault(&fault),
        redb::Error::Corrupted(what) => StoreError::Damaged(what),
        other => StoreError::Unavailable(other.to_string()),
    }
}
