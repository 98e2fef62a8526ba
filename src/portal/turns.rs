//! Answers to one message are written one at a time: what two windows save or send at once must not cross.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::mailboxes::StoredId;

/// Whose turn it is, for each message somebody writes about now.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<StoredId, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the turn; it ends with the guard.
    pub(crate) async fn turn(&self, id: StoredId) -> OwnedMutexGuard<()> {
        let own = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(all.entry(id).or_default())
        };
        own.lock_owned().await
    }
}
