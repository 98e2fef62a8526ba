//! What should happen to a message: facts in, a verdict per recipient out, and a treatment for each verdict.
//!
//! Judging and serving are pure: no I/O, no clock, no randomness. What they may look at is gathered before.
//!
//! # Security
//!
//! Reads what senders wrote, and attachments anybody may have made. Everything is bounded; what cannot be read counts
//! as a match unless the configuration says otherwise. Senders can only raise protection.

mod error;
mod admission;
mod protection;
mod scan;
mod text;
mod text_part;
mod pdf;
mod container;
mod facts;
mod condition;
mod directive;
mod rule;
mod reader;
mod verdict;
mod judge;
mod sealable;
mod treatment;
mod serve;
mod explanation;

pub use admission::{RecipientCheck, Standing, Wish, wish};
pub use condition::{Condition, Pattern};
pub use directive::{Chooser, DIRECTIVE_FIELDS, Departments, Directives, NumberDomains, Removals, parse_directives};
pub use error::{Refusal, RuleFault};
pub use explanation::{Explained, ExplainedWay, Explanation};
pub use facts::Facts;
pub use judge::judge;
pub use protection::{Channel, Protection};
pub use reader::{Read, Reader};
pub use rule::{Grant, Rule, Rules, RulesBuilder};
pub use scan::Search;
pub use sealable::{Obstacle, Sealable, Sealables};
pub use serve::{Reach, VerifiedTls, serve};
pub use treatment::{Means, Reason, Treatment};
pub use verdict::{FixedKind, Place, RecipientVerdict, Verdict, lift_hold};
