//! The file below the rows. After a fault of the disk redb does nothing more with a file it has open, even when there is
//! room again: so the file is closed then, and opened anew by whoever needs it next.

use std::fs::{self, OpenOptions};
use std::ops::Bound;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{BackendError, Builder, Database, StorageBackend};

use crate::store::error::{StoreError, io_fault};

/// Octets redb may keep in memory.
const CACHE_OCTETS: usize = 64 << 20;
/// Octets that must find room before a full disk is tried again with the rows themselves.
const ROOM_OCTETS: usize = 1 << 20;

/// The rows' file, open or waiting to be opened again.
pub(crate) struct Medium {
    path: PathBuf,
    database: RwLock<Option<Database>>,
    seen: Arc<Seen>,
    /// The disk was full when something was last written, or when the file was to be opened. To find out again costs
    /// the file, which is closed, checked whole and opened then: so room is looked for beside it first.
    full_for_change: AtomicBool,
    full_for_opening: AtomicBool,
}

/// Which faults the disk has shown.
#[derive(Debug, Default)]
struct Seen {
    /// Any, since the file was opened.
    fault: AtomicBool,
    /// A sync that failed, ever. The system may hold for written what never reached the disk: what it shows of the file
    /// is not to be built on in this process.
    sync: AtomicBool,
}

/// The file as redb has it, watched for faults.
#[derive(Debug)]
struct Watched {
    file: FileBackend,
    seen: Arc<Seen>,
}

impl Medium {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StoreError`]: open elsewhere, damaged, or the disk fails.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let seen = Arc::default();
        let database = RwLock::new(Some(open(path, &seen, Found::IfMissing)?));
        let (full_for_change, full_for_opening) = (AtomicBool::default(), AtomicBool::default());
        Ok(Self { path: path.to_owned(), database, seen, full_for_change, full_for_opening })
    }

    /// Changes the rows.
    ///
    /// # Errors
    /// What `work` returned, or [`StoreError`] if the file cannot be opened.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.look_for_room_if(&self.full_for_change)?;
        let outcome = self.with(work);
        self.full_for_change.store(matches!(outcome, Err(StoreError::DiskIsFull)), Ordering::SeqCst);
        outcome
    }

    /// Does something with the rows. If the disk failed before, the file is opened again first.
    ///
    /// # Errors
    /// What `work` returned, or [`StoreError`] if the file cannot be opened.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.reopen()?;
        let outcome = match &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            Some(database) => work(database),
            None => Err(StoreError::Unavailable("it was closed after a fault of the disk".into())),
        };
        if self.seen.fault.load(Ordering::SeqCst) {
            self.close();
        }
        outcome
    }

    fn close(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have closed and opened it meanwhile.
        if self.seen.fault.swap(false, Ordering::SeqCst) && database.take().is_some() {
            tracing::error!("the disk failed under the rows; their file is closed, and opened again when it can be");
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        if self.database.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        if self.seen.sync.load(Ordering::SeqCst) {
            let told = "the disk failed to sync what was written: check the disk, then restart sealgate";
            return Err(StoreError::Unavailable(told.into()));
        }
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            self.look_for_room_if(&self.full_for_opening)?;
            let opened = open(&self.path, &self.seen, Found::Never);
            // What was seen while it was being opened is in the outcome.
            self.seen.fault.store(false, Ordering::SeqCst);
            self.full_for_opening.store(matches!(opened, Err(StoreError::DiskIsFull)), Ordering::SeqCst);
            *database = Some(opened?);
            tracing::info!("the rows are open again");
        }
        Ok(())
    }

    fn look_for_room_if(&self, was_full: &AtomicBool) -> Result<(), StoreError> {
        if !was_full.load(Ordering::SeqCst) {
            return Ok(());
        }
        let beside = self.path.with_extension("room");
        let found = fs::write(&beside, vec![0; ROOM_OCTETS]).map_err(|fault| io_fault(&fault));
        // What does not fit must not stay either; a file that could not be made is not there.
        let _ = fs::remove_file(&beside);
        found
    }
}

/// Whether a file that is not there is made. One that was open once is not: an empty one is no substitute for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    IfMissing,
    Never,
}

fn open(path: &Path, seen: &Arc<Seen>, found: Found) -> Result<Database, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(found == Found::IfMissing).truncate(false).mode(0o600);
    let file = options.open(path).map_err(|fault| io_fault(&fault))?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(|fault| io_fault(&fault))?;
    let file = FileBackend::new(file).map_err(open_fault)?;
    let watched = Watched { file, seen: Arc::clone(seen) };
    Builder::new().set_cache_size(CACHE_OCTETS).create_with_backend(watched).map_err(open_fault)
}

impl Watched {
    fn note<T>(&self, outcome: std::io::Result<T>) -> std::io::Result<T> {
        if outcome.is_err() {
            self.seen.fault.store(true, Ordering::SeqCst);
        }
        outcome
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> std::io::Result<u64> {
        self.note(self.file.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.note(self.file.read(offset, out))
    }

    fn set_len(&self, length: u64) -> std::io::Result<()> {
        self.note(self.file.set_len(length))
    }

    fn sync_data(&self) -> std::io::Result<()> {
        let outcome = self.note(self.file.sync_data());
        if outcome.is_err() {
            self.seen.sync.store(true, Ordering::SeqCst);
        }
        outcome
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.note(self.file.write(offset, data))
    }

    fn close(&self) -> std::io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

/// What redb met, as the store says it.
pub(crate) fn medium_fault(fault: impl Into<redb::Error>) -> StoreError {
    match fault.into() {
        redb::Error::Io(fault) => io_fault(&fault),
        redb::Error::Corrupted(what) => StoreError::Damaged(what),
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn open_fault(fault: redb::DatabaseError) -> StoreError {
    match fault {
        redb::DatabaseError::DatabaseAlreadyOpen => StoreError::OpenElsewhere,
        other => medium_fault(other),
    }
}
