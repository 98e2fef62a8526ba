//! What the queue asks of delivery: to try one message for its recipients, once.

use std::sync::Arc;

use async_trait::async_trait;

use crate::delivery::octets::Contents;
use crate::delivery::outcome::Outcome;
use crate::delivery::route::{Destination, Passage};
use crate::delivery::signing::Signing;
use crate::mail::{Address, Envelope, QueueId};

/// One message, with the recipients that are due.
#[derive(Clone)]
pub struct Dispatch {
    /// For the log.
    pub id: QueueId,
    /// Sender, the recipients of this attempt, and what was asked about reports.
    pub envelope: Envelope,
    /// Where they are.
    pub destination: Destination,
    /// What the way has to be.
    pub passage: Passage,
    /// Octets of the contents as they are read, without signatures.
    pub size: u64,
    /// The contents have an octet over 127.
    pub has_eight_bit: bool,
    /// The header has UTF-8 outside encoded words (RFC 6532).
    pub has_utf8_header: bool,
    /// It reports on TLS: what comes of TLS on its way is not reported on.
    pub is_tls_report: bool,
    /// The message.
    pub contents: Arc<dyn Contents>,
    /// Who signs it as it leaves; `None` on the way to our own mail server.
    pub signing: Option<Arc<Signing>>,
}

/// A means to get messages there.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Tries a message once. The answer has each recipient of the envelope once, in any order; nothing was retried
    /// but a connection that had died unused. It may take as long as the peer (RFC 5321 §4.5.3.2).
    async fn deliver(&self, mail: &Dispatch) -> Vec<(Address, Outcome)>;
}
