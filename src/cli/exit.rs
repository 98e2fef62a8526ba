//! Exit codes, those of `sysexits.h`.

use crate::control::Refusal;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// EX_USAGE: the words are off.
    Usage = 64,
    /// EX_DATAERR: the input is not what it should be.
    BadInput = 65,
    /// EX_UNAVAILABLE: something needed is not there.
    Unavailable = 69,
    /// EX_SOFTWARE: an internal fault.
    Software = 70,
    /// EX_CANTCREAT: a file cannot be made.
    CannotCreate = 73,
    /// EX_IOERR: what was to be printed could not be.
    CannotWrite = 74,
    /// EX_CONFIG: the configuration has faults.
    Config = 78,
}

/// A command that did not do what was asked: a line for standard error and a code.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// What happened and what to do.
    pub text: String,
    /// How the program ends.
    pub exit: u8,
}

impl Failure {
    /// A failure with this code.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: exit as u8 }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { text: refusal.text, exit: refusal.exit }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(fault: anyhow::Error) -> Self {
        Self::new(Exit::Software, format!("{fault:#}"))
    }
}
