//! `[control]`: the operator's door.

use std::net::SocketAddr;

use crate::fault::{At, FilePath, Key, Keys, Place, Reader, Section, Setting, Value, settings};

settings! {
    /// The operator's door.
    pub struct Control {
        /// The socket the command line speaks through; `control.sock` in `data_dir` unless written.
        socket: Option<FilePath>,
        /// Where GET /healthz, /readyz and /metrics are answered; nowhere unless written.
        listen: Option<SocketAddr>,
    }
}
