//! The Basic Encoding Rules, and the way from them to the Distinguished ones (ITU-T X.690).

mod heading;
mod walker;
mod rewrite;

pub use heading::{Class, Heading};
pub use rewrite::to_der;
pub use walker::{Event, Walker};
