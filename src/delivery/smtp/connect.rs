//! From a route to a session that is ready for mail: address, connection, greeting, TLS, EHLO.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BufMut;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

use crate::delivery::config::{Login, NextHop, Protocol};
use crate::delivery::error::{SessionError, Step, failure_of};
use crate::delivery::route::{Kind, Route, TlsPolicy};
use crate::delivery::smtp::allowance::Allowance;
use crate::delivery::smtp::observed::{Ends, Observed};
use crate::delivery::smtp::tls_policy::{Demand, demand};
use crate::delivery::smtp::wire::{Patience, Wire};
use crate::mail::{Domain, TlsFailure};
use crate::net::{ClientTls, Dns, Outside, Proof};
use crate::smtp::{Answer, Offers};

/// Finds the addresses of a host that the operator named, best first. Those of mail exchangers are asked of the DNS.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of this hop, with its port.
    ///
    /// # Errors
    /// The name has none, or cannot be looked up.
    async fn addresses(&self, hop: &NextHop) -> io::Result<Vec<SocketAddr>>;
}

/// The machine's own resolver, hosts file included.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

/// Whom we believe about the certificates of others.
#[derive(Clone)]
pub struct Trust {
    /// About hosts that the operator named: `ca_file` counts.
    pub named: ClientTls,
    /// About those that the DNS names: the system's roots alone. Who vouches inside does not vouch for strangers.
    pub open: ClientTls,
}

/// What every session of ours begins with.
pub struct Caller {
    /// What we call ourselves.
    pub hostname: Domain,
    /// Whom we believe about others.
    pub trust: Trust,
    /// Where those may live that the DNS names.
    pub outside: Outside,
    /// How long we wait for them.
    pub patience: Patience,
    /// Who knows where mail exchangers are; `None` where all mail goes to a host the operator named.
    pub dns: Option<Dns>,
}

/// A session in which mail can be given, with what the peer offers in it.
pub struct Session {
    /// The connection.
    pub wire: Wire,
    /// What was offered in the last EHLO or LHLO.
    pub offers: Offers,
    /// One reply per recipient behind the dot.
    pub is_lmtp: bool,
    /// Who the peer is.
    pub kind: Kind,
    /// The host as configured, for reports.
    pub remote: String,
    /// A transaction was begun and not ended.
    pub must_reset: bool,
    /// Recipients it refused when it was asked about them.
    pub refusals: u32,
}

/// What a peer says of itself.
struct Hello {
    offers: Offers,
    /// It calls itself what we call ourselves.
    is_by_ourselves: bool,
}

impl From<ClientTls> for Trust {
    /// The same about everybody.
    fn from(tls: ClientTls) -> Self {
        Self { named: tls.clone(), open: tls }
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, hop: &NextHop) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = hop.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, hop.port)]);
        }
        Ok(lookup_host((hop.host.as_str(), hop.port)).await?.collect())
    }
}

impl Caller {
    /// Opens a session with the route's hop, by the first of its addresses that has one. An address that was called in
    /// vain in this attempt is not called again.
    ///
    /// # Errors
    /// None has; the error is the last one's.
    pub async fn call(
        &self,
        route: &Route,
        resolver: &dyn Resolver,
        allowance: &mut Allowance,
    ) -> Result<Session, SessionError> {
        let addresses = timeout(self.patience.connect, self.addresses(route, resolver))
            .await
            .map_err(|_| SessionError::HostUnreachable("the look-up of its name took too long".to_owned()))??;
        let mut last = SessionError::HostUnreachable(
            if addresses.is_empty() { "its name has no address" } else { "its addresses have been called already" }
                .to_owned(),
        );
        for address in addresses {
            if allowance.may_call(address) {
                match self.call_address(route, address, allowance).await {
                    Ok(session) => return Ok(session),
                    Err(error) => {
                        allowance.note(address, &error);
                        last = error;
                    }
                }
            }
        }
        Err(last)
    }

    async fn addresses(&self, route: &Route, resolver: &dyn Resolver) -> Result<Vec<SocketAddr>, SessionError> {
        let unreachable = |fault: String| SessionError::HostUnreachable(fault);
        match (&self.dns, route.hop.host.parse()) {
            (Some(dns), Ok(host)) if route.kind == Kind::Exchanger => {
                let told = dns.addresses(&host).await.map_err(|fault| unreachable(fault.to_string()))?;
                let callable = told.records.into_iter().filter(|address| self.outside.has(*address));
                Ok(callable.map(|address| SocketAddr::new(address, route.hop.port)).collect())
            }
            _ => resolver.addresses(&route.hop).await.map_err(|fault| unreachable(fault.to_string())),
        }
    }

    fn tls(&self, route: &Route) -> &ClientTls {
        match route.kind {
            Kind::MailServer | Kind::Smarthost => &self.trust.named,
            Kind::Exchanger => &self.trust.open,
        }
    }

