//! The web door: where recipients log in with their e-ID, read, answer and save.
//!
//! # Security
//!
//! Everything that comes in is a stranger's: addresses, cookies, forms, files; so is every message that is shown. A page
//! needs a login but for the way in; a message is found by the person whose it is; what is somebody else's, gone or
//! never was looks the same. GET changes nothing but that its reader's own reading is recorded. Every form carries the
//! login's token. No page has scripts; a mail's HTML stands alone in a sandbox; files are only ever saved. Sizes, counts
//! and times of requests have bounds, knocks at the login a pace. If something fails, the page says that it did and
//! what was written is kept, or given back where the login has ended.

mod config;
mod pace;
mod turns;
mod cookie;
mod client;
mod door;
mod refusal;
mod visit;
mod frame;
mod around;
mod entry;
mod html_cost;
mod letter;
mod web_page;
mod download;
mod lists;
mod reading;
mod form;
mod reply;
mod router;
mod server;

pub use config::{Owner, PortalSettings, ProviderName};
pub use door::Deps;
pub use server::Server;
