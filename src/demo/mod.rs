//! The whole loop on this machine: a gateway between stand-ins, walked once and left to be clicked through.
//!
//! What stands in for a mail server, a recipient's mail provider or an e-ID is named as such and exists here alone.

mod op;

pub use op::{LEVEL, Misdeed, NUMBER_CLAIM, Op, Person};
