//! Why a session ends, and its last words.

use crate::smtp::{LineFault, Reply};
use crate::smtpd::door::Limit;
use crate::smtpd::texts;

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Parting {
    /// QUIT.
    #[error("the peer said goodbye")]
    Quit,
    /// The connection ended, or broke.
    #[error("the peer has gone")]
    PeerGone,
    /// The TLS handshake failed; there is nobody to talk to.
    #[error("the handshake failed")]
    HandshakeFailed,
    /// It spoke before the greeting.
    #[error("the peer spoke before the greeting")]
    SpokeTooSoon,
    /// The client it speaks for has its share of sessions.
    #[error("the client has its share of sessions")]
    ClientFull,
    /// The client comes, sends or is refused too often.
    #[error("too often for {0}")]
    TooOften(Limit),
    /// Nothing came in time, or nothing was read.
    #[error("the peer took too long")]
    Idle,
    /// The session has lasted too long in all.
    #[error("the session has lasted too long")]
    SessionTooLong,
    /// The program comes to its end.
    #[error("the program stops")]
    Stopping,
    /// Too many faults in a row.
    #[error("the peer made too many errors")]
    TooManyFaults,
    /// A CR or LF alone in a command.
    #[error("the peer sent a CR or LF that stands alone")]
    BareLineEnd,
    /// A command line over the limit.
    #[error("the peer sent a line that is too long")]
    LineTooLong,
    /// HTTP and the like.
    #[error("the peer speaks another protocol")]
    OtherProtocol,
    /// Octets behind STARTTLS, which somebody in the middle may have put there (CVE-2011-0411).
    #[error("the peer sent octets behind STARTTLS")]
    BehindStartTls,
    /// Where the chunk ends cannot be known, so nothing behind it can be read as commands.
    #[error("the size of a chunk cannot be read")]
    ChunkSizeUnreadable,
    /// More than patience swallows.
    #[error("the peer sent far more than a message may have")]
    TooMuch,
}

impl Parting {
    /// What the peer hears last, if it can hear anything.
    pub(crate) fn last_words(self) -> Option<Reply> {
        match self {
            Self::PeerGone | Self::HandshakeFailed => None,
            Self::Quit => Some(texts::BYE),
            Self::SpokeTooSoon => Some(texts::SPOKE_TOO_SOON),
            Self::ClientFull => Some(texts::CLIENT_FULL),
            Self::TooOften(_) => Some(texts::TOO_OFTEN),
            Self::Idle => Some(texts::IDLE),
            Self::SessionTooLong => Some(texts::SESSION_TOO_LONG),
            Self::Stopping => Some(texts::STOPPING),
            Self::TooManyFaults => Some(texts::TOO_MANY_FAULTS),
            Self::BareLineEnd => Some(texts::BARE_LINE_END_IN_COMMAND),
            Self::LineTooLong => Some(texts::COMMAND_TOO_LONG),
            Self::OtherProtocol => Some(texts::OTHER_PROTOCOL),
            Self::BehindStartTls => Some(texts::BEHIND_STARTTLS),
            Self::ChunkSizeUnreadable => Some(texts::CHUNK_SIZE_UNREADABLE),
            Self::TooMuch => Some(texts::TOO_MUCH),
        }
    }

    /// Whether the peer does what no honest mail server does: worth a line in the log.
    pub(crate) fn is_suspicious(self) -> bool {
        match self {
            Self::BareLineEnd
            | Self::LineTooLong
            | Self::OtherProtocol
            | Self::BehindStartTls
            | Self::ChunkSizeUnreadable
            | Self::TooMuch
            | Self::TooManyFaults
            | Self::SpokeTooSoon
            | Self::TooOften(_) => true,
            Self::Quit
            | Self::PeerGone
            | Self::HandshakeFailed
            | Self::ClientFull
            | Self::Idle
            | Self::SessionTooLong
            | Self::Stopping => false,
        }
    }
}

impl From<LineFault> for Parting {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::BareLineEnd => Self::BareLineEnd,
            LineFault::TooLong => Self::LineTooLong,
        }
    }
}
