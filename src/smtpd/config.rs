//! What an SMTP door is told: `[smtpd.outbound]` and `[smtpd.inbound]`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::fault::Network;
use crate::mail::{Domain, limits};
use crate::net::Rate;
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
    /// Who is believed about the client it speaks for. They are served without pause or limit of their own.
    pub trusted_peers: Vec<Network>,
    /// They send a PROXY protocol header, version 2, before anything else; who does not is turned away.
    pub proxy_protocol: bool,
    /// How long we let a client wait for the greeting; who speaks meanwhile is turned away. Default: none.
    pub greeting_pause: Duration,
    /// How often one client may connect. Counted for an IPv4 address, an IPv6 /64. Default: no limit, as for the others.
    pub connections: Rate,
    /// How many messages one client may begin.
    pub messages: Rate,
    /// How often one client may be refused for good.
    pub refusals: Rate,
    /// Octets of a message, said in SIZE (RFC 1870). Default 100 MiB.
    pub max_message_size: u64,
    /// Recipients of a message, said in LIMITS (RFC 9422). Default: outbound [`limits::RECIPIENTS`], inbound 100.
    pub max_recipients: usize,
    /// Sessions at once. Default 1,000. Counted from when the door opens: a reload does not change it.
    pub max_sessions: usize,
    /// Sessions at once from one client (an IPv4 address, an IPv6 /64), likewise. Default: outbound 100, inbound 20.
    pub max_sessions_per_client: usize,
    /// REQUIRETLS is offered behind TLS (RFC 8689). Default yes.
    pub offers_require_tls: bool,
    /// How long a command may take to come. Default 5 minutes (RFC 5321 §4.5.3.2.7).
    pub idle_timeout: Duration,
    /// How long the next octets of a message may take to come. Default 3 minutes (RFC 5321 §4.5.3.2.5).
    pub data_timeout: Duration,
    /// How many octets of a message must come in each second of waiting, when the first `data_timeout` is used up.
    /// Default 100: who sends an octet a minute would otherwise hold its place as long as a session may take.
    pub data_rate: u64,
    /// How long a session may take in all. Default: outbound 1 hour, inbound 30 minutes.
    pub session_timeout: Duration,
}

/// What a client must bring besides its address, where it shares that address with others.
#[derive(Debug, Clone, Default)]
pub struct Requirement {
    /// A header field that every message must have. Whoever stores the message removes it.
    pub header: Option<RequiredHeader>,
    /// The certificate that the door's TLS asks for, see [`crate::net::ServerTls::from_pem_asking_for`].
    pub client_certificate: bool,
}

/// `Name: value`. The value is a secret, compared in constant time, and printed as `…`.
#[derive(Clone)]
pub struct RequiredHeader {
    name: String,
    value: Zeroizing<String>,
}

impl DoorSettings {
    /// The door of our own mail server: who may connect is to be named in `allow`.
    #[must_use]
    pub fn outbound(hostname: Domain, listen: SocketAddr, allow: Vec<Network>) -> Self {
        Self {
            origin: Origin::Outbound,
            hostname,
            listen,
            allow,
            require: Requirement::default(),
            trusted_peers: Vec::new(),
            proxy_protocol: false,
            greeting_pause: Duration::ZERO,
            connections: Rate::per_minute(0),
            messages: Rate::per_minute(0),
            refusals: Rate::per_hour(0),
            max_message_size: 100 << 20,
            max_recipients: limits::RECIPIENTS,
            max_sessions: 1_000,
            max_sessions_per_client: 100,
            offers_require_tls: true,
            idle_timeout: Duration::from_secs(300),
            data_timeout: Duration::from_secs(180),
            data_rate: 100,
            session_timeout: Duration::from_secs(3_600),
        }
    }

    /// The door of the internet: whoever comes is let in.
    #[must_use]
    pub fn inbound(hostname: Domain, listen: SocketAddr) -> Self {
        Self {
            origin: Origin::Inbound,
            max_recipients: 100,
            max_sessions_per_client: 20,
            session_timeout: Duration::from_secs(1_800),
            ..Self::outbound(hostname, listen, Vec::new())
        }
    }

    /// Whether a peer is believed about the client it speaks for.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted_peers.iter().any(|network| network.contains(ip))
    }
}

impl RequiredHeader {
    /// A field's name, and the value it must have without white space around it.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: Zeroizing::new(value.to_owned()) }
    }

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

impl fmt::Debug for RequiredHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.name)
    }
}
