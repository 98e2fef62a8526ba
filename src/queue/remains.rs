//! What is left of an item of which a row cannot even be decoded: it is found by the item's id alone, wherever that stands.

use std::ops::Bound;

use crate::mail::QueueId;
use crate::queue::index::{self, APART, BY_DOMAIN};
use crate::queue::table::{CONSIGNMENTS, DUE, DUE_INSIDE, INCOMING, ITEMS};
use crate::queue::untold::{TELLING, UNTOLD};
use crate::store::{Bodies, BodyRef, StoreError, Table, Transaction};

/// Tables whose keys begin with the id, and those that have it behind so many octets: a time, a hash, a stage.
const BY_ID: [Table; 3] = [ITEMS, CONSIGNMENTS, UNTOLD];
const BEHIND_OTHERS: [(Table, usize); 6] =
    [(INCOMING, 8), (DUE, 8), (DUE_INSIDE, 8), (TELLING, 8), (BY_DOMAIN, 8), (APART, 1)];
/// Rows read at a time.
const AT_A_TIME: usize = 1_000;

/// Takes out everything of an item, and one owner of each of its bodies, if anybody knows which they were. It looks at every row of the
/// queue's indexes, for what would say where to look cannot be read; so it is for who drops one such item by hand.
///
/// # Errors
/// [`StoreError`] if the medium fails; nothing is written then.
pub(crate) fn clear(
    tx: &mut dyn Transaction,
    bodies: &Bodies,
    id: QueueId,
    kept: &[BodyRef],
) -> Result<(), StoreError> {
    let mut found: Vec<(Table, Vec<u8>)> = Vec::new();
    for table in BY_ID {
        let (first, last) = (id.as_bytes().to_vec(), [&id.as_bytes()[..], &[u8::MAX; 6]].concat());
        keys(tx, table, Some(first), Some(&last), |key| found.push((table, key.to_vec())))?;
    }
    for (table, before) in BEHIND_OTHERS {
        keys(tx, table, None, None, |key| {
            if key.get(before..before + 16) == Some(id.as_bytes().as_slice()) {
                found.push((table, key.to_vec()));
            }
        })?;
    }
    let kept: Vec<&BodyRef> = kept.iter().filter(|body| bodies.is_there(tx, body).is_ok()).collect();
    let counts = index::counted_anew(tx, id)?;
    found.iter().try_for_each(|(table, key)| tx.delete(*table, key))?;
    index::put_counts(tx, &counts)?;
    kept.into_iter().try_for_each(|body| bodies.release(tx, body))
}

/// Every key of a table between two, a page at a time.
fn keys(
    tx: &dyn Transaction,
    table: Table,
    from: Option<Vec<u8>>,
    to: Option<&[u8]>,
    mut each: impl FnMut(&[u8]),
) -> Result<(), StoreError> {
    let to = to.map_or(Bound::Unbounded, Bound::Included);
    let mut start = from.map_or(Bound::Unbounded, Bound::Included);
    loop {
        let page = tx.range(table, start.as_ref().map(Vec::as_slice), to, AT_A_TIME)?;
        page.iter().for_each(|(key, _)| each(key));
        let Some((last, _)) = page.into_iter().next_back() else { return Ok(()) };
        start = Bound::Excluded(last);
    }
}
