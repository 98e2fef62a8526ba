//! The SMTP and LMTP language (RFC 5321, 2033, 3463).

mod status;
mod answer;
mod offers;
mod stuffing;

pub use answer::{Answer, AnswerFault};
pub use offers::{Offers, encode_xtext};
pub use status::{EnhancedStatus, EnhancedStatusFault};
pub use stuffing::{BareLineEnd, Stuffer};
