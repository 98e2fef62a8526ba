//! Rows that cannot be read: each is told of once, and none stands in the way of the others.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::mail::QueueId;
use crate::mailboxes::error::MailboxError;
use crate::store::Table;
use crate::telemetry::Metrics;

/// Damaged rows that are told apart; of what is damaged beyond, no event is written.
const KNOWN: usize = 10_000;

/// What was found damaged since the start. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Damage {
    found: Arc<Mutex<Found>>,
    metrics: Metrics,
}

#[derive(Default)]
struct Found {
    known: HashSet<(&'static str, Vec<u8>)>,
    untold: Vec<DamagedRow>,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRow {
    /// Where it stands.
    pub table: &'static str,
    /// The message it is about, if its key says so.
    pub about: Option<QueueId>,
}

impl Damage {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { found: Arc::default(), metrics }
    }

    pub(crate) fn note(&self, table: Table, key: &[u8], about: Option<QueueId>, fault: &MailboxError) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.known.len() < KNOWN && found.known.insert((table.0, key.to_vec())) {
            let id = about.map(|id| id.to_string());
            tracing::error!(table = table.0, message.id = id, %fault, "a row cannot be read; the others are served");
            self.metrics.corrupt.inc();
            found.untold.push(DamagedRow { table: table.0, about });
        }
    }

    pub(crate) fn take(&self) -> Vec<DamagedRow> {
        std::mem::take(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner).untold)
    }
}
