//! `[delivery]`: where mail goes from here.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::delivery::{Bounds, Internet, NextHop, TlsLevel};
use crate::fault::{
    At, FilePath, Key, Keys, Network, Place, Reader, Secret, Section, Setting, TextSetting, UnknownWord, Value,
    settings, words,
};
use crate::mail::{ByDomain, Domain, DomainPattern};
use crate::net::{DnsSettings, Dnssec};
use crate::policy::VerifiedTls;

settings! {
    /// Where mail goes from here.
    pub struct Delivery {
        /// How mail reaches those outside: `mx` (by the recipient domain's MX records), or a smarthost.
        internet: Internet,
        /// The smarthost itself sends over verified TLS or not at all. Only then may `protect = "tls"` go through it; else that mail waits and comes back.
        smarthost_enforces_tls: bool = false,
        /// Who we are to the smarthost: a file nobody else may read with `name:password` in it, or `credential:NAME`. Then its TLS is always verified.
        login: Option<Secret>,
        /// Where our own mailboxes live. Off loopback its TLS is verified, and so is the outbound door's, unless `inner_plaintext = true`.
        mail_server: NextHop,
        /// Between us and our own mail server, TLS need not be, or be verified: for a network that is safe by other means.
        inner_plaintext: bool = false,
        /// Recursive name servers to ask for the hosts of a domain, as `address:port`. None means those of the system. They must pass DNSSEC records on, or with `dnssec = "resolver"` validate, on this machine. `mail_server`, a smarthost and a `next_hop` are looked up by the system.
        dns: Vec<SocketAddr> = [],
        /// Who validates answers: `own` (every answer is validated here), or `resolver` (the name servers do, and are believed where they set the AD bit: all must be on loopback, for on a network it can be forged, and refuse what is bogus, so no forwarder, no permissive mode, no allow-downgrade). Where a resolver on this machine validates, `resolver` is to be preferred: `own` cannot judge wildcards in a zone with NSEC, so that mail to such domains, and from them where DMARC meets one, waits.
        dnssec: Validation = "own",
        /// With `own`: a file with DNSKEY records to trust instead of the internet's root.
        dns_trust_anchor: Option<FilePath>,
        /// Networks that mail to a domain's own hosts may go to although they are not of the open internet: private, shared, link-local or set apart for documentation. Where the DNS leads to others, nobody is called.
        private_networks: Vec<Network> = [],
        /// Certificates in PEM to believe besides the system's, for `mail_server` and a smarthost. They say nothing of hosts that the DNS names.
        ca_file: Option<FilePath>,
        /// With `mx`: domains that ask for it by a record at `_smtp._tls` are told once a day what came of TLS with them, in numbers (RFC 8460). Nothing of a message or its recipients is told.
        tls_reports: bool = true,
        /// Connections to one destination at the same time.
        max_connections: NonZeroU32 = 20,
        /// Messages over one connection before it is closed.
        max_messages_per_connection: NonZeroU32 = 100,
        /// How long a connection may stand unused before it is closed.
        idle_timeout: Duration = "15s",
        /// Domains whose mail goes another way, or that have to prove more than they do of themselves.
        route: Vec<DeliveryRoute>,
    }

    /// Domains whose mail goes another way, or that have to prove more than they do of themselves. It never weakens what a domain's own hosts have to prove by DANE or MTA-STS, nor `protect = "tls"`.
    pub struct DeliveryRoute {
        /// The domains, at least one: `partner.example`, or `.partner.example` for all below it. Of several routes that fit, the nearest name counts.
        domains: Vec<DomainPattern>,
        /// Whom to give their mail, such as `smtp://relay.partner.example:587`. Without it the way is that of `delivery.internet`, which must be `mx` then.
        next_hop: Option<NextHop>,
        /// Who we are to the next hop: a file nobody else may read with `name:password` in it, or `credential:NAME`. Then its TLS is always verified.
        login: Option<Secret>,
        /// The least that a connection has to be: `opportunistic` (TLS where it is offered), `encrypt` (TLS, with any certificate), or `verified`: DANE, MTA-STS, or a certificate for the next hop, for the domain itself, for a host that DNSSEC proves to be the domain's, or for one of `names`. By a next hop, mail under `protect = "tls"` goes only where `verified` is written. Default: `opportunistic`.
        tls: Option<RouteTls>,
        /// Certificates in PEM to believe for these domains, and no others.
        ca_file: Option<FilePath>,
        /// Further names that a certificate may be for.
        names: Vec<Domain>,
    }
}

words! {
    /// `delivery.dnssec`.
    pub enum Validation {
        /// Every answer is validated here.
        Own = "own",
        /// The AD bit of resolvers on this machine is believed.
        Resolver = "resolver",
    }

    /// `delivery.route.tls`.
    pub enum RouteTls {
        /// TLS where it is offered.
        Opportunistic = "opportunistic",
        /// TLS, with any certificate.
        Encrypt = "encrypt",
        /// TLS with a peer that proves who it is.
        Verified = "verified",
    }
}

impl DeliveryRoute {
    /// What is written of TLS, or its default.
    #[must_use]
    pub fn level(&self) -> TlsLevel {
        match self.tls {
            None | Some(RouteTls::Opportunistic) => TlsLevel::Opportunistic,
            Some(RouteTls::Encrypt) => TlsLevel::Encrypt,
            Some(RouteTls::Verified) => TlsLevel::Verified,
        }
    }
}

impl Delivery {
    /// The route of a domain, if one is written, and the pattern that makes it fit.
    #[must_use]
    pub fn route_of(&self, domain: &Domain) -> Option<(DomainPattern, &DeliveryRoute)> {
        let each =
            self.route.iter().flat_map(|route| route.domains.iter().map(move |pattern| (pattern.clone(), route)));
        each.collect::<ByDomain<_>>().nearest(domain).map(|(pattern, route)| (pattern.clone(), *route))
    }

    /// Which domains mail has a way to for which verified TLS is required: by MX, by a smarthost that enforces it, or by a
    /// next hop of their own that is verified.
    #[must_use]
    pub fn verifies_tls(&self) -> VerifiedTls {
        let usually = self.internet == Internet::Mx || self.smarthost_enforces_tls;
        let by_next_hop = self.route.iter().map(|route| {
            let verifies = if route.next_hop.is_some() { route.level() == TlsLevel::Verified } else { usually };
            (route, verifies)
        });
        let each = by_next_hop
            .flat_map(|(route, verifies)| route.domains.iter().map(move |pattern| (pattern.clone(), verifies)));
        VerifiedTls { usually, of: each.collect::<ByDomain<bool>>() }
    }

    /// The settings as `delivery` takes them, but for what stands in files: logins and routes. `hostname` is what we call
    /// ourselves.
    #[must_use]
    pub fn for_delivery(&self, hostname: &Domain) -> crate::delivery::Settings {
        crate::delivery::Settings {
            hostname: hostname.clone(),
            internet: self.internet.clone(),
            smarthost_enforces_tls: self.smarthost_enforces_tls,
            login: None,
            routes: ByDomain::default(),
            mail_server: self.mail_server.clone(),
            inner_plaintext: self.inner_plaintext,
            dns: DnsSettings {
                servers: self.dns.clone(),
                dnssec: match self.dnssec {
                    Validation::Own => Dnssec::Own,
                    Validation::Resolver => Dnssec::Resolver,
                },
                trust_anchor: self.dns_trust_anchor.as_ref().map(|file| file.path.clone()),
            },
            private_networks: self.private_networks.clone(),
            ca_file: self.ca_file.as_ref().map(|file| file.path.clone()),
            tls_reports: self.tls_reports,
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
