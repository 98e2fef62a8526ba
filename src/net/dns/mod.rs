//! What the DNS says of a name (RFC 1034), and whether DNSSEC proves it (RFC 4035).

mod told;
mod chain;
mod settings;
mod validator;
mod trusted;
mod lookup;

pub use lookup::Dns;
pub use settings::{DnsSettings, Dnssec, fault_of_anchors, fault_of_resolver, fault_of_system_resolvers};
pub use told::{DnsFault, Exchange, Tlsa, Told};
