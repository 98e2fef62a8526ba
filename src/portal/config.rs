//! What the web door is told: `[portal]`, `[organisation]` and the names of the e-ID providers.

use std::net::SocketAddr;
use std::time::Duration;

use crate::fault::Network;
use crate::texts::{Language, Zone};

/// The settings of the web door.
#[derive(Debug, Clone)]
pub struct PortalSettings {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The portal's address as recipients see it, without a slash at its end.
    pub url: String,
    /// Whose portal it is.
    pub organisation: Owner,
    /// The language of those who ask for none of ours.
    pub language: Language,
    /// The organisation's time zone.
    pub zone: Zone,
    /// How long a message can be read.
    pub retention: Duration,
    /// Octets of one answer's files in all.
    pub max_upload: u64,
    /// Reverse proxies whose `X-Forwarded-For` we believe.
    pub trusted_proxies: Vec<Network>,
    /// The e-IDs, in the order the login page shows them.
    pub providers: Vec<ProviderName>,
    /// Connections at once, counted from when the door opens.
    pub max_connections: usize,
}

/// What every page shows of the organisation.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Where a person finds help.
    pub contact: Option<String>,
    /// Its page that tells about secure messages.
    pub website: Option<String>,
}

/// An e-ID as the login page shows it.
#[derive(Debug, Clone)]
pub struct ProviderName {
    /// Its id in addresses: `/login/ID`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The page that tells how to get it.
    pub help: Option<String>,
}
