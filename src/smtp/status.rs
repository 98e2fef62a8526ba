//! Enhanced status codes (RFC 3463).

use std::fmt;
use std::str::FromStr;

/// `class.subject.detail`; the class is 2, 4 or 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedStatus {
    class: u8,
    subject: u16,
    detail: u16,
}

/// The text is no enhanced status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an enhanced status code is 2, 4 or 5 and two numbers of one to three digits, joined by dots")]
pub struct EnhancedStatusFault;

impl EnhancedStatus {
    /// A status known at compile time.
    #[must_use]
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self { class, subject, detail }
    }

    /// 2 success, 4 temporary, 5 permanent.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The same subject and detail in another class.
    #[must_use]
    pub const fn with_class(self, class: u8) -> Self {
        Self { class, ..self }
    }
}

impl FromStr for EnhancedStatus {
    type Err = EnhancedStatusFault;

    fn from_str(text: &str) -> Result<Self, EnhancedStatusFault> {
        let mut parts = text.split('.');
        let mut number = || {
            let part = parts.next().ok_or(EnhancedStatusFault)?;
            let fits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| fits).ok_or(EnhancedStatusFault)
        };
        let (class, subject, detail) = (number()?, number()?, number()?);
        let class = u8::try_from(class).ok().filter(|c| matches!(c, 2 | 4 | 5)).ok_or(EnhancedStatusFault)?;
        if parts.next().is_some() { Err(EnhancedStatusFault) } else { Ok(Self { class, subject, detail }) }
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}
