//! Signed content, RFC 5652 §5.
//!
//! # Security
//!
//! A signature proves who signed these octets, and nothing about octets beside them: of content that stands twice, or of a
//! message nobody signed, nothing is said. Whether a signer's certificate is to be believed is told by its path.

mod digests;
mod signer_info;
mod report;
mod verify;
mod data;
mod reader;
mod writer;
mod opaque;

pub use data::SignedData;
pub use digests::{ContentDigests, Digested};
pub use opaque::OpaqueWriter;
pub use reader::SignedReader;
pub use report::{SignedFault, SignerFault, SignerReport};
pub use signer_info::SignerId;
pub use writer::{SignFault, Signature, Signer, Signing, Statement, certificates_only};
