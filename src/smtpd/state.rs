//! Where a session stands. What may come next is decided by the state's type, and a transaction dies with it.

use crate::smtp::{MailFrom, TextCheck};
use crate::smtpd::intake::Intake;
use crate::smtpd::transaction::{Greeting, Transaction};

/// The states of a session (RFC 5321 §4.1.4).
pub(crate) enum State {
    /// No EHLO yet, or none since STARTTLS.
    Connected,
    /// Ready for MAIL.
    Greeted(Greeting),
    /// MAIL was accepted.
    MailGiven(Greeting, MailFrom),
    /// One RCPT at least was accepted.
    RcptGiven(Greeting, Box<Transaction>),
    /// One BDAT at least has come.
    Chunking(Greeting, Box<Chunks>),
}

/// A message that comes by BDAT.
pub(crate) struct Chunks {
    pub(crate) intake: Intake,
    pub(crate) check: TextCheck,
}

impl State {
    /// Whether something would be lost if the session ended now.
    pub(crate) fn is_in_transaction(&self) -> bool {
        match self {
            Self::Connected | Self::Greeted(_) => false,
            Self::MailGiven(..) | Self::RcptGiven(..) | Self::Chunking(..) => true,
        }
    }

    /// The state without its transaction: what RSET leaves (RFC 5321 §4.1.1.5).
    pub(crate) fn reset(self) -> Self {
        match self {
            Self::Connected => Self::Connected,
            Self::Greeted(greeting)
            | Self::MailGiven(greeting, _)
            | Self::RcptGiven(greeting, _)
            | Self::Chunking(greeting, _) => Self::Greeted(greeting),
        }
    }
}
