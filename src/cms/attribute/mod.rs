//! Attributes of signers and of authenticated content (RFC 5652 §11, RFC 8551 §2.5).

mod set;
mod signer_id;
mod capability;
mod certificate_id;
mod key_preference;
mod protection;
mod purpose;
mod signed;

pub use capability::{Capabilities, Capability};
pub use certificate_id::CertificateId;
pub use key_preference::KeyPreference;
pub use protection::AlgorithmProtection;
pub use purpose::SignatureType;
pub use set::{AttributeFault, Attributes};
pub(crate) use set::{identifier, set_of};
pub use signed::SignedAttributes;
pub use signer_id::IssuerAndSerial;
