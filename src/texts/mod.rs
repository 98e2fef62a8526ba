//! What we say to people, in their languages: one set of texts for mail and portal.

mod language;
mod when;
mod say;

pub use language::{Language, LanguageFault};
pub use say::{Words, say};
pub use when::{Zone, ZoneFault};
