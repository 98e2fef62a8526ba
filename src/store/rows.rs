//! The seam to the row store: ordered tables of bytes, read at any time, changed in durable transactions.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use crate::store::error::StoreError;

/// The name of a table. Every module declares the tables it owns as constants; no other module reads them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Table(pub &'static str);

/// A row: its key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// What one durable transaction does, as a function over the rows.
///
/// It may read and write; it runs at most once, on the store's own thread, so it must be quick and must not
/// wait for anything. If it returns an error, **it must not have written anything before**: look first, then write.
pub type Change = Box<dyn FnOnce(&mut dyn Transaction) -> Result<(), StoreError> + Send>;

/// The rows as a [`Change`] sees them: its own writes included.
pub trait Transaction {
    /// The value under a key.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` rows between two keys, in key order.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    fn range(&self, table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError>;

    /// Writes a row, over the one that stood there.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes a row; nothing happens if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;
}

/// A row store. Reads see the newest commit. Concurrent commits share one sync (group commit).
#[async_trait]
pub trait Rows: Send + Sync + 'static {
    /// The value under a key.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` rows between two keys, in key order.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    fn range(&self, table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError>;

    /// Up to `limit` keys between two, in order: what of an index alone counts, or of rows that are large.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    fn keys(
        &self,
        table: Table,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError>;

    /// The last row of a table, by key.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    fn last(&self, table: Table) -> Result<Option<Row>, StoreError>;

    /// Runs a change and returns when it is on the disk and synced: all of it, or nothing of it.
    ///
    /// # Errors
    /// What the change returned, or [`StoreError`] if the medium fails.
    async fn commit(&self, change: Change) -> Result<(), StoreError>;
}

/// Rows of a page.
const PAGE: usize = 1_000;

/// Every row of a table, a page at a time: what is read while others write, and however many there are.
pub fn pages(rows: &dyn Rows, table: Table) -> impl Iterator<Item = Result<Vec<Row>, StoreError>> {
    let mut after: Option<Vec<u8>> = None;
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let page = rows.range(table, from, Bound::Unbounded, PAGE);
        match page.as_ref().ok().and_then(|page| page.last()) {
            Some((last, _)) => after = Some(last.clone()),
            None => ended = true,
        }
        page.map_or_else(|fault| Some(Err(fault)), |page| (!page.is_empty()).then_some(Ok(page)))
    })
}

/// The row store as everybody holds it.
pub type RowsHandle = Arc<dyn Rows>;
