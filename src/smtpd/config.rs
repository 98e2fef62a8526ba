//! What an SMTP door is told: `[smtpd.outbound]` and `[smtpd.inbound]`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::mail::{Domain, limits};
use crate::net::Network;
use crate::queue::Origin;

/// The settings of one door, with everything a default but name and address.
#[derive(Debug, Clone)]
pub struct DoorSettings {
    /// Which door this is.
    pub origin: Origin,
    /// What we call ourselves in greeting and EHLO.
    pub hostname: Domain,
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Who may connect: everyone else gets 554 instead of the greeting. Empty lets everyone in.
    pub allow: Vec<Network>,
    /// What a client must bring besides.
    pub require: Requirement,
    /// Octets of a message, said in SIZE (RFC 1870). Default 100 MiB.
    pub max_message_size: u64,
    /// Recipients of a message, said in LIMITS (RFC 9422). Default [`limits::RECIPIENTS`].
    pub max_recipients: usize,
    /// Sessions at once. Default 2,000.
    pub max_sessions: usize,
    /// Sessions at once from one client (an IPv4 address, an IPv6 /64). Default: outbound as many as in all, since one
    /// mail server is all who comes; inbound 50.
    pub max_sessions_per_client: usize,
    /// How long a command may take to come. Default 5 minutes (RFC 5321 §4.5.3.2.7).
    pub idle_timeout: Duration,
    /// How long the next octets of a message may take to come. Default 3 minutes (RFC 5321 §4.5.3.2.5).
    pub data_timeout: Duration,
    /// How long a session may take in all. Default 2 hours.
    pub session_timeout: Duration,
}

/// What a client must bring besides its address, where it shares that address with others.
#[derive(Debug, Clone, Default)]
pub struct Requirement {
    /// A header field that every message must have. Whoever stores the message removes it.
    pub header: Option<RequiredHeader>,
    /// A client certificate that the door's TLS believes.
    pub client_certificate: bool,
}

/// `Name: value`. The value is a secret, compared in constant time, and printed as `…`.
#[derive(Clone)]
pub struct RequiredHeader {
    name: String,
    value: Zeroizing<String>,
}

/// The text is not `Name: value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a required header is written `Name: value`, the value of at least 16 printable characters")]
pub struct RequiredHeaderFault;

impl DoorSettings {
    /// The door of our own mail server: who may connect is to be named in `allow`.
    #[must_use]
    pub fn outbound(hostname: Domain, listen: SocketAddr, allow: Vec<Network>) -> Self {
        let sessions = 2_000;
        Self { allow, max_sessions_per_client: sessions, ..Self::of(Origin::Outbound, hostname, listen, sessions) }
    }

    /// The door of the internet: whoever comes is let in.
    #[must_use]
    pub fn inbound(hostname: Domain, listen: SocketAddr) -> Self {
        Self::of(Origin::Inbound, hostname, listen, 2_000)
    }

    fn of(origin: Origin, hostname: Domain, listen: SocketAddr, max_sessions: usize) -> Self {
        Self {
            origin,
            hostname,
            listen,
            allow: Vec::new(),
            require: Requirement::default(),
            max_message_size: 100 << 20,
            max_recipients: limits::RECIPIENTS,
            max_sessions,
            max_sessions_per_client: 50,
            idle_timeout: Duration::from_secs(300),
            data_timeout: Duration::from_secs(180),
            session_timeout: Duration::from_secs(7_200),
        }
    }
}

impl RequiredHeader {
    /// The field's name: what to remove from a stored message.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value to compare with.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }
}

impl FromStr for RequiredHeader {
    type Err = RequiredHeaderFault;

    fn from_str(text: &str) -> Result<Self, RequiredHeaderFault> {
        let (name, value) = text.split_once(':').ok_or(RequiredHeaderFault)?;
        let value = value.trim();
        // RFC 5322 §2.2: printable US-ASCII except the colon.
        let is_name = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        let is_value = (16..=512).contains(&value.len()) && value.bytes().all(|b| matches!(b, b' '..=b'~'));
        if is_name && is_value {
            Ok(Self { name: name.to_owned(), value: Zeroizing::new(value.to_owned()) })
        } else {
            Err(RequiredHeaderFault)
        }
    }
}

impl fmt::Debug for RequiredHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.name)
    }
}

#[cfg(test)]
mod tests {
    use crate::smtpd::config::*;

    #[test]
    fn a_required_header_is_long_enough_and_keeps_its_secret() {
        let header: RequiredHeader = "X-Our-Tenant: 8f1f2b2e-0000-4000".parse().unwrap();
        assert_eq!(format!("{header:?}"), "X-Our-Tenant: …");
        for text in ["X-Our-Tenant", "X-Our-Tenant: short", ": 8f1f2b2e-0000-4000", "X Y: 8f1f2b2e-0000-4000"] {
            assert!(text.parse::<RequiredHeader>().is_err(), "{text}");
        }
    }
}
