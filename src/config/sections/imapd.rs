//! `[imapd]`: the IMAP door.

use std::net::SocketAddr;

use crate::fault::{At, Key, Keys, Place, Reader, Section, Setting, Value, settings};

settings! {
    /// The IMAP door, for hosted mailboxes. Not served yet.
    pub struct Imapd {
        /// Address and port to listen at, with TLS from the first byte (RFC 8314 §3).
        listen: SocketAddr,
    }
}
