//! Sockets, TLS, time and the end of the program.

mod clock;
mod shutdown;

pub use clock::{Clock, Time};
pub use shutdown::Shutdown;
