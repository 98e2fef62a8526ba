//! The SMTP door: our own mail server's outgoing mail, and the internet's incoming.
//!
//! # Security
//!
//! Reads commands and messages from strangers, in the clear and behind TLS. Touches nothing itself: senders, recipients
//! and messages go to a [`crate::queue::Reception`], which alone may promise anything. Every length, count and wait has
//! a bound; a session holds 2 KiB while it is idle and some 64 KiB while a message comes. Lines end in CRLF and
//! messages in CRLF.CRLF alone (no smuggling); octets behind STARTTLS end the session (no injection); so do the verbs
//! of HTTP, and whoever speaks before the greeting. Who a client is, the socket says; a PROXY header or XCLIENT is
//! believed of peers that are trusted, and gives its client no trust. How often a client comes, sends and errs has a
//! bound too. If a session fails, its message was not promised, and its client tries again.

mod config;
mod texts;
mod transaction;
mod door;
mod header_watch;
mod intake;
mod state;
mod parting;
mod wire;
mod xclient;
mod greet;
mod starttls;
mod mail_from;
mod rcpt_to;
mod data;
mod bdat;
mod session;
mod server;

pub use config::{DoorSettings, RequiredHeader, Requirement};
pub use server::{Server, SettingsHandle};
