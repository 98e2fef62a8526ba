//! What the DNS says of a name (RFC 1034), and whether DNSSEC proves it (RFC 4035).

mod told;
mod chain;
mod settings;
mod validator;
mod lookup;

pub use lookup::Dns;
pub use settings::{DnsSettings, fault_of_anchors};
pub use told::{DnsFault, Exchange, Tlsa, Told};
