//! Algorithm identifiers: what we know, as closed sets. What stands in none of them is refused by name.

mod oid;
mod digest;
mod content_encryption;
mod key_wrap;
mod key_transport;
mod key_agreement;
mod signature;

pub use content_encryption::{AesKeyLength, ContentEncryption, ContentParameters};
pub use digest::DigestAlgorithm;
pub use key_agreement::{AgreementKdf, KeyAgreement};
pub use key_transport::KeyTransport;
pub use key_wrap::KeyWrap;
pub use signature::SignatureAlgorithm;
