//! Which way a message goes, and what the way has to prove.

use crate::delivery::config::{Internet, NextHop, Settings};
use crate::delivery::trouble::NoWay;
use crate::net::Dane;

/// Where a message shall go, as the one who queues it knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Recipients outside.
    Internet,
    /// Our own mail server.
    MailServer,
}

/// What protects the message on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Passage {
    /// As well as it goes: it is sealed, or judged `plain`.
    Any,
    /// Verified TLS or nothing: judged `tls`.
    VerifiedTls,
}

/// What a connection has to prove.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TlsPolicy {
    /// TLS where it is to be had, any certificate (RFC 7435).
    Opportunistic,
    /// TLS, any certificate.
    Encrypted,
    /// Off loopback, TLS with a certificate for the name we called. On loopback nothing.
    VerifiedOffLoopback,
    /// TLS with a certificate for the name we called (RFC 8461 §4.1).
    Verified,
    /// TLS with a certificate that TLSA records name (RFC 7672).
    Dane(Dane),
}

/// One way to one next hop. Connections are shared by those with equal routes. A domain with several mail exchangers has
/// several, each with what that host has to prove.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// Whom to call, and in what language.
    pub hop: NextHop,
    /// What it has to prove.
    pub tls: TlsPolicy,
    /// Who that is.
    pub kind: Kind,
}

/// Who a next hop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Our own mail server. It gets eight-bit text whether it says that it takes it or not.
    MailServer,
    /// A host the operator named, which sees to the rest.
    Smarthost,
    /// A host that the DNS names for a domain.
    Exchanger,
}

/// How a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// All of it to one next hop.
    Hop(Route),
    /// To each recipient's domain, by its MX records.
    Mx,
}

/// Finds the route of a message.
#[derive(Debug, Clone)]
pub struct Router {
    settings: Settings,
}

impl Router {
    /// Routes by these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The way to a destination.
    ///
    /// # Errors
    /// There is none today; the message waits.
    pub fn way(&self, destination: Destination, passage: Passage) -> Result<Way, NoWay> {
        match destination {
            Destination::MailServer => Ok(Way::Hop(self.inner())),
            Destination::Internet => self.outer(passage),
        }
    }

    fn inner(&self) -> Route {
        let tls = if self.settings.inner_plaintext { TlsPolicy::Opportunistic } else { TlsPolicy::VerifiedOffLoopback };
        Route { hop: self.settings.mail_server.clone(), tls, kind: Kind::MailServer }
    }

    fn outer(&self, passage: Passage) -> Result<Way, NoWay> {
        let enforced = self.settings.smarthost_enforces_tls;
        match &self.settings.internet {
            Internet::Mx => Ok(Way::Mx),
            Internet::Smarthost(_) if passage == Passage::VerifiedTls && !enforced => {
                Err(NoWay::SmarthostVerifiesNothing)
            }
            Internet::Smarthost(hop) => {
                let tls = if enforced { TlsPolicy::VerifiedOffLoopback } else { TlsPolicy::Opportunistic };
                Ok(Way::Hop(Route { hop: hop.clone(), tls, kind: Kind::Smarthost }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::delivery::config::Bounds;
    use crate::delivery::route::*;
    use crate::net::DnsSettings;

    fn router(smarthost_enforces_tls: bool, inner_plaintext: bool) -> Router {
        Router::new(Settings {
            hostname: "gw.sundby.example".parse().unwrap(),
            internet: "smtp://smart.example".parse().unwrap(),
            smarthost_enforces_tls,
            mail_server: "lmtp://mail.sundby.example".parse().unwrap(),
            inner_plaintext,
            dns: DnsSettings::default(),
            private_networks: Vec::new(),
            ca_file: None,
            bounds: Bounds::default(),
        })
    }

    fn tls(way: Way) -> TlsPolicy {
        match way {
            Way::Hop(route) => route.tls,
            Way::Mx => panic!("no next hop"),
        }
    }

    #[test]
    fn tls_or_nothing_goes_through_a_smarthost_that_enforces_it_alone() {
        let policy = |enforces, passage| router(enforces, false).way(Destination::Internet, passage).map(tls);
        assert_eq!(policy(false, Passage::VerifiedTls), Err(NoWay::SmarthostVerifiesNothing));
        assert_eq!(policy(false, Passage::Any), Ok(TlsPolicy::Opportunistic));
        assert_eq!(policy(true, Passage::VerifiedTls), Ok(TlsPolicy::VerifiedOffLoopback));
        assert_eq!(policy(true, Passage::Any), Ok(TlsPolicy::VerifiedOffLoopback));
    }

    #[test]
    fn the_mail_server_proves_itself_unless_plaintext_is_written_out() {
        let policy = |plaintext| router(false, plaintext).way(Destination::MailServer, Passage::Any).map(tls);
        assert_eq!(policy(false), Ok(TlsPolicy::VerifiedOffLoopback));
        assert_eq!(policy(true), Ok(TlsPolicy::Opportunistic));
    }
}
