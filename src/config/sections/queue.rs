//! `[queue]`: how long we try.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::fault::{At, Key, Keys, Place, Reader, Section, Setting, Value, settings};

settings! {
    /// How long, and how often, delivery is tried. Names and habits are Postfix's.
    pub struct Queue {
        /// The wait after the first failed attempt; doubled each time.
        minimal_backoff: Duration = "5m",
        /// The longest wait between two attempts.
        maximal_backoff: Duration = "4000s",
        /// When to give up and tell the sender.
        maximal_lifetime: Duration = "5d",
        /// When to give up on receipts, reports and other letters of ours that nobody is told of if they come back.
        report_lifetime: Duration = "2d",
        /// When to tell the sender that mail is late.
        delay_warning: Duration = "4h",
        /// Messages in the queue from which on no more are taken: `452`, until a tenth fewer are there.
        max_entries: NonZeroU32 = 1000000,
    }
}
