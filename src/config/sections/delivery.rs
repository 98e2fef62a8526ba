//! `[delivery]`: where mail goes from here.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::delivery::{Bounds, Internet, NextHop};
use crate::fault::{At, FilePath, Key, Keys, Network, Place, Reader, Section, Setting, TextSetting, Value, settings};
use crate::mail::Domain;
use crate::net::DnsSettings;

settings! {
    /// Where mail goes from here.
    pub struct Delivery {
        /// How mail reaches those outside: `mx` (by the recipient domain's MX records), or a smarthost.
        internet: Internet,
        /// The smarthost itself sends over verified TLS or not at all. Only then may `protect = "tls"` go through it; else that mail waits and comes back.
        smarthost_enforces_tls: bool = false,
        /// Where our own mailboxes live. Off loopback its TLS is verified, and so is the outbound door's, unless `inner_plaintext = true`.
        mail_server: NextHop,
        /// Between us and our own mail server, TLS need not be, or be verified: for a network that is safe by other means.
        inner_plaintext: bool = false,
        /// Recursive name servers to ask for the hosts of a domain, as `address:port`. None means those of the system. They must pass DNSSEC records on: every answer is validated here.
        dns: Vec<SocketAddr> = [],
        /// A file with DNSKEY records to trust instead of the internet's root.
        dns_trust_anchor: Option<FilePath>,
        /// Networks that mail to a domain's own hosts may go to although they are not of the open internet: private, shared, link-local or set apart for documentation. Where the DNS leads to others, nobody is called.
        private_networks: Vec<Network> = [],
        /// Certificates in PEM to believe besides the system's, for `mail_server` and a smarthost. They say nothing of hosts that the DNS names.
        ca_file: Option<FilePath>,
        /// Connections to one destination at the same time.
        max_connections: NonZeroU32 = 20,
        /// Messages over one connection before it is closed.
        max_messages_per_connection: NonZeroU32 = 100,
        /// How long a connection may stand unused before it is closed.
        idle_timeout: Duration = "15s",
    }
}

impl Delivery {
    /// Whether mail for which verified TLS is required has a way: by MX, or by a smarthost that enforces it.
    #[must_use]
    pub fn verifies_tls(&self) -> bool {
        self.internet == Internet::Mx || self.smarthost_enforces_tls
    }

    /// The settings as `delivery` takes them; `hostname` is what we call ourselves.
    #[must_use]
    pub fn for_delivery(&self, hostname: &Domain) -> crate::delivery::Settings {
        crate::delivery::Settings {
            hostname: hostname.clone(),
            internet: self.internet.clone(),
            smarthost_enforces_tls: self.smarthost_enforces_tls,
            mail_server: self.mail_server.clone(),
            inner_plaintext: self.inner_plaintext,
            dns: DnsSettings {
                servers: self.dns.clone(),
                trust_anchor: self.dns_trust_anchor.as_ref().map(|file| file.path.clone()),
            },
            private_networks: self.private_networks.clone(),
            ca_file: self.ca_file.as_ref().map(|file| file.path.clone()),
            bounds: Bounds {
                connections: usize::try_from(self.max_connections.get()).unwrap_or(usize::MAX),
                messages: self.max_messages_per_connection.get(),
                idle: self.idle_timeout,
            },
        }
    }
}

impl TextSetting for NextHop {
    const STAND_IN: Option<&'static str> = Some("smtp://stand-in.invalid");
    const FORM: &'static str = "a host such as \"smtp://mail.sundby.example:25\", or smtps:// or lmtp://";
}

impl TextSetting for Internet {
    const STAND_IN: Option<&'static str> = NextHop::STAND_IN;
    const FORM: &'static str = "\"mx\", or a smarthost such as \"smtp://127.0.0.1:2525\"";
}
