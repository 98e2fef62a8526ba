//! Sockets, TLS, time and the end of the program.

mod clock;
mod shutdown;
mod client_tls;

pub use client_tls::{ClientTls, ClientTlsError, Proof};
pub use clock::{Clock, Time};
pub use shutdown::Shutdown;
