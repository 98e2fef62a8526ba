//! Where locked bytes and rows live, behind two seams: [`Rows`] and blobs.

mod error;
mod rows;

pub use error::StoreError;
pub use rows::{Change, Rows, RowsHandle, Table, Transaction};
