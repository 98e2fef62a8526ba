//! What is wrong with a configuration, with place, cause and hint; and the reading of TOML that finds it.
//!
//! A module declares its section once, with [`settings!`]: names, types, defaults and meaning. From that declaration
//! come the struct, the reader that reports every fault at once, the reference, and the printed effective settings.
//! Nothing here opens a file.

mod found;
mod told;
mod nearest;
mod key;
mod reader;
mod setting;
mod quantity;
mod network;
mod url;
mod place;
mod standard;
mod section;
mod declare;

pub use found::{Fault, Faults, Severity};
pub use key::{Key, Keys};
pub use network::{Network, NetworkFault};
pub use place::{FilePath, FolderPath, Secret};
pub use quantity::{Size, SizeFault, read_duration, write_duration};
pub use reader::{At, Place, Reader, Value};
pub use section::Section;
pub use setting::{Setting, TextSetting, UnknownWord};
pub use told::{told, why};
pub use url::{Host, Url, UrlFault};

pub(crate) use declare::{settings, words};
pub(crate) use nearest::nearest;
