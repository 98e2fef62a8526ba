//! `[delivery]`: where mail goes from here.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::fault::Network;
use crate::mail::{ByDomain, Domain};
use crate::net::{DnsSettings, Roots};

/// The settings of `[delivery]`, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `hostname`: what we call ourselves in EHLO and LHLO.
    pub hostname: Domain,
    /// `internet`: how mail reaches those outside.
    pub internet: Internet,
    /// `smarthost_enforces_tls`: the smarthost itself sends over verified TLS or not at all, and so do we to it.
    pub smarthost_enforces_tls: bool,
    /// `login`: who we are to the smarthost.
    pub login: Option<Login>,
    /// `route`: what is configured for domains.
    pub routes: ByDomain<Arc<DomainRoute>>,
    /// `mail_server`: where our own mailboxes live.
    pub mail_server: NextHop,
    /// `inner_plaintext`: the mail server off loopback need not prove itself.
    pub inner_plaintext: bool,
    /// `dns`, `dnssec`, `dns_trust_anchor`: who is asked for mail exchangers, and who is believed.
    pub dns: DnsSettings,
    /// `private_networks`: what the DNS may lead to besides the open internet.
    pub private_networks: Vec<Network>,
    /// `ca_file`: roots beside the system's, PEM, about hosts that are named here.
    pub ca_file: Option<PathBuf>,
    /// `tls_reports`: domains that want to hear what came of TLS with them are told.
    pub tls_reports: bool,
    /// How many connections one route may have, and how long each may last.
    pub bounds: Bounds,
}

/// `delivery.internet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Internet {
    /// `"mx"`: by the recipient domain's MX records.
    Mx,
    /// `"smtp://…"`: all to one host.
    Smarthost(NextHop),
}

/// `[[delivery.route]]`: the way to some domains, and what it has to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRoute {
    /// `next_hop`: whom to give their mail; without, the way is that of `delivery.internet`.
    pub next_hop: Option<NextHop>,
    /// `login`: who we are to the next hop. With it, the next hop is always verified.
    pub login: Option<Login>,
    /// `tls`.
    pub tls: TlsLevel,
    /// `names`: what certificates may be for, besides what is known of the peer without them.
    pub names: Vec<Domain>,
    /// `ca_file`: the roots that count here, and no others.
    pub roots: Option<Roots>,
}

/// The least that a connection has to be, whatever else the domain asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsLevel {
    /// As the domain asks; TLS where it is to be had, otherwise.
    Opportunistic,
    /// TLS, with any certificate where the domain asks for none.
    Encrypt,
    /// TLS with a peer that proves who it is.
    Verified,
}

/// A name and a password at a next hop (RFC 4954). Printed as the name alone. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Login(Arc<NameAndPassword>);

#[derive(PartialEq, Eq)]
struct NameAndPassword {
    name: String,
    password: Zeroizing<String>,
}

/// A text is no [`Login`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the form name:password, in one line of at most {LOGIN_OCTETS} octets")]
pub struct LoginFault;

/// Octets of name and password: what base 64 makes of them fits in a line (RFC 4954 §4).
const LOGIN_OCTETS: usize = 1_024;

/// What is spoken to the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP, TLS by STARTTLS (RFC 5321, RFC 3207). Port 25 unless given.
    Smtp,
    /// SMTP inside TLS from the first byte (RFC 8314 §3). Port 465 unless given.
    Smtps,
    /// LMTP: one answer per recipient (RFC 2033). Port 24 unless given.
    Lmtp,
}

/// `smtp://host:port`, `smtps://host:port`, `lmtp://host:port`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// What is spoken there.
    pub protocol: Protocol,
    /// A host name as A-labels, or an IP address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// The bounds of one route's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at the same time; who comes later waits in order.
    pub connections: usize,
    /// Messages over one connection before it is closed.
    pub messages: u32,
    /// How long a connection may stand idle before it is closed.
    pub idle: Duration,
}

/// Why a text is not a [`NextHop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NextHopFault {
    /// Does not begin with `smtp://`, `smtps://` or `lmtp://`.
    #[error("a next hop begins with smtp://, smtps:// or lmtp://")]
    SchemeUnknown,
    /// `mx`, but in capitals.
    #[error("\"mx\" is written in lower case")]
    MxInCapitals,
    /// Neither a host name nor an IP address.
    #[error("the host is neither a name nor an IP address (IPv6 in brackets)")]
    HostInvalid,
    /// Not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    PortInvalid,
}

impl Settings {
    /// Attempts under way to the internet at the same time: some hosts there are always slow.
    #[must_use]
    pub fn under_way(&self) -> usize {
        let each = match self.internet {
            Internet::Mx => 20,
            Internet::Smarthost(_) => 2,
        };
        self.bounds.connections.saturating_mul(each)
    }

    /// Attempts that wait for their turn at a destination there.
    #[must_use]
    pub fn waiting(&self) -> usize {
        match self.internet {
            Internet::Mx => self.under_way(),
            Internet::Smarthost(_) => self.bounds.connections,
        }
    }

