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

    /// The one to speak to somebody who asks for a language (RFC 9110 §12.5.4, a range without its weight): that language,
    /// or Danish to Norwegians, which is nearer to both forms of Norwegian than what an organisation speaks otherwise.
    #[must_use]
    pub fn nearest(range: &str) -> Option<Self> {
        match primary(range).as_str() {
            "nb" | "nn" | "no" => Some(Self::Da),
            _ => range.parse().ok(),
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
        let primary = primary(text);
        Self::ALL.into_iter().find(|language| language.tag() == primary).ok_or(LanguageFault)
    }
}

/// The primary tag of a language (RFC 5646 §2.2.1).
fn primary(tag: &str) -> String {
    tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}
