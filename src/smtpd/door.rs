//! What the sessions of a door share, and what one session knows of its peer.

use std::net::IpAddr;
use std::sync::Arc;

use crate::net::{ServerTls, Shutdown, Stream};
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
}

/// What one session knows of its peer, and the door it came through.
pub(crate) struct Scene {
    pub(crate) door: Door,
    pub(crate) ip: IpAddr,
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

    /// Turns a no of the house into what the peer hears; what only the operator may know goes to the log.
    pub(crate) fn explain(&self, step: &'static str, error: &ReceptionError) -> Reply {
        let reply = texts::of_reception(error);
        self.metrics.refused.get_or_create(&Labels::of(step)).inc();
        match error {
            ReceptionError::Unavailable(reason) => {
                tracing::warn!(door = self.name(), step, reason, "cannot take mail");
            }
            ReceptionError::DiskIsFull => tracing::warn!(door = self.name(), step, "no room to take mail"),
            // What is said about a message may be in its own words; about the envelope it is in ours.
            ReceptionError::Refused { status, text } if step != "message" => {
                tracing::info!(door = self.name(), step, status, reason = text, "refused");
            }
            ReceptionError::Refused { status, .. } => tracing::info!(door = self.name(), step, status, "refused"),
            ReceptionError::TooLarge | ReceptionError::PassesLimit(_) => {
                tracing::info!(door = self.name(), step, code = reply.code(), reason = %error, "refused");
            }
        }
        reply
    }
}

impl Scene {
    /// What is known before the first word.
    pub(crate) fn of(door: Door, ip: IpAddr, stream: &Stream) -> Self {
        Self { door, ip, tls: stream.tls_words(), has_certificate: stream.has_client_certificate() }
    }

    /// The settings of the door.
    pub(crate) fn settings(&self) -> &DoorSettings {
        &self.door.settings
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
        Peer { ip: self.ip, helo: greeting.helo.clone(), protocol, tls: self.tls.clone() }
    }
}
