//! `[log]`: what goes to standard error.

use crate::fault::{At, Key, Keys, Place, Reader, Section, Setting, TextSetting, Value, settings};
use crate::telemetry::LogFormat;

settings! {
    /// The log on standard error. It names no subject, body, whole address or national number.
    pub struct Log {
        /// `text` for people, `json` with one object a line for machines.
        format: LogFormat = "text",
    }
}

impl TextSetting for LogFormat {
    const FORM: &'static str = "one of \"text\", \"json\"";
}
