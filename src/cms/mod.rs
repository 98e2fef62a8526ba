//! The CMS and S/MIME language (RFC 5652, 5083, 8551).
//!
//! # Security
//!
//! Everything here reads bytes from strangers. Nothing here does I/O or knows the time; what is random comes from the
//! cryptographic library alone. BER is brought into DER within bounds ([`limits`]) before a strict parser sees it.

pub mod limits;
mod error;
pub mod ber;
pub mod algorithm;
mod oid;
mod element;
mod stream;
mod name;
mod extension;
mod public_key;
mod certificate;
mod attribute;
mod constraint;
mod policy;
mod flaw;
mod validate;
mod path;
mod crl;
mod ocsp;
mod revocation;
mod private_key;
mod oaep;
mod software_key;
mod cipher;
mod derivation;
mod recipient;
mod enveloped;
mod signed;
mod compressed;
pub mod entity;
mod password;
mod pem;
mod imported_key;
mod pkcs12;
mod import;

pub use attribute::{
    AlgorithmProtection, AttributeFault, Attributes, Capabilities, Capability, CertificateId, IssuerAndSerial,
    KeyPreference, SignatureType, SignedAttributes,
};
pub use certificate::{CERTIFICATE_OCTETS, Certificate};
pub use compressed::Decompressor;
pub use constraint::NameFlaw;
pub use crl::{CRL_OCTETS, Crl, Entry, Scope};
pub use element::Seconds;
pub use enveloped::{Envelope, Opened, Progress, Sealer, Unsealer};
pub use error::{CmsError, ImportFault};
pub use extension::{
    AuthorityKeyId, BasicConstraints, DistributionPoint, Extension, GeneralName, KeyUsage, NameConstraints,
    PolicyConstraints, PolicyMapping, RelativeName,
};
pub use flaw::{Flaw, PathFault};
pub use import::{IMPORT_OCTETS, Imported};
pub use imported_key::{ImportedKey, KEY_OCTETS};
pub use name::{Name, NameKey, OcesIdentity};
pub use ocsp::{CertStatus, OCSP_OCTETS, OcspCheck, OcspFault, ocsp_request, ocsp_status};
pub use oid::DATA as ID_DATA;
pub use password::{PASSWORD_OCTETS, Password};
pub use path::{PATH_CERTIFICATES, PATH_SIGNATURES, Path, Pool, Sources};
pub use pem::{PemBlock, is_pem, pem_blocks, to_pem};
pub use policy::{PolicyDemand, PolicyFlaw};
pub use private_key::{KeyFault, PrivateKey};
pub use public_key::{KeyKind, PublicKey, SignatureFault, Strictness, Weakness};
pub use recipient::{RecipientId, SealTo, SealWay, SealedKey};
pub use revocation::Evidence;
pub use signed::{
    ContentDigests, Digested, OpaqueWriter, SignFault, Signature, SignedData, SignedFault, SignedReader, Signer,
    SignerFault, SignerId, SignerReport, Signing, Statement, certificates_only,
};
pub use software_key::SoftwareKey;
pub use stream::{Around, Before, ContentKind, ContentWriter, Part, SEGMENT_OCTETS, Splitter};
pub use validate::{Check, Purpose};
