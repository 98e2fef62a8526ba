//! `[vault]`: the keys that lock what we keep.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::fault::{At, Key, Keys, Place, Reader, Secret, Section, Setting, TextSetting, Value, settings};
use crate::vault::{IdentitySource, KeyFault, Recipient};

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

/// A public age recipient, told apart from the private half that someone may have written by mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgeRecipient(Recipient);

/// Why a text is no [`AgeRecipient`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeRecipientFault {
    /// It is the private half.
    #[error("this is a private key: keep it off this machine and out of this file")]
    IsPrivate,
    /// It is something else.
    #[error(transparent)]
    Key(#[from] KeyFault),
}

impl Vault {
    /// Where the identity is, as the vault takes it.
    #[must_use]
    pub fn identity_source(&self) -> IdentitySource {
        match &self.identity {
            Secret::File(file) => IdentitySource::File(file.path.clone()),
            Secret::Credential(name) => IdentitySource::Credential(name.clone()),
        }
    }

    /// The recovery recipients, as the vault takes them.
    #[must_use]
    pub fn recovery_recipients(&self) -> Vec<Recipient> {
        self.recovery.iter().map(|recipient| recipient.0.clone()).collect()
    }
}

impl FromStr for AgeRecipient {
    type Err = AgeRecipientFault;

    fn from_str(text: &str) -> Result<Self, AgeRecipientFault> {
        if text.trim_start().to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(AgeRecipientFault::IsPrivate);
        }
        Ok(Self(text.parse()?))
    }
}

impl fmt::Display for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TextSetting for AgeRecipient {
    const FORM: &'static str = "a public age recipient, \"age1…\", as `age-keygen -y` prints it";
    // Someone may have written the private half: it must not be repeated on a screen.
    const SECRET: bool = true;
}
