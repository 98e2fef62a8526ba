//! Who is at our door: e-ID through any OpenID Connect provider, and who is logged in.
//!
//! # Security
//!
//! Reads what browsers and providers send. A login counts only if state, nonce, signature, issuer, audience, time and
//! level of assurance are right; the exact reason of a refusal goes into the trace, never onto a page. Tokens of logins
//! are kept as hashes and compared as such.

mod login;
mod attempts;
mod keys;
mod claims;
mod oidc;
mod sessions;

pub use login::{Begun, ElectronicId, Finished, LoginFault, Visitor, Visitors, WayBack};
pub use oidc::{ClaimNames, Oidc, Provider};
pub use sessions::Sessions;
