//! How a session with the next hop ends before its time.

use std::{fmt, io};

use rustls::CertificateError;

use crate::delivery::octets::Unreadable;
use crate::mail::TlsFailure;
use crate::net::handshake_fault;
use crate::smtp::{Answer, AnswerFault, BareLineEnd};

/// How far a session had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// TCP and TLS from the first byte.
    Connect,
    /// The 220.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS and the handshake.
    StartTls,
    /// AUTH.
    SignOn,
    /// RSET.
    Reset,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, up to its 354.
    Data,
    /// The message itself.
    Content,
    /// The final dot: from here on the peer may have taken the message.
    FinalDot,
}

/// Why a session ended. Whatever was not settled by then waits, but for a message that must never leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// No address, or nobody listens there.
    #[error("the host cannot be reached: {0}")]
    HostUnreachable(String),
    /// Nothing came, or nothing was taken, for as long as RFC 5321 §4.5.3.2 asks us to wait.
    #[error("the peer was silent for too long at {0}")]
    PeerSilent(Step),
    /// The attempt took longer than an attempt may, before the peer had the whole message.
    #[error("the attempt took too long, and was given up at {0}")]
    AttemptTooLong(Step),
    /// The next hop has as many connections as it may, and none became free.
    #[error("all connections to the next hop are in use")]
    NoConnectionFree,
    /// The peer ended the connection.
    #[error("the peer closed the connection at {0}")]
    PeerClosed(Step),
    /// The connection broke.
    #[error("the connection broke at {0}: {1}")]
    ConnectionBroke(Step, String),
    /// What the peer said is no reply.
    #[error("{1}, at {0}")]
    PeerSpeaksNoSmtp(Step, AnswerFault),
    /// The peer said yes to a message it had not seen the end of.
    #[error("the peer answered before it was asked")]
    PeerIsOutOfStep,
    /// The peer wants nothing to do with us: a refusal that is not about this message.
    #[error("the peer refused the session at {0}")]
    PeerRefusedSession(Step, Answer),
    /// The peer calls itself what we call ourselves.
    #[error("the peer is ourselves: mail for the domain goes in a circle")]
    PeerIsOurselves,
    /// TLS is required and the peer has none.
    #[error("the peer offers no STARTTLS, and this route requires it")]
    PeerOffersNoTls,
    /// The handshake failed, most often over the certificate.
    #[error("no TLS with the peer: {0}")]
    TlsFailed(TlsFault),
    /// Bytes came behind the 220 to STARTTLS, in the clear: somebody injects (CVE-2011-0411).
    #[error("the peer sent something in the clear behind its answer to STARTTLS")]
    PeerInjectedBehindStartTls,
    /// We have a name and a password there, and no way to say them that both sides know.
    #[error("the peer offers neither AUTH PLAIN nor AUTH LOGIN, and we are to sign on")]
    PeerOffersNoLogin,
    /// Our own store failed.
    #[error(transparent)]
    MessageUnreadable(Unreadable),
    /// The message must not leave.
    #[error(transparent)]
    MessageHasBareLineEnd(#[from] BareLineEnd),
}

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct TlsFault {
    /// What a report calls it (RFC 8460 §4.3).
    pub failure: TlsFailure,
    said: String,
}

impl From<io::Error> for TlsFault {
    fn from(fault: io::Error) -> Self {
        let rustls = fault.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        Self { failure: rustls.map_or(TlsFailure::ValidationFailure, failure_of), said: handshake_fault(&fault) }
    }
}

/// What a report calls a fault of TLS.
#[must_use]
pub fn failure_of(fault: &rustls::Error) -> TlsFailure {
    let rustls::Error::InvalidCertificate(fault) = fault else { return TlsFailure::ValidationFailure };
    match fault {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::CertificateHostMismatch
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::CertificateExpired,
        // What is held against TLSA records, and fits none, says no more.
        CertificateError::ApplicationVerificationFailure => TlsFailure::ValidationFailure,
        _ => TlsFailure::CertificateNotTrusted,
    }
}

impl SessionError {
    /// Whether another attempt may do better. All may, but for a message that must not leave, or that comes back to us.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        !matches!(self, Self::MessageHasBareLineEnd(_) | Self::PeerIsOurselves)
    }

    /// What the peer said, where that is what ended the session.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::PeerRefusedSession(_, answer) => Some(answer),
            Self::HostUnreachable(_)
            | Self::PeerSilent(_)
            | Self::AttemptTooLong(_)
            | Self::NoConnectionFree
            | Self::PeerClosed(_)
            | Self::ConnectionBroke(..)
            | Self::PeerSpeaksNoSmtp(..)
            | Self::PeerIsOutOfStep
            | Self::PeerIsOurselves
            | Self::PeerOffersNoTls
            | Self::TlsFailed(_)
            | Self::PeerInjectedBehindStartTls
            | Self::PeerOffersNoLogin
            | Self::MessageUnreadable(_)
            | Self::MessageHasBareLineEnd(_) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Greeting => "the greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::SignOn => "AUTH",
            Self::Reset => "RSET",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Content => "the message",
            Self::FinalDot => "the final dot",
        })
    }
}
