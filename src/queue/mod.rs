//! Mail we have promised to carry: one item for each message taken, one consignment for each way it goes out.
//!
//! An item is *incoming* until the carrier has served its recipients, then its consignments are attempted until each
//! recipient is delivered, failed or held. All of it is rows; what names a person or a subject in them is locked.

mod error;
mod reception;
mod answer;
mod item;
mod table;
mod index;
mod untold;
mod remains;
mod marks;
mod warm;
mod spool;
mod intake;
mod lease;
mod backoff;
mod settle;
mod schedule;
mod listed;
mod inspect;

pub use answer::{Answer, AnswerIntake, Attachment};
pub use backoff::Backoff;
pub use error::QueueError;
pub use inspect::{Census, Filter, Inspector, Page, Waiting};
pub use intake::{NewItem, PreparedItem};
pub use item::{Consignment, Ended, Failure, Item, Kind, Progress, RecipientState, Smime, Summary};
pub use lease::{ConsignmentLease, Grip, IncomingLease, TellingLease, Term};
pub use listed::{Listed, ListedRecipient};
pub use marks::{Mark, Marks};
pub use reception::{Origin, Peer, Receiving, Reception, ReceptionError};
pub use schedule::{EndPauses, NoPauses, Schedule};
pub use settle::{Exchange, Settlement};
pub use spool::{Draft, Spool};
pub use table::Stage;
pub use untold::{Telling, Untold};
pub use warm::{Warm, WarmMessage, WarmReading};
