//! Sockets, TLS, time and the end of the program.

mod clock;
mod steadiness;
mod shutdown;
mod outside;
mod dns;
mod verifier;
mod dane;
mod named;
mod client_tls;
mod limit;
mod rate;
mod proxy_protocol;
mod server_tls;
mod stream;
mod listener;

pub use client_tls::{ClientTls, ClientTlsError, Proof, handshake_fault};
pub use clock::{Clock, Time};
pub use dane::Dane;
pub use dns::{
    Dns, DnsFault, DnsSettings, Dnssec, Exchange, Tlsa, Told, fault_of_anchors, fault_of_resolver,
    fault_of_system_resolvers,
};
pub use limit::{Admission, Admitted, Place, SessionLimits};
pub use listener::{Arrival, Listener};
pub use named::{Named, Roots, RootsFault};
pub use outside::{Outside, is_here};
pub use proxy_protocol::{ProxyFault, Spoken, begins_as_proxy_header, parse_proxy_header, read_proxy_header};
pub use rate::{Rate, RateLimit};
pub use server_tls::{ServerTls, ServerTlsError};
pub use shutdown::Shutdown;
pub use steadiness::Steadiness;
pub use stream::Stream;
