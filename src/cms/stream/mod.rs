//! A ContentInfo (RFC 5652 §3) whose content passes in pieces, while what stands around it is held.

mod kind;
mod splitter;
mod writer;

pub use kind::ContentKind;
pub use splitter::{Around, Before, Part, Splitter};
pub use writer::{ContentWriter, SEGMENT_OCTETS};