    async fn call_address(
        &self,
        route: &Route,
        address: SocketAddr,
        allowance: &mut Allowance,
    ) -> Result<Session, SessionError> {
        let (demand, until) = (demand(&route.tls, route.hop.protocol, address.ip()), allowance.until());
        let wire = self.connect(address, until).await?;
        let ends = Ends { sending: wire.own_address(), receiving: address.ip() };
        let opened = self.open(route, wire, &demand).await;
        self.note(route, ends, &opened, &mut allowance.observed);
        match opened {
            // A channel nobody verifies is worth no lost mail: RFC 7435 §3 wants it in the clear rather than not at all.
            Err(SessionError::TlsFailed(why)) if demand == Demand::IfOffered => {
                tracing::info!(remote = %route.hop.host, %why, "STARTTLS failed, going on in the clear");
                self.open(route, self.connect(address, until).await?, &Demand::Nothing).await
            }
            opened => opened,
        }
    }

    /// What came of TLS with a host that the DNS names: each handshake that was wanted passes here.
    fn note(&self, route: &Route, ends: Ends, opened: &Result<Session, SessionError>, observed: &mut Observed) {
        let (Kind::Exchanger, Ok(host)) = (route.kind, route.hop.host.parse()) else { return };
        let result = match opened {
            Ok(session) if session.wire.is_tls() && observed.is_tried_out(&host) => {
                let judged = self.tls(route).judge(&route.hop.host, session.wire.certificates());
                judged.map_err(|fault| failure_of(&fault))
            }
            Ok(session) if session.wire.is_tls() => Ok(()),
            // That a host is not who we configured it to be is no failure of the domain's.
            Err(SessionError::TlsFailed(_)) if matches!(route.tls, TlsPolicy::Named(_)) => return,
            Err(SessionError::TlsFailed(fault)) => Err(fault.failure),
            Ok(_) | Err(SessionError::PeerOffersNoTls | SessionError::PeerRefusedSession(Step::StartTls, _)) => {
                Err(TlsFailure::StarttlsNotSupported)
            }
            Err(
                SessionError::PeerInjectedBehindStartTls
                | SessionError::PeerClosed(Step::StartTls)
                | SessionError::PeerSilent(Step::StartTls),
            ) => Err(TlsFailure::ValidationFailure),
            // Nobody came as far as TLS.
            Err(_) => return,
        };
        tracing::debug!(remote = %route.hop.host, ?result, "connection");
        observed.saw(&host, ends, result);
    }

    async fn connect(&self, address: SocketAddr, until: Instant) -> Result<Wire, SessionError> {
        let unreachable = |fault: io::Error| SessionError::HostUnreachable(fault.to_string());
        let patience = until.min(Instant::now() + self.patience.connect);
        let stream = timeout_at(patience, TcpStream::connect(address))
            .await
            .map_err(|_| SessionError::HostUnreachable("no answer to the connection".to_owned()))?
            .map_err(unreachable)?;
        // Every write is a whole group of commands or a block: nothing is won by holding it back.
        stream.set_nodelay(true).map_err(unreachable)?;
        Ok(Wire::new(stream, self.patience, until))
    }

    async fn open(&self, route: &Route, wire: Wire, demand: &Demand) -> Result<Session, SessionError> {
        let mut wire = match (route.hop.protocol, demand) {
            (Protocol::Smtps, Demand::Required(proof)) => {
                wire.into_tls(self.tls(route), &route.hop.host, proof.clone()).await?
            }
            (Protocol::Smtps, Demand::Nothing | Demand::IfOffered) => {
                wire.into_tls(self.tls(route), &route.hop.host, Proof::Any).await?
            }
            (Protocol::Smtp | Protocol::Lmtp, _) => wire,
        };
        expect(Step::Greeting, 220, wire.answer(Step::Greeting).await?)?;
        let mut hello = self.hello(&mut wire, route).await?;
        if route.hop.protocol != Protocol::Smtps && *demand != Demand::Nothing {
            (wire, hello) = self.secure(wire, hello, route, demand).await?;
        }
        // Only now, for whoever stands in the way of a channel that must be secured may say what he likes before it is.
        if route.kind == Kind::Exchanger && hello.is_by_ourselves {
            return Err(SessionError::PeerIsOurselves);
        }
        // Said in the clear, it may be anybody's word (RFC 8689 §2).
        hello.offers.require_tls &= wire.is_tls();
        if let Some(login) = &route.login {
            sign_on(&mut wire, hello.offers, login, demand).await?;
        }
        Ok(Session {
            wire,
            offers: hello.offers,
            is_lmtp: route.hop.protocol == Protocol::Lmtp,
            kind: route.kind,
            remote: route.hop.host.clone(),
            must_reset: false,
            refusals: 0,
        })
    }

