//! Recipients of sealed content: for whom, and how, its key is encrypted (RFC 5652 §6.2, RFC 5753, 8418, 9629).

mod id;
mod transport;
mod agreement;
mod kem;
mod sealed_key;
mod seal_to;

pub use id::RecipientId;
pub use seal_to::{SealTo, SealWay};
pub use sealed_key::SealedKey;

pub(crate) use sealed_key::read_all;
