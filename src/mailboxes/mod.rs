//! What recipients can read: messages in their post boxes, who they are, what they have begun to write.
//!
//! # Security
//!
//! Everything that describes a message or a person is locked; indexes hold keyed hashes. A message is given out to the
//! one person it is for, by id of that person, never by address or link alone.

mod error;
mod person;
mod stored;
mod table;
mod damage;
mod post_box;
mod claim;
mod draft;
mod content;
mod answered;
mod expiry;
mod erasure;

pub use claim::{Claim, ClaimRefused};
pub use content::{KeptFile, Octets, Upload};
pub use damage::DamagedRow;
pub use draft::{Draft, DraftFile};
pub use error::MailboxError;
pub use expiry::{EndMessages, Ended};
pub use person::{Binding, Identified, PersonId};
pub use post_box::{Deposited, Found, PostBox};
pub use stored::{Deposit, Milestones, Sent, State, Stored, StoredId, StoredIdFault};
