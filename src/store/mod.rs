//! Where locked bytes and rows live, behind two seams: [`Rows`] and [`Blobs`].

mod error;
mod rows;
mod row;
mod migration;
mod medium;
mod embedded;
mod files;
mod bodies;
mod room;

pub use bodies::{Bodies, BodyReader, BodyRef, BodyWriter, INLINE_OCTETS, PreparedBody};
pub use embedded::Embedded;
pub use error::StoreError;
pub use files::{BlobReader, BlobWriter, Blobs, Files};
pub use room::free_octets;
pub use row::{LockedValue, LockedValueFault, decode_row, encode_row, lock_value, unlock_value};
pub use rows::{Change, Row, Rows, RowsHandle, Table, Transaction, pages};
