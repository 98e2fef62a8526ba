//! The version of what is on the disk, and the steps from older ones.

use crate::store::error::StoreError;
use crate::store::rows::{Table, Transaction};

/// The version this program writes.
pub(crate) const VERSION: u32 = 1;
/// Facts about the store itself.
pub(crate) const META: Table = Table("store.meta");
pub(crate) const VERSION_KEY: &[u8] = b"version";

/// A step from the version before it to the next, in one transaction.
type Step = fn(&mut dyn Transaction) -> Result<(), StoreError>;

/// The steps in order: the first leads from version 1 to 2.
const STEPS: &[Step] = &[];

pub(crate) fn parse_version(octets: &[u8]) -> Result<u32, StoreError> {
    let octets = octets.try_into().map_err(|_| StoreError::Damaged("the store's version".into()))?;
    Ok(u32::from_be_bytes(octets))
}

/// Brings a store to this version. A new one has nothing to bring.
pub(crate) fn migrate(tx: &mut dyn Transaction, found: Option<u32>) -> Result<(), StoreError> {
    if let Some(found) = found {
        let done = usize::try_from(found.saturating_sub(1)).unwrap_or(usize::MAX);
        STEPS.iter().skip(done).try_for_each(|step| step(tx))?;
    }
    tx.put(META, VERSION_KEY, &VERSION.to_be_bytes())
}
