//! What the portal asks of those who know who someone is, and of those who remember it for a while.

use std::fmt;

use async_trait::async_trait;

use crate::mailboxes::{Identified, PersonId};
use crate::net::Time;
use crate::texts::Language;

/// A login that has begun. Does not print.
#[derive(Clone)]
pub struct Begun {
    /// Where the browser goes: the provider's own page.
    pub location: String,
    /// The login as this browser keeps it, sealed, for a cookie: it ties the way back to it.
    pub binding: String,
}

/// What the browser brings back from the provider (RFC 6749 §4.1.2, RFC 9207). Does not print.
#[derive(Clone, Default)]
pub struct WayBack {
    /// `code`.
    pub code: Option<String>,
    /// `state`.
    pub state: Option<String>,
    /// `iss`.
    pub iss: Option<String>,
    /// `error`.
    pub error: Option<String>,
}

/// A login that succeeded.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Who is there.
    pub who: Identified,
    /// Where in the portal they were going.
    pub return_to: String,
}

/// Why nobody was logged in. The exact reason goes into the trace, not onto the page.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoginFault {
    /// There is no provider of that id.
    #[error("there is no such e-ID provider")]
    NoSuchProvider,
    /// Nobody began this login in this browser, or it was finished before, or its time is over.
    #[error("no such login is under way")]
    NotUnderWay,
    /// The person gave up, or what came back does not hold.
    #[error("the login does not hold: {0}")]
    Refused(String),
    /// The provider cannot be reached.
    #[error("the e-ID provider does not answer: {0}")]
    Unavailable(String),
}

impl LoginFault {
    /// Whether trying again later may help: the provider was not to be reached.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::NoSuchProvider | Self::NotUnderWay | Self::Refused(_) => false,
        }
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Begun …")
    }
}

impl fmt::Debug for WayBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WayBack …")
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visitor …")
    }
}

/// The e-ID providers.
#[async_trait]
pub trait ElectronicId: Send + Sync + 'static {
    /// Begins a login.
    ///
    /// # Errors
    /// [`LoginFault`].
    async fn begin(&self, provider: &str, return_to: String) -> Result<Begun, LoginFault>;

    /// Ends a login: `binding` is the cookie's value.
    ///
    /// # Errors
    /// [`LoginFault`].
    async fn finish(&self, provider: &str, back: WayBack, binding: &str) -> Result<Finished, LoginFault>;
}

/// A login as it stands. Does not print.
#[derive(Clone)]
pub struct Visitor {
    /// Who is there.
    pub who: Identified,
    /// The same for the post boxes.
    pub person: PersonId,
    /// What every form must bring back.
    pub csrf: String,
    /// When the login ends if nothing is done before.
    pub ends: Time,
    /// When it ends in any case.
    pub ends_at_last: Time,
}

/// The logins of now. Tokens are secrets of the cookie; asking for one counts as doing something.
pub trait Visitors: Send + Sync + 'static {
    /// A new login's token; `None` if there is no randomness.
    fn begin(&self, who: Identified, person: PersonId, language: Language) -> Option<String>;

    /// The login with this token, if it has not ended.
    fn find(&self, token: &str) -> Option<Visitor>;

    /// Ends a login.
    fn end(&self, token: &str);
}
