//! MIME entities that hold CMS: recognised, taken apart and written (RFC 8551 §3, RFC 1847).
//!
//! # Security
//!
//! Each entity is told of by itself: what one signature covers says nothing of the parts beside it. What is given as signed
//! content is octet for octet what the digest was taken of.

mod kind;
mod body;
mod multipart;
mod write;

pub use body::BodyDecoder;
pub use kind::{Entity, EntityFault, EntityKind, SmimeType};
pub use multipart::{DetachedSignature, SignedMultipart};
pub use write::{Base64Writer, MultipartSignedWriter, entity_header};
