//! EnvelopedData (RFC 5652 §6) and AuthEnvelopedData (RFC 5083), sealed and opened piece by piece.
//!
//! # Security
//!
//! Whoever opens gets octets before it is known whether they may be used: they go to a spool that can be thrown away, and
//! are used once the end has said so. Wrong keys, damage and forgery give one answer. What has no tag (AES-CBC) may have
//! been changed on its way by anyone (EFAIL), and says so.

mod seal;
mod open;

pub use open::{Envelope, Opened, Progress, Unsealer};
pub use seal::Sealer;
