//! The SMTP and LMTP language (RFC 5321, 2033, 3463).

mod status;
mod answer;
mod offers;
mod stuffing;
mod reply;
mod path;
mod xclient;
mod command;
mod lines;
mod unstuffing;

pub use answer::{Answer, AnswerFault};
pub use command::{Bdat, COMMAND_OCTETS, Command, CommandFault, ForwardPath, MailFrom, RcptTo};
pub use lines::{LineBuffer, LineFault};
pub use offers::{Offers, encode_xtext};
pub use reply::Reply;
pub use status::{EnhancedStatus, EnhancedStatusFault};
pub use stuffing::{BareLineEnd, Stuffer};
pub use unstuffing::{TextCheck, TextFault, Unstuffed, Unstuffer};
pub use xclient::{Attribute, XCLIENT_ATTRIBUTES, Xclient};
