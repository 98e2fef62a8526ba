//! What happened: a chain of events, each written in the transaction that made it true.

mod event;
mod chain;
mod journal;
mod key_book;

pub use chain::{ChainReport, Head, verify};
pub use event::{Event, EventKind, Told};
pub use journal::{Entry, Journal, Recalled};
pub use key_book::relied_on;