    /// EHLO or LHLO; HELO where EHLO is unknown (RFC 5321 §3.2).
    async fn hello(&self, wire: &mut Wire, route: &Route) -> Result<Hello, SessionError> {
        let is_lmtp = route.hop.protocol == Protocol::Lmtp;
        let verb = if is_lmtp { "LHLO" } else { "EHLO" };
        let answer = self.greet_back(wire, verb).await?;
        if matches!(answer.code(), 500 | 502 | 504) && !is_lmtp {
            expect(Step::Hello, 250, self.greet_back(wire, "HELO").await?)?;
            return Ok(Hello { offers: Offers::default(), is_by_ourselves: false });
        }
        let hello = expect(Step::Hello, 250, answer)?;
        Ok(Hello { offers: Offers::of(&hello), is_by_ourselves: self.is_by_ourselves(&hello) })
    }

    /// Whether the peer calls itself what we call ourselves (RFC 5321 §4.1.1.1): then the mail goes in a circle.
    fn is_by_ourselves(&self, hello: &Answer) -> bool {
        let name = hello.lines().first().and_then(|line| line.split_ascii_whitespace().next());
        name.is_some_and(|name| name.trim_end_matches('.').eq_ignore_ascii_case(self.hostname.as_str()))
    }

    async fn greet_back(&self, wire: &mut Wire, verb: &str) -> Result<Answer, SessionError> {
        wire.unsent().put_slice(format!("{verb} {}\r\n", self.hostname).as_bytes());
        wire.answer(Step::Hello).await
    }

    /// STARTTLS as the demand asks. What was offered in the clear is forgotten (RFC 3207 §4.2).
    async fn secure(
        &self,
        mut wire: Wire,
        hello: Hello,
        route: &Route,
        demand: &Demand,
    ) -> Result<(Wire, Hello), SessionError> {
        let proof = match demand {
            Demand::Required(proof) => proof.clone(),
            Demand::IfOffered | Demand::Nothing => Proof::Any,
        };
        let is_required = matches!(demand, Demand::Required(_));
        if !hello.offers.starttls {
            return if is_required { Err(SessionError::PeerOffersNoTls) } else { Ok((wire, hello)) };
        }
        wire.unsent().put_slice(b"STARTTLS\r\n");
        let answer = wire.answer(Step::StartTls).await?;
        if answer.code() != 220 {
            return if is_required {
                Err(SessionError::PeerRefusedSession(Step::StartTls, answer))
            } else {
                Ok((wire, hello))
            };
        }
        if wire.has_unread() {
            return Err(SessionError::PeerInjectedBehindStartTls);
        }
        let mut wire = wire.into_tls(self.tls(route), &route.hop.host, proof).await?;
        let hello = self.hello(&mut wire, route).await?;
        Ok((wire, hello))
    }
}

impl Session {
    /// Whether mail can be given in it, as far as can be seen without waiting.
    pub fn is_alive(&mut self) -> bool {
        self.wire.is_quiet()
    }

    /// Takes leave. Whether the peer hears it matters to nobody.
    pub async fn quit(mut self) {
        self.wire.unsent().put_slice(b"QUIT\r\n");
        let patience = self.wire.patience().quit;
        self.wire.serve_until(Instant::now() + patience);
        _ = timeout(patience, self.wire.answer(Step::Hello)).await;
    }
}

/// AUTH PLAIN, or LOGIN where only that is offered (RFC 4954 §4, RFC 4616): inside TLS, with a peer that has proven who
/// it is, and with nobody else.
async fn sign_on(wire: &mut Wire, offers: Offers, login: &Login, demand: &Demand) -> Result<(), SessionError> {
    match demand {
        Demand::Required(Proof::Verified | Proof::Named(_) | Proof::Dane(_)) => {}
        Demand::Required(Proof::Any) | Demand::IfOffered | Demand::Nothing => {
            return Err(SessionError::PeerOffersNoTls);
        }
    }
    let step = Step::SignOn;
    let encoded = |text: &str| Zeroizing::new(STANDARD.encode(text));
    if offers.auth_plain {
        let both = Zeroizing::new(format!("\0{}\0{}", login.name(), login.password()));
        let line = Zeroizing::new(format!("AUTH PLAIN {}\r\n", *encoded(&both)));
        wire.send_secret(step, line.as_bytes()).await?;
    } else if offers.auth_login {
        wire.unsent().put_slice(b"AUTH LOGIN\r\n");
        for answer in [login.name(), login.password()] {
            expect(step, 334, wire.answer(step).await?)?;
            let line = Zeroizing::new(format!("{}\r\n", *encoded(answer)));
            wire.send_secret(step, line.as_bytes()).await?;
        }
    } else {
        return Err(SessionError::PeerOffersNoLogin);
    }
    expect(step, 235, wire.answer(step).await?)?;
    Ok(())
}

fn expect(step: Step, code: u16, answer: Answer) -> Result<Answer, SessionError> {
    if answer.code() == code { Ok(answer) } else { Err(SessionError::PeerRefusedSession(step, answer)) }
}
