//! A message as a document for keeping: tagged, so that a screen reader can read it (ISO 14289-1), with its fonts.

mod error;
mod face;
mod structure;
mod sheet;
mod layout;
mod render;

pub use error::PdfError;
pub use layout::Document;
pub use render::render;
