//! SMTP and LMTP as a client.

mod tls_policy;
mod wire;
mod connect;
mod transaction;
mod pool;
mod relay;

pub use connect::{Resolver, SystemResolver};
pub use relay::Relay;
pub use wire::Patience;
