//! Marks that stop mail before there is trouble: so many messages in the queue, so little room on the disk. Mail is taken
//! again by itself, but not before there is a bit more room than that: it would stop and start with every message.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::queue::index;
use crate::store::{RowsHandle, free_octets};
use crate::telemetry::{Labels, Metrics};

/// Looks at the marks. Cheap to clone; clones agree on what is stopped.
#[derive(Clone)]
pub struct Marks {
    rows: RowsHandle,
    folder: Arc<Path>,
    most: u64,
    least: u64,
    stopped: Arc<[(Mark, AtomicBool); 2]>,
    metrics: Metrics,
}

/// A mark that is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mark {
    /// `queue.max_entries`.
    #[error("the queue holds as many messages as queue.max_entries allows; see `sealgate queue list`")]
    Entries,
    /// `store.min_free`.
    #[error("the disk has less room than store.min_free asks for; make room for data_dir")]
    Room,
}

impl Marks {
    /// Marks for the queue in these rows, and for the disk that `folder` lies on: `most` items, `least` octets free.
    #[must_use]
    pub fn new(rows: RowsHandle, folder: &Path, most: u64, least: u64, metrics: Metrics) -> Self {
        let stopped = [Mark::Entries, Mark::Room].map(|mark| (mark, AtomicBool::default()));
        Self { rows, folder: Arc::from(folder), most, least, stopped: Arc::new(stopped), metrics }
    }

    /// Looks whether mail may be taken. What cannot be found out stops nothing: whoever writes meets it.
    ///
    /// # Errors
    /// The first mark that is passed.
    pub fn look(&self) -> Result<(), Mark> {
        let mut passed = Ok(());
        for (mark, stopped) in &*self.stopped {
            let was = stopped.load(Ordering::SeqCst);
            let is = match mark {
                Mark::Entries => self.has_too_many(was),
                Mark::Room => self.has_too_little(was),
            };
            if stopped.swap(is, Ordering::SeqCst) != is {
                match is {
                    true => tracing::error!(reason = %mark, "no mail is taken for now"),
                    false => tracing::info!(mark = mark.as_str(), "mail is taken again"),
                }
            }
            self.metrics.stopped.get_or_create(&Labels::of(mark.as_str())).set(i64::from(is));
            if is {
                passed = passed.and(Err(*mark));
            }
        }
        passed
    }

    /// Whether the disk has room for what may wait, whatever the queue holds.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let _ = self.look();
        self.stopped.iter().all(|(mark, stopped)| *mark != Mark::Room || !stopped.load(Ordering::SeqCst))
    }

    fn has_too_many(&self, was_stopped: bool) -> bool {
        let most = if was_stopped { self.most.saturating_sub(self.most / 10) } else { self.most };
        index::counts(&*self.rows).is_ok_and(|counts| counts.values().sum::<u64>() >= most)
    }

    fn has_too_little(&self, was_stopped: bool) -> bool {
        let least = if was_stopped { self.least.saturating_add(self.least / 4) } else { self.least };
        free_octets(&self.folder).is_some_and(|free| free < least)
    }
}

impl Mark {
    fn as_str(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Room => "room",
        }
    }
}
