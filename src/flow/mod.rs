//! The one path from taken to queued: judge, promise, serve, deposit, tell.

mod settings;
mod fault;
mod addresses;
mod returns;
mod told;
mod passes;
mod stamp;
mod seal;
mod ways;
mod forwarding;
mod scanning;
mod house;
mod admission;
mod thread;
mod circle;
mod checked;
mod judged;
mod reception;
mod service;
mod carry;
mod answers;
mod sweep;
mod erase;
mod worker;

pub use addresses::{Bearing, ServiceAddress, TokenRow, Tokens};
pub use answers::Answers;
pub use carry::Carrier;
pub use forwarding::ReturnPaths;
pub use house::{House, LargeHeaders};
pub use returns::{RecipientClass, ReturnMailbox, Returns};
pub use scanning::Scanning;
pub use service::Desk;
pub use settings::{Current, Department, Settings};
pub use sweep::Sweeper;
pub use told::Told;
pub use worker::Worker;