    /// Messages to the internet in hand at the same time. Who waits for a turn leaves room for all that may be under way;
    /// beside a smarthost, where nearly all goes the same way, those under way are few, and those who wait fewer.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        match self.internet {
            Internet::Mx => self.under_way().saturating_add(self.waiting()),
            Internet::Smarthost(_) => self.under_way(),
        }
    }

    /// Attempts to our own mail server at the same time.
    #[must_use]
    pub fn under_way_inside(&self) -> usize {
        self.bounds.connections.saturating_mul(2)
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 20, messages: 100, idle: Duration::from_secs(15) }
    }
}

impl Login {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.0.password
    }
}

/// `name:password`, as it stands in its file: a line end behind it does not count.
impl FromStr for Login {
    type Err = LoginFault;

    fn from_str(text: &str) -> Result<Self, LoginFault> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (name, password) = line.split_once(':').ok_or(LoginFault)?;
        let fits = !name.is_empty() && !password.is_empty() && line.len() <= LOGIN_OCTETS;
        if !fits || line.contains(char::is_control) {
            return Err(LoginFault);
        }
        Ok(Self(Arc::new(NameAndPassword { name: name.to_owned(), password: Zeroizing::new(password.to_owned()) })))
    }
}

impl Hash for Login {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, …)", self.0.name)
    }
}

impl Protocol {
    fn scheme(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Smtps => "smtps",
            Self::Lmtp => "lmtp",
        }
    }

    fn usual_port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Smtps => 465,
            Self::Lmtp => 24,
        }
    }
}

impl FromStr for NextHop {
    type Err = NextHopFault;

    fn from_str(text: &str) -> Result<Self, NextHopFault> {
        let (scheme, rest) = text.split_once("://").ok_or(NextHopFault::SchemeUnknown)?;
        let protocol = [Protocol::Smtp, Protocol::Smtps, Protocol::Lmtp]
            .into_iter()
            .find(|known| known.scheme().eq_ignore_ascii_case(scheme))
            .ok_or(NextHopFault::SchemeUnknown)?;
        let (host, port) = split_port(rest.strip_suffix('/').unwrap_or(rest))?;
        let port = match port {
            Some(digits) => digits.parse().ok().filter(|port| *port != 0).ok_or(NextHopFault::PortInvalid)?,
            None => protocol.usual_port(),
        };
        Ok(Self { protocol, host, port })
    }
}

impl FromStr for Internet {
    type Err = NextHopFault;

    fn from_str(text: &str) -> Result<Self, NextHopFault> {
        match text {
            "mx" => Ok(Self::Mx),
            _ if text.eq_ignore_ascii_case("mx") => Err(NextHopFault::MxInCapitals),
            _ => text.parse().map(Self::Smarthost),
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.protocol.scheme();
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Internet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mx => f.write_str("mx"),
            Self::Smarthost(hop) => write!(f, "{hop}"),
        }
    }
}

impl fmt::Debug for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Host and port of an authority (RFC 3986 §3.2), the host checked. User names have no place here.
fn split_port(authority: &str) -> Result<(String, Option<&str>), NextHopFault> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(NextHopFault::HostInvalid)?;
        let address: std::net::Ipv6Addr = address.parse().map_err(|_| NextHopFault::HostInvalid)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((address.to_string(), Some(port))),
            None if after.is_empty() => Ok((address.to_string(), None)),
            None => Err(NextHopFault::HostInvalid),
        };
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let host: Domain = host.parse().map_err(|_| NextHopFault::HostInvalid)?;
    Ok((host.to_string(), port))
}

#[cfg(test)]
mod tests {
    use crate::delivery::config::*;

    #[test]
    fn a_next_hop_is_read_and_written() {
        for (text, written) in [
            ("smtp://127.0.0.1:2525", "smtp://127.0.0.1:2525"),
            ("SMTP://Mail.Sundby.example", "smtp://mail.sundby.example:25"),
            ("smtps://mail.sundby.example/", "smtps://mail.sundby.example:465"),
            ("lmtp://[::1]:2424", "lmtp://[::1]:2424"),
            ("lmtp://localhost", "lmtp://localhost:24"),
        ] {
            let hop: NextHop = text.parse().unwrap();
            assert_eq!(hop.to_string(), written);
        }
        assert_eq!("mx".parse(), Ok(Internet::Mx));
        assert_eq!("MX".parse::<Internet>(), Err(NextHopFault::MxInCapitals));
    }

    #[test]
    fn a_login_is_a_name_and_a_password_and_shows_the_name() {
        let login: Login = "gw@sundby.example:se:cret å\r\n".parse().unwrap();
        assert_eq!((login.name(), login.password()), ("gw@sundby.example", "se:cret å"));
        assert_eq!(format!("{login:?}"), "Login(gw@sundby.example, …)");
        let long = format!("a:{}", "b".repeat(1_024));
        for text in ["", "a", ":b", "a:", "a:b\nc", "a:b\0", "a:b\n\n", long.as_str()] {
            assert_eq!(text.parse::<Login>(), Err(LoginFault), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_next_hop_is_refused() {
        for text in [
            "",
            "127.0.0.1:25",
            "http://x.example",
            "smtp://",
            "smtp://x.example:0",
            "smtp://x.example:70000",
            "smtp://x.example:",
            "smtp://[::1",
            "smtp://[::1]25",
            "smtp://user@x.example",
            "smtp://x.example/path",
        ] {
            assert!(text.parse::<NextHop>().is_err(), "{text}");
        }
    }
}
