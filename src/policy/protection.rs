//! How strongly a recipient's copy is protected, and the ways a secured one is served.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::policy::error::RuleFault;

/// What a rule asks. Ordered: of all rules that match, the strongest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// As it is.
    Plain,
    /// Verified TLS or nothing.
    Tls,
    /// By a channel, never in the clear.
    Secure,
    /// A person decides.
    Hold,
    /// Not at all.
    Refuse,
}

/// A way to serve a secured recipient. There is no plain one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// S/MIME to the partner's domain.
    Tunnel,
    /// S/MIME to the person's own certificate.
    Personal,
    /// Kept here, read in the portal with e-ID.
    Pickup,
}

impl Protection {
    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
            Self::Secure => "secure",
            Self::Hold => "hold",
            Self::Refuse => "refuse",
        }
    }
}

impl FromStr for Protection {
    type Err = RuleFault;

    fn from_str(text: &str) -> Result<Self, RuleFault> {
        let all = [Self::Plain, Self::Tls, Self::Secure, Self::Hold, Self::Refuse];
        all.into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| RuleFault::ProtectionIsUnknown(text.to_owned()))
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Channel {
    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tunnel => "tunnel",
            Self::Personal => "personal",
            Self::Pickup => "pickup",
        }
    }
}

impl FromStr for Channel {
    type Err = RuleFault;

    fn from_str(text: &str) -> Result<Self, RuleFault> {
        let all = [Self::Tunnel, Self::Personal, Self::Pickup];
        all.into_iter().find(|known| known.as_str() == text).ok_or_else(|| RuleFault::ChannelIsUnknown(text.to_owned()))
    }
}
