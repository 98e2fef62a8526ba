//! Addresses of services.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::fault::setting::TextSetting;
use crate::mail::Domain;

/// A URL as far as settings need one (RFC 3986 §3): scheme, host, port, path and query.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// In lower case, without `://`.
    pub scheme: String,
    /// `user` or `user:password`, undecoded. Only stores have one; it is never printed.
    pub login: Option<String>,
    /// Where.
    pub host: Host,
    /// The port, if written.
    pub port: Option<u16>,
    /// Path and query as written, empty or beginning with `/` or `?`; no fragment.
    pub rest: String,
}

/// The host of a [`Url`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// By name.
    Name(Domain),
    /// By address; IPv6 in brackets.
    Ip(IpAddr),
}

/// Why a text is no [`Url`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// Does not begin with `word://`.
    #[error("not an address with :// in it")]
    SchemeMissing,
    /// Neither a host name nor an IP address.
    #[error("the host is neither a name nor an IP address")]
    HostInvalid,
    /// Not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    PortInvalid,
    /// Control characters, spaces, or a fragment.
    #[error("the path has a character that cannot stand there")]
    PathInvalid,
}

impl Host {
    /// Whether it is this machine: a loopback address or `localhost` (RFC 6761 §6.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name.as_str() == "localhost" || name.as_str().ends_with(".localhost"),
            Self::Ip(ip) => ip.to_canonical().is_loopback(),
        }
    }
}

impl Url {
    /// The same without a slash at its end: what paths are added to.
    #[must_use]
    pub fn base(&self) -> String {
        self.to_string().trim_end_matches('/').to_owned()
    }
}

impl FromStr for Url {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlFault::SchemeMissing)?;
        if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') {
            return Err(UrlFault::SchemeMissing);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).ok_or(UrlFault::HostInvalid)?;
        if rest.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control()) {
            return Err(UrlFault::PathInvalid);
        }
        let (login, authority) =
            authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
        let (host, port) = read_authority(authority)?;
        let scheme = scheme.to_ascii_lowercase();
        Ok(Self { scheme, login: login.map(str::to_owned), host, port, rest: rest.to_owned() })
    }
}

fn read_authority(authority: &str) -> Result<(Host, Option<u16>), UrlFault> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(UrlFault::HostInvalid)?;
        let address: Ipv6Addr = address.parse().map_err(|_| UrlFault::HostInvalid)?;
        let port = if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(UrlFault::PortInvalid)?) };
        (Host::Ip(IpAddr::V6(address)), port)
    } else {
        let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        let host = match host.parse::<IpAddr>() {
            Ok(ip) => Host::Ip(ip),
            Err(_) => Host::Name(host.parse().map_err(|_| UrlFault::HostInvalid)?),
        };
        (host, port)
    };
    let port = match port {
        Some(digits) => Some(digits.parse().ok().filter(|port| *port != 0).ok_or(UrlFault::PortInvalid)?),
        None => None,
    };
    Ok((host, port))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// The URL, its login as `…`.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.login.is_some() { "…@" } else { "" };
        write!(f, "{}://{login}{}", self.scheme, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.rest)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TextSetting for Url {
    const FORM: &'static str = "an address such as \"https://www.sundby.example/\"";
}

#[cfg(test)]
mod tests {
    use crate::fault::url::*;

    #[test]
    fn a_url_is_read_and_written_without_its_login() {
        for (text, written) in [
            ("HTTPS://Sakra.Sundby.example", "https://sakra.sundby.example"),
            ("smtp://127.0.0.1:2525", "smtp://127.0.0.1:2525"),
            ("lmtp://[::1]:24", "lmtp://[::1]:24"),
            ("postgres://me:hush@db.example/x?y=z", "postgres://…@db.example/x?y=z"),
        ] {
            assert_eq!(text.parse::<Url>().unwrap().to_string(), written);
        }
        let url: Url = "smtp://localhost:1".parse().unwrap();
        assert!(url.host.is_loopback());
        assert!(!"smtp://10.0.0.1".parse::<Url>().unwrap().host.is_loopback());
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "",
            "x",
            "://x",
            "http://",
            "http://[::1",
            "http://x:0",
            "http://x:",
            "http://a b/",
            "http://x/a\nb",
            "http://x/#a",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }
}
