//! Opens what we receive: S/MIME layer by layer, from one locked spool into the next.
//!
//! # Security
//!
//! Only a message whose root is S/MIME is opened: a sealed part beside others stays closed, so that nothing of it is shown,
//! or sent, together with what strangers put around it (EFAIL, RFC 8551 §6). What a layer gives is kept under the lock and
//! used when its end has said so, never before. Depth, octets and time are bounded. Whatever goes wrong is one answer, and
//! none of it goes back to the sender.

mod head;
mod spooled;
mod reader;
mod protected;
mod signers;
mod opener;

pub use opener::{Opener, Opening, OpeningFault, Unwrapped};
pub(crate) use protected::OUTER_FIELD;
pub use protected::Protected;
