//! The languages sealgate speaks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language for notices, receipts and the portal (RFC 5646 primary tags).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Swedish.
    #[default]
    Sv,
    /// Danish.
    Da,
    /// English.
    En,
}

/// The text names no language sealgate speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the languages are sv, da and en")]
pub struct LanguageFault;

impl Language {
    /// All of them, in the order they are offered.
    pub const ALL: [Self; 3] = [Self::Sv, Self::Da, Self::En];

    /// The primary tag: `sv`, `da`, `en`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Sv => "sv",
            Self::Da => "da",
            Self::En => "en",
        }
    }

    /// The language's own name for itself.
    #[must_use]
    pub fn own_name(self) -> &'static str {
        match self {
            Self::Sv => "Svenska",
            Self::Da => "Dansk",
            Self::En => "English",
        }
    }
}

impl FromStr for Language {
    type Err = LanguageFault;

    fn from_str(text: &str) -> Result<Self, LanguageFault> {
        let primary = text.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        Self::ALL.into_iter().find(|language| language.tag() == primary).ok_or(LanguageFault)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}
