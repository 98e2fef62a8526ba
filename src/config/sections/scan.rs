//! `[scan]`: the malware scanner.

use std::time::Duration;

use crate::fault::{
    At, Key, Keys, Place, Reader, Section, Setting, Size, TextSetting, UnknownWord, Value, settings, words,
};
use crate::scan::{Clamd, ScannerSettings};

settings! {
    /// Malware is looked for in all mail that enters, and in files that are uploaded. Where the scanner cannot tell, mail waits with the peer. clamd passes over what exceeds its own limits, unless it has `AlertExceedsMax yes`.
    pub struct Scan {
        /// Where clamd listens. It sees messages in the clear: off this machine only with `inner_plaintext = true` in `[delivery]`.
        clamd: Clamd,
        /// Larger messages are not shown to it, but held as if something had been found. clamd's `StreamMaxLength` should be no less.
        max_size: Size = "100 MiB",
        /// How long clamd may take for one message.
        timeout: Duration = "2m",
        /// What becomes of mail in which something was found: `hold` (a person decides; the sender if inside, else the postmaster is told; of mail from outside at most 60 an hour, the rest is refused), or `refuse`.
        on_found: OnFound = "hold",
    }
}

words! {
    /// What becomes of mail in which something was found.
    pub enum OnFound {
        /// It is held, and told.
        Hold = "hold",
        /// It is not taken.
        Refuse = "refuse",
    }
}

impl Scan {
    /// The settings as the scanner takes them.
    #[must_use]
    pub fn for_scanner(&self) -> ScannerSettings {
        ScannerSettings { clamd: self.clamd.clone(), max_size: self.max_size.0, timeout: self.timeout }
    }
}

impl TextSetting for Clamd {
    const STAND_IN: Option<&'static str> = Some("unix:/stand-in");
    const FORM: &'static str = "\"tcp://127.0.0.1:3310\" or \"unix:/run/clamav/clamd.ctl\"";
}
