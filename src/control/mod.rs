//! The operator's door: the control socket that the command line speaks to, and the page that watchers ask.
//!
//! # Security
//!
//! The socket is a file only its owner may open (0600); whoever can open it may do what the command line can. Requests
//! are one bounded JSON line. The health page answers three fixed paths and tells nothing of any message.

mod protocol;
mod trust_desk;
mod desk;
mod health;
mod server;
mod client;

pub use client::{ask, is_running, may_ask};
pub use desk::Desk;
pub use health::{Readiness, serve_health};
pub use protocol::{Answer, REQUEST_OCTETS, Refusal, Request, SecretText};
pub use server::Server;
pub use trust_desk::TrustDesk;
