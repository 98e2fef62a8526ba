//! Seals what we send: makes, of a treatment and a message, what may leave.
//!
//! # Security
//!
//! [`Outgoing`] is the only thing the queue sends. Its constructors are here: one for a treatment that says *pass*,
//! one for what sealgate writes itself. There is none for a secured recipient's plain text.

mod content;
mod outgoing;

pub use content::Content;
pub use outgoing::{NextHop, Outgoing};
