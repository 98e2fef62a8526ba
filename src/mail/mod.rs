//! The words of mail: addresses, envelopes, messages, reports (RFC 5321, 5322, 6531, 2045, 3464).
//!
//! # Security
//!
//! Everything here reads bytes from strangers. Nothing here does I/O; every length, depth and count has a
//! bound in [`limits`].

pub mod limits;
mod domain;
mod address;
mod tagged;
mod envelope;
mod queue_id;
mod encoded_word;
mod field;
mod write;
mod edit;
mod date;
mod trace;
mod transfer;
mod part;
mod mime;
mod downgrade;
mod automatic;
mod compose;
mod report;
mod tls_report;
mod bounce;

pub use address::{Address, AddressFault, LocalPart, ReversePath, postmaster_of};
pub use automatic::{is_automatic, is_out_of_office};
pub use bounce::{Bounce, BouncedRecipient};
pub use compose::{Letter, MultipartWriter};
pub use date::rfc5322;
pub use domain::{ByDomain, Domain, DomainFault, DomainPattern};
pub use downgrade::{Downgrade, NotInSevenBits};
pub use edit::{HeaderEdit, find_folded, is_invisible, without};
pub use encoded_word::DecodedText;
pub use envelope::{BodyType, DsnNotify, DsnReturn, Envelope, Recipient};
pub use field::{Field, Header};
pub use mime::{PartSink, Splitter, Structure, StructureFault};
pub(crate) use part::content_parameter;
pub use part::{Disposition, PartHead};
pub use queue_id::QueueId;
pub use report::{Action, Report, ReportedRecipient, Returned};
pub use tagged::Srs;
pub use tls_report::{
    AppliedPolicy, DateRange, FailureDetail, PolicyType, ReportPlace, ReportedPolicy, SessionCount, TlsFailure,
    TlsReport, add_policies, report_places,
};
pub use trace::{Hop, received};
pub(crate) use transfer::Decoder;
pub use transfer::{PartEnd, TransferEncoding};
pub use write::{mailbox, parameter, structured, unstructured};
