//! Seals what we send: makes, of a treatment and a message, what may leave. Opens what we receive.
//!
//! # Security
//!
//! [`Outgoing`] is the only thing the queue sends. Its constructors are here: one for a treatment that says *pass*, one for
//! what was sealed, one for what sealgate writes itself. There is none for a secured recipient's plain text. Where sealing fails
//! the message stays where it is, locked; what it was sealed into so far is thrown away.

mod content;
mod fault;
mod locked;
mod protect;
mod wish;
mod wrap;
mod sealer;
mod outgoing;
mod verdict;
mod open;

pub use content::Content;
pub use fault::SealFault;
pub use open::{Opener, Opening, OpeningFault, Protected, Unwrapped};
pub use outgoing::{NextHop, Outgoing};
pub use protect::Face;
pub use sealer::{SealOrder, Sealed, Sealer};
pub use verdict::{Belonging, Provenance, SealReport, SignatureReport, SignatureWord};
pub use wish::{CipherWish, SealWish, SealWishes, SubjectWish, TransportWish};

pub(crate) use open::OUTER_FIELD;
