//! Who knows our recipients: the mail server, a list, or a directory; and what is remembered of their answers.
//!
//! # Security
//!
//! Strangers choose what is asked. Questions under way, answers kept, and the time of each are bounded; what is asked of a
//! directory is escaped (RFC 4515 §3).

mod list;
mod directory;
mod remembered;
mod recipients;

pub use directory::{Directory, DirectorySettings, Filter, FilterFault};
pub use list::{ListFault, RecipientList};
pub use recipients::{Asked, Recipients};
pub use remembered::Remembered;
