//! Which epochs the rows rely on. A vault that lacks one of them is not opened: it would make new keys in the old ones'
//! places, and nobody would know what is missing.

use crate::records::event::Event;
use crate::records::journal::Journal;
use crate::store::{Rows, StoreError, Table, Transaction, pages};
use crate::vault::Epoch;

/// An epoch's number → nothing.
const EPOCHS: Table = Table("records.epochs");

/// The epochs that were there, and not destroyed, when they were last written down.
///
/// # Errors
/// [`StoreError`] if the medium fails or a row has another form.
pub fn relied_on(rows: &dyn Rows) -> Result<Vec<Epoch>, StoreError> {
    let mut epochs = Vec::new();
    for page in pages(rows, EPOCHS) {
        for (key, _) in page? {
            let number = key.try_into().map_err(|_| StoreError::Damaged("an epoch's row".into()))?;
            epochs.push(Epoch::from_number(u32::from_be_bytes(number)));
        }
    }
    Ok(epochs)
}

impl Journal {
    /// Writes an event together with the epochs that the vault has now: at the start, and when one has begun.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails or the lock cannot be made.
    pub async fn write_with_epochs(&self, event: Event) -> Result<(), StoreError> {
        let entry = self.entry(event).map_err(|fault| StoreError::Unavailable(fault.to_string()))?;
        let epochs = self.vault.epochs();
        let change = move |tx: &mut dyn Transaction| {
            for state in epochs {
                let key = state.epoch.number().to_be_bytes();
                if state.destroyed {
                    tx.delete(EPOCHS, &key)?;
                } else {
                    tx.put(EPOCHS, &key, &[])?;
                }
            }
            entry.write(tx)
        };
        self.rows.commit(Box::new(change)).await
    }
}
