//! Building the whole in dependency order, running it, reloading it, stopping it.

mod found;
mod bind;
mod way;
mod judge;
mod kept;
mod name_servers;
mod readiness;
mod build;
mod run;

pub use bind::{flow_settings, rules};
pub use build::Daemon;
pub use found::{Foundation, RunBy, configuration, found};
pub use judge::{author_of, explain, read_message, read_message_from, run_expectations};
pub use kept::Kept;
pub use run::{RunFault, run};
