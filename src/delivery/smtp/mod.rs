//! SMTP and LMTP as a client.

mod sts_policy;
mod sts;
mod tally;
mod observed;
mod mx;
mod tls_policy;
mod allowance;
mod wire;
mod connect;
mod transaction;
mod pool;
mod crowd;
mod relay;
mod callout;

pub use callout::Callout;
pub use connect::{Resolver, SystemResolver, Trust};
pub use relay::{Relay, RelayFault};
pub use sts::{Sts, StsKeeping};
pub use sts_policy::{Mode, StsFault, StsPolicy};
pub use tally::{KeptTally, TlsTally};
pub use wire::Patience;
