//! What a door may ask of the house: to take a message, octet by octet, and to promise it.

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::mail::{Address, Envelope, QueueId, ReversePath};
use crate::queue::error::QueueError;
use crate::store::StoreError;

/// Which door a message came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// `smtpd.outbound`: our own mail server.
    Outbound,
    /// `smtpd.inbound`: the internet.
    Inbound,
}

/// The peer at the door, for the `Received` field and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where the connection comes from.
    pub ip: IpAddr,
    /// What it said in EHLO, HELO or LHLO.
    pub helo: String,
    /// `ESMTP`, `ESMTPS`, `UTF8SMTP`, … (RFC 3848, RFC 6531 §4.3).
    pub protocol: &'static str,
    /// TLS version and cipher suite for the `Received` field, e.g. `TLSv1.3 with cipher TLS_AES_256_GCM_SHA384`.
    pub tls: Option<String>,
}

/// Why a sender, a recipient or a message is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceptionError {
    /// `550` with this enhanced status (`5.7.1`) and text, to be said to the peer as it stands.
    #[error("refused: {status} {text}")]
    Refused {
        /// The enhanced status code, RFC 3463.
        status: &'static str,
        /// One line, no CR or LF: a rule's own words or the reason.
        text: String,
    },
    /// The message is larger than allowed: `552 5.3.4`.
    #[error("the message is larger than allowed")]
    TooLarge,
    /// The header or the MIME structure passes a limit in a way that cannot be carried: `554 5.6.0`.
    #[error("the message passes a limit: {0}")]
    PassesLimit(&'static str),
    /// No room: `452 4.3.1`.
    #[error("the disk is full")]
    DiskIsFull,
    /// No room is left beyond a mark of ours, which the text names for the log: `452 4.3.1`.
    #[error("{0}")]
    PastMark(String),
    /// Try again later: `451 4.3.0`. The text is for the log alone.
    #[error("not available: {0}")]
    Unavailable(String),
}

/// The house as a door sees it.
#[async_trait]
pub trait Reception: Send + Sync + 'static {
    /// Whether mail from this sender may be taken at this door. Asked at `MAIL FROM`.
    ///
    /// # Errors
    /// The refusal.
    async fn admit_sender(&self, origin: Origin, sender: &ReversePath) -> Result<(), ReceptionError>;

    /// Whether mail for this recipient may be taken at this door. Asked at `RCPT TO`.
    ///
    /// # Errors
    /// The refusal.
    async fn admit_recipient(
        &self,
        origin: Origin,
        sender: &ReversePath,
        recipient: &Address,
    ) -> Result<(), ReceptionError>;

    /// Begins a message. `declared_size` is `SIZE=` of `MAIL FROM`, in octets.
    ///
    /// # Errors
    /// The refusal: no room, too large.
    async fn receive(
        &self,
        origin: Origin,
        peer: &Peer,
        envelope: Envelope,
        declared_size: Option<u64>,
    ) -> Result<Box<dyn Receiving>, ReceptionError>;
}

/// A message on its way in. Dropped before [`Receiving::promise`], it leaves nothing behind.
#[async_trait]
pub trait Receiving: Send {
    /// The next octets of the message, dots unstuffed, lines ended by CRLF.
    ///
    /// # Errors
    /// No room, too large, past a limit. The door then swallows the rest and answers with it.
    async fn write(&mut self, octets: &[u8]) -> Result<(), ReceptionError>;

    /// Judges the message, and commits it durably. After `Ok`, it is ours to deliver or report: `250 2.0.0 queued as ID`.
    ///
    /// # Errors
    /// The refusal, by rule or for want of room. Nothing is kept then.
    async fn promise(self: Box<Self>) -> Result<QueueId, ReceptionError>;
}

impl From<QueueError> for ReceptionError {
    fn from(fault: QueueError) -> Self {
        match fault {
            QueueError::Store(StoreError::DiskIsFull) => Self::DiskIsFull,
            other => Self::Unavailable(other.to_string()),
        }
    }
}
