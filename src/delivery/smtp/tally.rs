//! What came of TLS with each domain, day by day (RFC 8460 §4.1): counted in memory, kept locked until the domain has
//! been told.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::smtp::sts::StsKeeping;
use crate::mail::{Domain, ReportedPolicy, add_policies};
use crate::net::Time;
use crate::store::{Change, Row, StoreError, Table, decode_row, encode_row, lock_value, pages, unlock_value};
use crate::vault::random_octets;

/// Keyed hash of a day and a domain → epoch, and locked: what was counted. Nothing of it moves on with the epochs: a row
/// lives four days at most, and an epoch a week after the last row was locked to it.
const TALLIES: Table = Table("delivery.tls_tally");
/// Domains that are counted until they are next written, and rows that are kept. What is over is not counted.
const DOMAINS: usize = 4_096;
const ROWS: usize = 20_000;
/// Rows of one transaction.
const BATCH: usize = 200;
/// How long after its day a tally is told at the earliest, and by how much later at the latest (RFC 8460 §4.1 asks for
/// some delay by chance).
const FIRST: Duration = Duration::from_secs(15 * 60);
const SPREAD: u64 = 4 * 3_600;
/// How long after its day a tally ends, told or not.
const LIFETIME: Duration = Duration::from_secs(3 * 24 * 3_600);
/// How long it is until the next attempt after the first, and at most.
const AGAIN: Duration = Duration::from_secs(3_600);
const DOUBLINGS: u32 = 4;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Counts. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct TlsTally {
    keeping: StsKeeping,
    counted: Arc<Mutex<Counted>>,
}

/// What was found since it was last kept, by day and domain.
type Counted = BTreeMap<(i64, Domain), Vec<ReportedPolicy>>;

/// What was counted of a domain on a day.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tallied {
    /// The domain.
    pub domain: Domain,
    /// Days between the beginning of 1970 and that of the day.
    pub day: i64,
    /// What was found, policy by policy.
    pub policies: Vec<ReportedPolicy>,
    /// Places that have been told.
    pub told: Vec<String>,
    /// How often all places were tried.
    attempts: u32,
    /// When they are tried next: milliseconds since 1970.
    due: i64,
}

/// A tally where it is kept.
pub struct KeptTally {
    /// What it says.
    pub tallied: Tallied,
    key: Vec<u8>,
}

impl TlsTally {
    /// Counts that are kept there.
    #[must_use]
    pub fn new(keeping: StsKeeping) -> Self {
        Self { keeping, counted: Arc::default() }
    }

    /// Counts what one attempt found of a domain.
    pub fn count(&self, domain: &Domain, found: Vec<ReportedPolicy>) {
        let day = self.keeping.clock.now().unix_ms().div_euclid(DAY);
        self.add(day, domain.clone(), found);
    }

    fn add(&self, day: i64, domain: Domain, found: Vec<ReportedPolicy>) {
        if found.is_empty() {
            return;
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() < DOMAINS || counted.contains_key(&(day, domain.clone())) {
            add_policies(counted.entry((day, domain)).or_default(), found);
        }
    }

    /// Keeps what was counted since it was last kept: what a crash takes is what came after. One at a time writes.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails or the lock cannot be made: what was counted is kept the next time.
    pub async fn write(&self) -> Result<(), StoreError> {
        let kept = self.keeping.rows.keys(TALLIES, Bound::Unbounded, Bound::Unbounded, ROWS)?;
        let mut room = ROWS.saturating_sub(kept.len());
        let counted = std::mem::take(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner));
        let mut counted: Vec<_> = counted.into_iter().collect();
        while !counted.is_empty() {
            let batch: Vec<_> = counted.drain(..counted.len().min(BATCH)).collect();
            let written = match self.merged(&batch, &mut room) {
                Ok(merged) => self.keeping.rows.commit(put_all(merged)).await,
                Err(fault) => Err(fault),
            };
            if let Err(fault) = written {
                for ((day, domain), found) in batch.into_iter().chain(counted) {
                    self.add(day, domain, found);
                }
                return Err(fault);
            }
        }
        Ok(())
    }

