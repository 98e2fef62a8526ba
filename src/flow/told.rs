//! What was told today: nobody hears the same twice a day (RFC 3834 §2), and nobody makes us write to many.

use std::time::Duration;

use crate::net::{Clock, Time};
use crate::store::{Change, RowsHandle, StoreError, Table, Transaction, pages};
use crate::vault::Vault;

/// Keyed hash of whom or what it is about → since when it is counted, and how often it was told since.
const TOLD: Table = Table("flow.told");
/// After how long it is counted afresh.
const AFRESH: Duration = Duration::from_secs(24 * 3600);

/// Counts what is told. Cheap to clone.
#[derive(Clone)]
pub struct Told {
    rows: RowsHandle,
    vault: Vault,
    clock: Clock,
}

impl Told {
    /// A count in these rows.
    #[must_use]
    pub fn new(rows: RowsHandle, vault: Vault, clock: Clock) -> Self {
        Self { rows, vault, clock }
    }

    /// The change that counts one more telling of this `kind`; `None` if it was told `most` times within a day. Of two
    /// at a time that would be one too many, the second meets [`StoreError::Conflict`] and is asked again.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn once_more(&self, kind: &'static str, about: &[u8], most: u32) -> Result<Option<Change>, StoreError> {
        let key = self.vault.index().hash(kind, about);
        let now = self.clock.now();
        let counted = move |row: Option<Vec<u8>>| {
            row.and_then(|row| Count::of(&row))
                .filter(|count| now < count.since.after(AFRESH))
                .unwrap_or(Count::none(now))
        };
        if counted(self.rows.get(TOLD, &key)?).times >= most {
            return Ok(None);
        }
        Ok(Some(Box::new(move |tx| {
            let Count { since, times } = counted(tx.get(TOLD, &key)?);
            if times >= most {
                return Err(StoreError::Conflict("it was told meanwhile"));
            }
            tx.put(TOLD, &key, &Count { since, times: times + 1 }.encode())
        })))
    }

    /// Forgets what is counted afresh anyway.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn forget(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let is_over = |row: &[u8]| Count::of(row).is_none_or(|count| now >= count.since.after(AFRESH));
        for page in pages(&*self.rows, TOLD) {
            let over: Vec<_> = page?.into_iter().filter(|(_, row)| is_over(row)).map(|(key, _)| key).collect();
            if !over.is_empty() {
                let change = move |tx: &mut dyn Transaction| over.iter().try_for_each(|key| tx.delete(TOLD, key));
                self.rows.commit(Box::new(change)).await?;
            }
        }
        Ok(())
    }
}

/// How often something was told.
struct Count {
    since: Time,
    times: u32,
}

impl Count {
    fn none(now: Time) -> Self {
        Self { since: now, times: 0 }
    }

    fn of(row: &[u8]) -> Option<Self> {
        let (since, times) = row.split_first_chunk::<8>()?;
        let times = u32::from_be_bytes(*times.first_chunk::<4>()?);
        Some(Self { since: Time::from_unix_ms(i64::from_be_bytes(*since)), times })
    }

    fn encode(&self) -> Vec<u8> {
        [&self.since.unix_ms().to_be_bytes()[..], &self.times.to_be_bytes()].concat()
    }
}
