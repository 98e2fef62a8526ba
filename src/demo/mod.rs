//! The whole loop on this machine: gateways between stand-ins, walked once and left to be clicked through.
//!
//! What stands in for a mail server, a recipient's mail provider or an e-ID is named as such and exists here alone.

mod op;
mod mail_stand_in;
mod provider_page;
mod browser;
mod scene;
mod walk;
mod run;

pub use op::{LEVEL, Misdeed, NUMBER_CLAIM, Op, Person};
pub use run::{Place, run};
