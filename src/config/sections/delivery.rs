//! `[delivery]`: where mail goes from here.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::fault::{
    At, FilePath, Host, Key, Keys, Place, Reader, Section, Setting, TextSetting, Url, UrlFault, Value, settings,
};

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
        /// Certificates in PEM to believe besides the system's, for `mail_server` and a smarthost.
        ca_file: Option<FilePath>,
        /// Connections to one destination at the same time.
        max_connections: NonZeroU32 = 20,
        /// Messages over one connection before it is closed.
        max_messages_per_connection: NonZeroU32 = 100,
        /// How long a connection may stand unused before it is closed.
        idle_timeout: Duration = "15s",
    }
}

/// `delivery.internet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Internet {
    /// By the recipient domain's MX records.
    Mx,
    /// All of it to one host.
    Smarthost(NextHop),
}

/// A host that takes mail: `smtp://host:port`, `smtps://host:port`, `lmtp://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop(Url);

/// Why a text is no [`NextHop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NextHopFault {
    /// Not a URL.
    #[error(transparent)]
    Url(#[from] UrlFault),
    /// Another scheme.
    #[error("mail is handed over by smtp://, smtps:// or lmtp://")]
    SchemeUnknown,
    /// There is more than a host and a port.
    #[error("a login or a path has no place here")]
    MoreThanHost,
}

impl NextHop {
    /// `smtp`, `smtps` or `lmtp`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.0.scheme
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// The port: 25, 465 or 24 unless written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port.unwrap_or(match self.scheme() {
            "smtps" => 465,
            "lmtp" => 24,
            _ => 25,
        })
    }
}

impl FromStr for NextHop {
    type Err = NextHopFault;

    fn from_str(text: &str) -> Result<Self, NextHopFault> {
        let url: Url = text.parse()?;
        if !matches!(url.scheme.as_str(), "smtp" | "smtps" | "lmtp") {
            return Err(NextHopFault::SchemeUnknown);
        }
        if url.login.is_some() || !matches!(url.rest.as_str(), "" | "/") {
            return Err(NextHopFault::MoreThanHost);
        }
        Ok(Self(url))
    }
}

impl FromStr for Internet {
    type Err = NextHopFault;

    fn from_str(text: &str) -> Result<Self, NextHopFault> {
        if text == "mx" { Ok(Self::Mx) } else { text.parse().map(Self::Smarthost) }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme(), self.host(), self.port())
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

impl TextSetting for NextHop {
    const STAND_IN: Option<&'static str> = Some("smtp://stand-in.invalid");
    const FORM: &'static str = "a host such as \"smtp://mail.sundby.example:25\", or smtps:// or lmtp://";
}

impl TextSetting for Internet {
    const STAND_IN: Option<&'static str> = NextHop::STAND_IN;
    const FORM: &'static str = "\"mx\", or a smarthost such as \"smtp://127.0.0.1:2525\"";
}
