//! The CMS and S/MIME language (RFC 5652, 5083, 8551).
//!
//! # Security
//!
//! Everything here reads bytes from strangers. Nothing here does I/O or knows the time; randomness is passed in. BER is
//! brought into DER within bounds ([`limits`]) before a strict parser sees it.

pub mod limits;
mod error;
pub mod ber;
pub mod algorithm;

pub use error::CmsError;
