//! What became of one recipient in one attempt.

use std::fmt;

use crate::smtp::{Answer, EnhancedStatus};

/// Octets of a peer's words that are kept with a recipient.
pub const REPLY_OCTETS: usize = 1_000;

/// What became of one recipient (RFC 3464 §2.3.3 Action).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The next hop has taken the recipient over.
    Delivered(Delivery),
    /// Not now; a later attempt may do better.
    Deferred(Diagnosis),
    /// Never; the sender is to be told.
    Failed(Diagnosis),
}

/// A delivery that worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What it means for who wants a report.
    pub handover: Handover,
    /// Who took it: the host as configured.
    pub remote: String,
    /// What it said, at most [`REPLY_OCTETS`], one line: often the id it goes on under.
    pub reply: String,
}

/// What a delivery means for a report of success (RFC 3461 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// It lies in the mailbox: `delivered` (LMTP).
    Final,
    /// The next hop took the wishes along and reports itself: nothing for us to say.
    WishesPassedOn,
    /// The next hop knows no reports: `relayed`, if success was to be told.
    Relayed,
}

/// Whose doing it is that a recipient was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// This recipient's address or mailbox; others may be served.
    Recipient,
    /// The message or its sender; no recipient there will be served.
    Message,
    /// The next hop or the way to it; all mail on this route waits.
    Peer,
    /// Our own store or settings.
    Ourselves,
}

/// Why a recipient was not served. For the queue, the report and the log; a stranger reads none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Whose doing.
    pub blame: Blame,
    /// 4.y.z or 5.y.z: the class alone decides between deferred and failed.
    pub status: EnhancedStatus,
    /// Our words: what went wrong, at which step.
    pub reason: String,
    /// The peer's words, code first, one line, at most [`REPLY_OCTETS`]; `None` where it said nothing.
    pub reply: Option<String>,
    /// The host as configured; `None` where none was called.
    pub remote: Option<String>,
}

impl Outcome {
    /// Deferred or failed, as the diagnosis says.
    #[must_use]
    pub fn unserved(diagnosis: Diagnosis) -> Self {
        if diagnosis.is_temporary() { Self::Deferred(diagnosis) } else { Self::Failed(diagnosis) }
    }

    /// The diagnosis, unless all went well.
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        match self {
            Self::Delivered(_) => None,
            Self::Deferred(diagnosis) | Self::Failed(diagnosis) => Some(diagnosis),
        }
    }
}

impl Diagnosis {
    /// Whether a later attempt may do better.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.status.class() == 4
    }
}

/// A reply as one line of at most [`REPLY_OCTETS`].
#[must_use]
pub fn bounded(answer: &Answer) -> String {
    let mut text = answer.to_string();
    text.truncate(text.floor_char_boundary(REPLY_OCTETS));
    text
}

/// For reports and `queue show`.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason)?;
        if let Some(reply) = &self.reply {
            write!(f, ": {reply}")?;
        }
        Ok(())
    }
}

/// For the log: without the peer's words, which may name people.
impl fmt::Debug for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason)
    }
}
