//! What the sessions of a door share, and what one session knows of its peer.

use std::net::IpAddr;
use std::sync::Arc;

use crate::net::{Admitted, RateLimit, ServerTls, Shutdown, Stream};
use crate::queue::{Origin, Peer, Reception, ReceptionError};
use crate::smtp::Reply;
use crate::smtpd::config::DoorSettings;
use crate::smtpd::texts;
use crate::smtpd::transaction::Greeting;
use crate::telemetry::{Labels, Metrics};

/// A door: settings, the house behind it, a certificate if there is one.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) settings: Arc<DoorSettings>,
    pub(crate) reception: Arc<dyn Reception>,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
    pub(crate) rates: Rates,
}

/// What clients have done lately. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct Rates {
    connections: RateLimit,
    messages: RateLimit,
    refusals: RateLimit,
}

/// What a client did more often than the configuration allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Limit {
    /// It came.
    #[error("max_connections_per_minute")]
    Connections,
    /// It began a message.
    #[error("max_messages_per_hour")]
    Messages,
    /// It was refused.
    #[error("max_refusals_per_hour")]
    Refusals,
}

/// The client that a session serves, as far as its peer is believed.
pub(crate) struct Client {
    /// Where the connection comes from, as the socket or the PROXY protocol says.
    pub(crate) ip: IpAddr,
    /// XCLIENT is believed.
    pub(crate) is_trusted: bool,
    pub(crate) place: Admitted,
    /// What XCLIENT told.
    pub(crate) told_address: Option<IpAddr>,
    pub(crate) told_helo: Option<String>,
}

/// What one session knows of its peer, and the door it came through.
pub(crate) struct Scene {
    pub(crate) door: Door,
    pub(crate) client: Client,
    /// Version and cipher, behind TLS.
    pub(crate) tls: Option<String>,
    pub(crate) has_certificate: bool,
}

impl Door {
    /// The door's name in logs and numbers.
    pub(crate) fn name(&self) -> &'static str {
        match self.settings.origin {
            Origin::Outbound => "outbound",
            Origin::Inbound => "inbound",
        }
    }

    /// Counts a connection of this client.
    ///
    /// # Errors
    /// The limit that it passes.
    pub(crate) fn count_connection(&self, ip: IpAddr) -> Result<(), Limit> {
        if !self.rates.refusals.has_left(ip, self.settings.refusals) {
            return Err(Limit::Refusals);
        }
        if self.rates.connections.take(ip, self.settings.connections) { Ok(()) } else { Err(Limit::Connections) }
    }
}

impl Client {
    /// One of whom nothing is known but where its connection comes from.
    pub(crate) fn new(ip: IpAddr, is_trusted: bool, place: Admitted) -> Self {
        Self { ip, is_trusted, place, told_address: None, told_helo: None }
    }

    /// The client's address.
    pub(crate) fn address(&self) -> IpAddr {
        self.told_address.unwrap_or(self.ip)
    }

    /// Whether its doings are counted: not those of a peer that is trusted and tells nothing.
    fn is_counted(&self) -> bool {
        self.told_address.is_some() || !self.is_trusted
    }

    /// Forgets what was told.
    pub(crate) fn stand_for_itself(&mut self) {
        (self.told_address, self.told_helo) = (None, None);
        // It had its own share all the time, or needs none.
        _ = self.place.count_for((!self.is_trusted).then_some(self.ip));
    }
}

impl Scene {
    /// What is known before the first word.
    pub(crate) fn of(door: Door, client: Client, stream: &Stream) -> Self {
        Self { door, client, tls: stream.tls_words(), has_certificate: stream.has_client_certificate() }
    }

    /// Tells the operator that a PROXY protocol header came where none is read: who sends it cannot know, for it hears what
    /// anybody hears who sends lines that are no commands.
    pub(crate) fn tell_of_proxy_header(&self) {
        let (door, peer) = (self.door.name(), self.client.ip);
        let hint = match (self.settings().origin, self.settings().proxy_protocol) {
            (Origin::Outbound, _) => "this door reads none: let the peer send none",
            (Origin::Inbound, false) => {
                "set `proxy_protocol = true` and name the peer in `trusted_peers`, or let it send none"
            }
            (Origin::Inbound, true) => "name the peer in `trusted_peers`, or let it send none",
        };
        tracing::warn!(door, %peer, hint, "a PROXY protocol header came from a peer of which none is expected");
    }

    /// Turns a no of the house into what the peer hears; what only the operator may know goes to the log.
    pub(crate) fn explain(&self, step: &'static str, error: &ReceptionError) -> Reply {
        let reply = texts::of_reception(error);
        self.door.metrics.refused.get_or_create(&Labels::of(step)).inc();
        let (door, peer) = (self.door.name(), self.client.address());
        match error {
            ReceptionError::Unavailable(reason) => tracing::warn!(door, step, reason, "cannot take mail"),
            ReceptionError::DiskIsFull | ReceptionError::PastMark(_) => {
                tracing::warn!(door, step, reason = %error, "no room to take mail")
            }
            // What is said about a message may be in its own words; about the envelope it is in ours.
            ReceptionError::Refused { status, text } if step != "message" => {
                tracing::info!(door, %peer, step, status, reason = text, "refused");
            }
            ReceptionError::Refused { status, .. } => tracing::info!(door, %peer, step, status, "refused"),
            ReceptionError::TooLarge | ReceptionError::PassesLimit(_) => {
                tracing::info!(door, %peer, step, code = reply.code(), reason = %error, "refused");
            }
        }
        reply
    }

    /// Counts a message that begins, and tells whether the client may have one more.
    pub(crate) fn may_begin_message(&self) -> bool {
        let (client, door) = (&self.client, &self.door);
        !client.is_counted() || door.rates.messages.take(client.address(), door.settings.messages)
    }

    /// Counts a refusal, and tells whether the client may have one more.
    pub(crate) fn may_be_refused(&self) -> bool {
        let (client, door) = (&self.client, &self.door);
        !client.is_counted() || door.rates.refusals.take(client.address(), door.settings.refusals)
    }

    /// The settings of the door.
    pub(crate) fn settings(&self) -> &DoorSettings {
        &self.door.settings
    }

    /// Whether mail can be taken whose sender wants TLS all the way: what came in the clear has not had it already.
    pub(crate) fn offers_require_tls(&self) -> bool {
        self.settings().offers_require_tls && self.tls.is_some()
    }

    /// The peer, for the `Received` field. The protocol's name is that of RFC 3848 and RFC 6531 §4.3.
    pub(crate) fn peer(&self, greeting: &Greeting, is_utf8: bool) -> Peer {
        let protocol = match (greeting.is_extended, is_utf8, self.tls.is_some()) {
            (false, _, _) => "SMTP",
            (true, false, false) => "ESMTP",
            (true, false, true) => "ESMTPS",
            (true, true, false) => "UTF8SMTP",
            (true, true, true) => "UTF8SMTPS",
        };
        let helo = self.client.told_helo.as_ref().unwrap_or(&greeting.helo).clone();
        Peer { ip: self.client.address(), helo, protocol, tls: self.tls.clone() }
    }
}
