//! Why somebody does not get what they asked for, as the page tells it.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::identity::LoginFault;
use crate::mailboxes::MailboxError;
use crate::vault::VaultError;

/// What a page refuses with. The page itself is made once for all, where every answer passes.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// Nothing here, or nothing for this person: one and the same for all reasons.
    NotFound,
    /// Nobody is logged in: first to the login page, then back.
    LoginFirst {
        /// Where to return to.
        back: String,
    },
    /// A form that was not made for this login, or too long ago.
    FormIsStale,
    /// The e-ID did not tell who is there.
    LoginFailed,
    /// Knocked too often.
    TooOften,
    /// More octets than may be uploaded.
    TooLarge,
    /// Our own trouble; it is in the log.
    Unavailable,
}

impl Refusal {
    /// The status of its page.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::LoginFirst { .. } => StatusCode::SEE_OTHER,
            Self::FormIsStale => StatusCode::FORBIDDEN,
            Self::LoginFailed => StatusCode::BAD_REQUEST,
            Self::TooOften => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The ids of its heading and its text.
    pub(crate) fn texts(&self) -> (&'static str, &'static str) {
        match self {
            Self::NotFound | Self::LoginFirst { .. } => ("portal-not-found-heading", "portal-not-found-text"),
            Self::FormIsStale => ("portal-stale-heading", "portal-stale-text"),
            Self::LoginFailed => ("portal-login-failed-heading", "portal-login-failed-text"),
            Self::TooOften => ("portal-too-often-heading", "portal-too-often-text"),
            Self::TooLarge => ("portal-too-large-heading", "portal-too-large-text"),
            Self::Unavailable => ("portal-unavailable-heading", "portal-unavailable-text"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<MailboxError> for Refusal {
    fn from(fault: MailboxError) -> Self {
        tracing::error!(reason = %fault, "the portal cannot read or write a post box");
        Self::Unavailable
    }
}

impl From<VaultError> for Refusal {
    fn from(fault: VaultError) -> Self {
        tracing::error!(reason = %fault, "the portal cannot make a token");
        Self::Unavailable
    }
}

impl From<LoginFault> for Refusal {
    fn from(fault: LoginFault) -> Self {
        match fault {
            LoginFault::NoSuchProvider => Self::NotFound,
            LoginFault::NotUnderWay | LoginFault::Refused(_) => Self::LoginFailed,
            LoginFault::Unavailable(reason) => {
                tracing::warn!(reason, "an e-ID provider does not answer");
                Self::Unavailable
            }
        }
    }
}
