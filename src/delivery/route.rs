//! Which way a message goes, and what the way has to prove.

use std::sync::Arc;

use crate::delivery::config::{DomainRoute, Internet, Login, NextHop, Settings, TlsLevel};
use crate::delivery::trouble::NoWay;
use crate::mail::Domain;
use crate::net::{Dane, Named};

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
    /// Verified TLS or nothing, to a peer that promises the same on: the sender asked for it (RFC 8689 §4.1).
    RequireTls,
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
    /// TLS with a certificate for a name that was configured, or that is known without asking anybody.
    Named(Named),
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
    /// Who we are to it; only a peer that has proven itself is told.
    pub login: Option<Login>,
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

    /// The way to a destination, for recipients of a domain.
    ///
    /// # Errors
    /// There is none today; the message waits.
    pub fn way(&self, destination: Destination, passage: Passage, domain: &Domain) -> Result<Way, NoWay> {
        match (destination, self.configured(domain)) {
            (Destination::MailServer, _) => Ok(Way::Hop(self.inner(passage))),
            (Destination::Internet, Some(DomainRoute { next_hop: Some(hop), login, tls, names, roots })) => {
                if passage == Passage::VerifiedTls && *tls != TlsLevel::Verified {
                    return Err(NoWay::RouteVerifiesNothing);
                }
                let named = || {
                    let names = std::iter::once(hop.host.clone()).chain(names.iter().map(ToString::to_string));
                    Named { names: names.collect(), roots: roots.clone() }
                };
                let tls = match tls {
                    _ if login.is_some() || passage != Passage::Any => TlsPolicy::Named(named()),
                    TlsLevel::Verified => TlsPolicy::Named(named()),
                    TlsLevel::Encrypt => TlsPolicy::Encrypted,
                    TlsLevel::Opportunistic => TlsPolicy::Opportunistic,
                };
                Ok(Way::Hop(Route { hop: hop.clone(), tls, kind: Kind::Smarthost, login: login.clone() }))
            }
            (Destination::Internet, Some(_) | None) => self.outer(passage),
        }
    }

    /// What is configured for a domain.
    #[must_use]
    pub fn configured(&self, domain: &Domain) -> Option<&DomainRoute> {
        self.settings.routes.get(domain).map(Arc::as_ref)
    }

    fn inner(&self, passage: Passage) -> Route {
        let is_lax = self.settings.inner_plaintext && passage == Passage::Any;
        let tls = if is_lax { TlsPolicy::Opportunistic } else { TlsPolicy::VerifiedOffLoopback };
        Route { hop: self.settings.mail_server.clone(), tls, kind: Kind::MailServer, login: None }
    }

    fn outer(&self, passage: Passage) -> Result<Way, NoWay> {
        let enforced = self.settings.smarthost_enforces_tls;
        match &self.settings.internet {
            Internet::Mx => Ok(Way::Mx),
            Internet::Smarthost(_) if passage == Passage::VerifiedTls && !enforced => {
                Err(NoWay::SmarthostVerifiesNothing)
            }
            Internet::Smarthost(hop) => {
                let login = self.settings.login.clone();
                let tls = match (&login, enforced) {
                    (Some(_), _) => TlsPolicy::Verified,
                    (None, true) => TlsPolicy::VerifiedOffLoopback,
                    // A smarthost that offers REQUIRETLS promises it on; that it is the smarthost must be proven.
                    (None, false) if passage == Passage::RequireTls => TlsPolicy::Verified,
                    (None, false) => TlsPolicy::Opportunistic,
                };
                Ok(Way::Hop(Route { hop: hop.clone(), tls, kind: Kind::Smarthost, login }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::delivery::config::Bounds;
    use crate::delivery::route::*;
    use crate::mail::ByDomain;
    use crate::net::DnsSettings;

    fn router(smarthost_enforces_tls: bool, inner_plaintext: bool) -> Router {
        Router::new(Settings {
            hostname: "gw.sundby.example".parse().unwrap(),
            internet: "smtp://smart.example".parse().unwrap(),
            smarthost_enforces_tls,
            login: None,
            routes: ByDomain::default(),
            mail_server: "lmtp://mail.sundby.example".parse().unwrap(),
            inner_plaintext,
            dns: DnsSettings::default(),
            private_networks: Vec::new(),
            ca_file: None,
            tls_reports: false,
            bounds: Bounds::default(),
        })
    }

    fn live() -> Domain {
        "live.example".parse().unwrap()
    }

    fn tls(way: Way) -> TlsPolicy {
        match way {
            Way::Hop(route) => route.tls,
            Way::Mx => panic!("no next hop"),
        }
    }

    #[test]
    fn tls_or_nothing_goes_through_a_smarthost_that_enforces_it_alone() {
        let policy = |enforces, passage| router(enforces, false).way(Destination::Internet, passage, &live()).map(tls);
        assert_eq!(policy(false, Passage::VerifiedTls), Err(NoWay::SmarthostVerifiesNothing));
        assert_eq!(policy(false, Passage::Any), Ok(TlsPolicy::Opportunistic));
        assert_eq!(policy(true, Passage::VerifiedTls), Ok(TlsPolicy::VerifiedOffLoopback));
        assert_eq!(policy(true, Passage::Any), Ok(TlsPolicy::VerifiedOffLoopback));
    }

    #[test]
    fn the_mail_server_proves_itself_unless_plaintext_is_written_out() {
        let policy = |plaintext| router(false, plaintext).way(Destination::MailServer, Passage::Any, &live()).map(tls);
        assert_eq!(policy(false), Ok(TlsPolicy::VerifiedOffLoopback));
        assert_eq!(policy(true), Ok(TlsPolicy::Opportunistic));
    }

    #[test]
    fn a_next_hop_of_a_domain_stands_before_the_smarthost_and_proves_what_is_written() {
        let named = TlsPolicy::Named(Named {
            names: ["relay.partner.example".to_owned(), "partner.example".to_owned()].into(),
            roots: None,
        });
        let login: Login = "gw:secret".parse().unwrap();
        let no = Err(NoWay::RouteVerifiesNothing);
        for (level, login, any, strict) in [
            (TlsLevel::Opportunistic, None, TlsPolicy::Opportunistic, no.clone()),
            (TlsLevel::Encrypt, None, TlsPolicy::Encrypted, no.clone()),
            (TlsLevel::Verified, None, named.clone(), Ok(named.clone())),
            (TlsLevel::Opportunistic, Some(login), named, no),
        ] {
            let route = DomainRoute {
                next_hop: Some("smtp://relay.partner.example:587".parse().unwrap()),
                login: login.clone(),
                tls: level,
                names: vec!["partner.example".parse().unwrap()],
                roots: None,
            };
            let mut settings = router(false, false).settings;
            settings.routes = [(".partner.example".parse().unwrap(), Arc::new(route))].into_iter().collect();
            let router = Router::new(settings);
            let way = |passage, domain: &str| router.way(Destination::Internet, passage, &domain.parse().unwrap());
            assert_eq!(way(Passage::Any, "a.partner.example").map(tls), Ok(any), "{level:?}");
            assert_eq!(way(Passage::VerifiedTls, "a.partner.example").map(tls), strict, "{level:?}");
            assert_eq!(way(Passage::Any, "partner.example").map(tls), Ok(TlsPolicy::Opportunistic));
            let Ok(Way::Hop(route)) = way(Passage::Any, "a.partner.example") else { panic!("no hop") };
            assert_eq!((route.hop.port, route.login), (587, login));
        }
    }
}
