//! Who is out there: national numbers, certificates of others and of ours, tunnels between domains.
//!
//! # Security
//!
//! Certificates come from strangers' mail and from tables that operators are handed. None is used before somebody, or the
//! policy, accepted it; one that is in use is never replaced by another in silence; and whatever is accepted must still
//! lead to a root and not be revoked whenever it is used. If the store fails, nothing can be sealed to; nothing leaves in the
//! clear for that.

mod national_id;
mod error;
mod scope;
mod evidence;
mod trust;
mod own_keys;
mod made_keys;
mod certificates;
mod table_file;
mod recipient_keys;
mod lookup;
mod refresh;

pub use certificates::{Certificates, Decision, Entry, EntryRow, Offer, Source, Taken, id_of};
pub use error::DirectoryError;
pub use evidence::{EVIDENCE_OCTETS, Evidences, Told};
pub use lookup::{ConfiguredTunnel, Directory, DirectorySettings, Partner};
pub use made_keys::{Brought, KeyAlgorithm, MadeKeeping, MadeKeys, Waiting};
pub use national_id::{Certainty, NationalId, NationalIdFault, NumberType};
pub use own_keys::{OwnKey, OwnKeys};
pub use recipient_keys::{Candidate, RecipientKeys, WhyNot};
pub use refresh::Refresher;
pub use scope::{NoScope, Scope};
pub use table_file::{TableFile, nothing_in};
pub use trust::{Strangers, TrustSettings, Trusted, WhenUnknown};