    /// The rows as they shall be.
    fn merged(&self, batch: &[((i64, Domain), Vec<ReportedPolicy>)], room: &mut usize) -> Result<Vec<Row>, StoreError> {
        let mut merged = Vec::with_capacity(batch.len());
        for ((day, domain), found) in batch {
            let key = self.key(*day, domain);
            let known = self.keeping.rows.get(TALLIES, &key)?.and_then(|row| self.unlocked(&row));
            let mut tallied = match known {
                Some(known) => known,
                None if *room == 0 => continue,
                None => {
                    *room -= 1;
                    Tallied::new(*day, domain.clone())
                }
            };
            add_policies(&mut tallied.policies, found.clone());
            merged.push((key, self.locked(&tallied)?));
        }
        Ok(merged)
    }

    /// Tallies whose day is over and whose time has come, at most so many.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn due(&self, most: usize) -> Result<Vec<KeptTally>, StoreError> {
        let now = self.keeping.clock.now();
        let mut due = Vec::new();
        for page in pages(&*self.keeping.rows, TALLIES) {
            for (key, row) in page? {
                let tallied = self.unlocked(&row).filter(|tallied| tallied.is_due(now));
                due.extend(tallied.map(|tallied| KeptTally { tallied, key }));
                if due.len() >= most {
                    return Ok(due);
                }
            }
        }
        Ok(due)
    }

    /// The change that ends a tally.
    #[must_use]
    pub fn ended(kept: &KeptTally) -> Change {
        let key = kept.key.clone();
        Box::new(move |tx| tx.delete(TALLIES, &key))
    }

    /// The change that keeps a tally as it is now.
    ///
    /// # Errors
    /// [`StoreError`] if the lock cannot be made.
    pub fn kept(&self, kept: &KeptTally) -> Result<Change, StoreError> {
        Ok(put_all(vec![(kept.key.clone(), self.locked(&kept.tallied)?)]))
    }

    /// Forgets what is over, and what cannot be read.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn forget(&self) -> Result<(), StoreError> {
        let now = self.keeping.clock.now();
        for page in pages(&*self.keeping.rows, TALLIES) {
            let mut over = page?;
            over.retain(|(_, row)| self.unlocked(row).is_none_or(|tallied| now >= tallied.ends()));
            if !over.is_empty() {
                let change: Change = Box::new(move |tx| over.iter().try_for_each(|(key, _)| tx.delete(TALLIES, key)));
                self.keeping.rows.commit(change).await?;
            }
        }
        Ok(())
    }

    fn key(&self, day: i64, domain: &Domain) -> Vec<u8> {
        let about = format!("{day} {}", domain.as_str().to_lowercase());
        self.keeping.vault.index().hash("tls-tally", about.as_bytes()).to_vec()
    }

    fn locked(&self, tallied: &Tallied) -> Result<Vec<u8>, StoreError> {
        let locked = lock_value(&self.keeping.vault, tallied);
        let locked = locked.map_err(|fault| StoreError::Unavailable(fault.to_string()))?;
        encode_row(&locked.epoch, &locked.octets)
    }

    fn unlocked(&self, row: &[u8]) -> Option<Tallied> {
        let (epoch, locked): (u32, _) = decode_row(row).ok()?;
        unlock_value(&self.keeping.vault, epoch, locked).ok()
    }
}

impl Tallied {
    fn new(day: i64, domain: Domain) -> Self {
        let drawn = random_octets::<8>().map_or(0, u64::from_le_bytes);
        let late = FIRST + Duration::from_secs(drawn % SPREAD);
        let due = end_of(day).after(late).unix_ms();
        Self { domain, day, policies: Vec::new(), told: Vec::new(), attempts: 0, due }
    }

    /// Not every place could be told: the next attempt comes later, each after twice as long.
    pub fn put_off(&mut self, now: Time) {
        self.due = now.after(AGAIN * 2_u32.pow(self.attempts.min(DOUBLINGS))).unix_ms();
        self.attempts = self.attempts.saturating_add(1);
    }

    fn is_due(&self, now: Time) -> bool {
        now >= Time::from_unix_ms(self.due) && now < self.ends()
    }

    fn ends(&self) -> Time {
        end_of(self.day).after(LIFETIME)
    }
}

impl KeptTally {
    /// A name for it that is nobody else's and tells nothing.
    #[must_use]
    pub fn name(&self) -> String {
        self.key.iter().take(16).map(|octet| format!("{octet:02x}")).collect()
    }
}

fn end_of(day: i64) -> Time {
    Time::from_unix_ms(day.saturating_add(1).saturating_mul(DAY))
}

fn put_all(rows: Vec<Row>) -> Change {
    Box::new(move |tx| rows.iter().try_for_each(|(key, row)| tx.put(TALLIES, key, row)))
}
