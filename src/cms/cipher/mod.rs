//! Content encryption that takes content piece by piece, and the wrapping of keys.

mod aes;
mod gcm;
mod content;
mod key_wrap;

pub(crate) use content::{ContentOpener, ContentSealer};
pub(crate) use key_wrap::{unwrap_key, wrap_key};
