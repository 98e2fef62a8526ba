//! Which way a message goes, and what the way has to prove.

use crate::delivery::config::{Internet, NextHop, Settings};
use crate::delivery::trouble::NoWay;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsPolicy {
    /// TLS where it is to be had, any certificate (RFC 7435).
    Opportunistic,
    /// Off loopback, TLS with a certificate for the name we called. On loopback nothing.
    VerifiedOffLoopback,
}

/// One way to one next hop. Connections are shared by those with equal routes.
///
/// Delivery by MX resolves a recipient domain to several of these, each with the policy that DANE or MTA-STS
/// gives it; everything below a route stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// Whom to call, and in what language.
    pub hop: NextHop,
    /// What it has to prove.
    pub tls: TlsPolicy,
    /// Whether the hop is our own mail server, which gets eight-bit text whether it says so or not.
    pub is_inner: bool,
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

    /// The route for a destination.
    ///
    /// # Errors
    /// There is none today; the message waits.
    pub fn route(&self, destination: Destination, passage: Passage) -> Result<Route, NoWay> {
        match destination {
            Destination::MailServer => Ok(self.inner()),
            Destination::Internet => self.outer(passage),
        }
    }

    fn inner(&self) -> Route {
        let tls = if self.settings.inner_plaintext { TlsPolicy::Opportunistic } else { TlsPolicy::VerifiedOffLoopback };
        Route { hop: self.settings.mail_server.clone(), tls, is_inner: true }
    }

    fn outer(&self, passage: Passage) -> Result<Route, NoWay> {
        let enforced = self.settings.smarthost_enforces_tls;
        match &self.settings.internet {
            Internet::Mx => Err(NoWay::Mx),
            Internet::Smarthost(_) if passage == Passage::VerifiedTls && !enforced => Err(NoWay::VerifiedTls),
            Internet::Smarthost(hop) => {
                let tls = if enforced { TlsPolicy::VerifiedOffLoopback } else { TlsPolicy::Opportunistic };
                Ok(Route { hop: hop.clone(), tls, is_inner: false })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::delivery::config::Bounds;
    use crate::delivery::route::*;

    fn router(smarthost_enforces_tls: bool, inner_plaintext: bool) -> Router {
        Router::new(Settings {
            hostname: "gw.sundby.example".parse().unwrap(),
            internet: "smtp://smart.example".parse().unwrap(),
            smarthost_enforces_tls,
            mail_server: "lmtp://mail.sundby.example".parse().unwrap(),
            inner_plaintext,
            ca_file: None,
            bounds: Bounds::default(),
        })
    }

    #[test]
    fn tls_or_nothing_goes_through_a_smarthost_that_enforces_it_alone() {
        let policy = |enforces, passage| router(enforces, false).route(Destination::Internet, passage).map(|r| r.tls);
        assert_eq!(policy(false, Passage::VerifiedTls), Err(NoWay::VerifiedTls));
        assert_eq!(policy(false, Passage::Any), Ok(TlsPolicy::Opportunistic));
        assert_eq!(policy(true, Passage::VerifiedTls), Ok(TlsPolicy::VerifiedOffLoopback));
        assert_eq!(policy(true, Passage::Any), Ok(TlsPolicy::VerifiedOffLoopback));
    }

    #[test]
    fn the_mail_server_proves_itself_unless_plaintext_is_written_out() {
        let policy = |plaintext| router(false, plaintext).route(Destination::MailServer, Passage::Any).map(|r| r.tls);
        assert_eq!(policy(false), Ok(TlsPolicy::VerifiedOffLoopback));
        assert_eq!(policy(true), Ok(TlsPolicy::Opportunistic));
    }
}
