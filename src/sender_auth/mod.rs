//! Who a message is from, as far as it can be proven: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 9989), ARC (RFC 8617), and
//! what is told of it (RFC 8601). And what we prove ourselves: signatures over what leaves, seals over what is handed on.
//!
//! # Security
//!
//! Names, records, signatures and headers come from strangers. Every look-up, signature and walk has a bound, all of them
//! together have a deadline and one count of questions, and what cannot be found out within them counts as not found out,
//! never as proven.

mod lookup;
mod canonical;
mod body_hash;
mod tags;
mod signature;
mod dkim;
mod arc;
mod spf;
mod iprev;
mod dmarc;
mod results;
mod check;
mod signing_key;
mod signed_field;
mod signer;
mod arc_seal;
mod signers;
mod key_state;

pub use arc::{ArcChain, ArcStatus};
pub use arc_seal::{Chain, SealFault};
pub use body_hash::{BodyHash, BodyHashes};
pub use canonical::{BodyDigest, RelaxedBody};
pub use check::{Checks, Hand, Proof, Ruling};
pub use dkim::{DkimResult, Signed};
pub use dmarc::{DmarcResult, Flaw, Policy, Verdict};
pub use iprev::IprevResult;
pub use key_state::{KeyState, KeyUse, Keys, KeysFault, RecordSeen, Rotation};
pub use lookup::{Names, Unanswered};
pub use results::{authentication_results, claims, told, with_results};
pub use signer::Signer;
pub use signers::{Ring, Signers};
pub use signing_key::{Algorithm, AlgorithmUnknown, KeyUnusable, SignFault, SigningKey, publishes};
pub use spf::SpfResult;

pub(crate) use results::property;
