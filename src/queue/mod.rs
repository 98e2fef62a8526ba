//! Mail we have promised to carry.

mod reception;

pub use reception::{Origin, Peer, Receiving, Reception, ReceptionError};
