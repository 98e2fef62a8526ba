//! What one attempt may cost: so much time, and so many calls that come to nothing.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::error::SessionError;
use crate::delivery::smtp::observed::Observed;

/// Calls of one attempt that may come to nothing (RFC 5321 §5.1 asks for two at least).
const CALLS: usize = 5;

/// What is left of what one attempt may cost, on all of its ways.
pub struct Allowance {
    until: Instant,
    calls: usize,
    /// Addresses where nobody speaks SMTP with us, whatever the names that lead there.
    deaf: HashSet<SocketAddr>,
    /// What the attempt has seen of TLS.
    pub observed: Observed,
}

impl Allowance {
    /// For an attempt that begins now.
    pub fn new(within: Duration) -> Self {
        Self { until: Instant::now() + within, calls: CALLS, deaf: HashSet::new(), observed: Observed::default() }
    }

    /// When a peer that has not been given the message yet is left.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Whether nobody more is to be called.
    pub fn is_spent(&self) -> bool {
        self.calls == 0 || Instant::now() >= self.until
    }

    /// Whether this address is worth a call.
    pub fn may_call(&self, address: SocketAddr) -> bool {
        !self.is_spent() && !self.deaf.contains(&address)
    }

    /// A call came to nothing. What the name called has to prove is another's question at another name.
    pub fn note(&mut self, address: SocketAddr, error: &SessionError) {
        self.calls = self.calls.saturating_sub(1);
        if !matches!(error, SessionError::TlsFailed(_)) {
            self.deaf.insert(address);
        }
    }
}
