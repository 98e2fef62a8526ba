//! `[portal]`: the web door.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::fault::{At, Key, Keys, Network, Place, Reader, Section, Setting, Size, Url, Value, settings};

settings! {
    /// The web door, where recipients read and answer.
    pub struct Portal {
        /// Address and port to listen at, with TLS.
        listen: SocketAddr,
        /// What links in notices begin with: the portal's address as recipients see it, https.
        url: Url,
        /// How long a message can be read, from the moment it can be.
        retention: Duration = "30d",
        /// Reverse proxies whose `X-Forwarded-For` we believe.
        trusted_proxies: Vec<Network>,
        /// The largest answer, attachments included.
        max_upload: Size = "50 MiB",
        /// A login ends after so long without a click; the page warns before.
        session_idle: Duration = "30m",
        /// A login ends after so long in any case.
        session_lifetime: Duration = "8h",
        /// Connections at the same time.
        max_connections: NonZeroU32 = 1000,
    }
}
