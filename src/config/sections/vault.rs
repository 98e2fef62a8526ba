//! `[vault]`: the keys that lock what we keep.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::fault::{At, Key, Keys, Place, Reader, Secret, Section, Setting, TextSetting, Value, settings};

settings! {
    /// The keys that lock what we keep. A message locked today opens with the stock age program and one of these.
    pub struct Vault {
        /// An age identity file as `sealgate init` writes it, readable by us alone, or `credential:NAME`.
        identity: Secret,
        /// Public age recipients whose private half is kept off this machine: they too can open epoch identities.
        recovery: Vec<AgeRecipient>,
        /// How long one epoch's key is used for new messages.
        rotate_every: Duration = "30d",
    }
}

/// An age recipient as written, `age1…`. Whether it is one, the vault knows; here it has its form (Bech32, BIP 173).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgeRecipient(String);

/// The text has not the form of an age recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeRecipientFault {
    /// It is the private half.
    #[error("this is a private key: keep it off this machine and out of this file")]
    IsPrivate,
    /// It is something else.
    #[error("not an age recipient")]
    Form,
}

impl AgeRecipient {
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgeRecipient {
    type Err = AgeRecipientFault;

    fn from_str(text: &str) -> Result<Self, AgeRecipientFault> {
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(AgeRecipientFault::IsPrivate);
        }
        let rest = text.strip_prefix("age1").ok_or(AgeRecipientFault::Form)?;
        let fits = rest.len() >= 58 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(AgeRecipientFault::Form) }
    }
}

impl fmt::Display for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TextSetting for AgeRecipient {
    const FORM: &'static str = "a public age recipient, \"age1…\", as `age-keygen -y` prints it";
    // Someone may have written the private half: it must not be repeated on a screen.
    const SECRET: bool = true;
}
