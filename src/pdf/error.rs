//! Why there is no document.

use krilla::error::KrillaError;

/// Why no PDF can be made. None of these is the message's fault: what it says is always settable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PdfError {
    /// A font that is part of the program cannot be read.
    #[error("the font {0} that is part of the program cannot be read")]
    FontUnreadable(&'static str),
    /// The library knows no such kind of PDF, or no such paper.
    #[error("the library makes no tagged A4 PDF")]
    KindUnknown,
    /// The library does not make a PDF of it.
    #[error("the library refuses to write the PDF: {0}")]
    Refused(KrillaError),
}

impl PdfError {
    /// Whether trying again could help: never, since the same values make the same document.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::FontUnreadable(_) | Self::KindUnknown | Self::Refused(_) => false,
        }
    }
}
