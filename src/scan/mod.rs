//! Looking for malware in what enters, by a scanner beside us: clamd.
//!
//! # Security
//! The scanner sees messages in the clear, so it is spoken to on this machine. What it takes, answers and lets us wait
//! for is bounded. Where it cannot tell, it has not said that a message is clean: what enters waits.

mod clamd;

pub use clamd::{Clamd, Finding, Scan, ScanFault, Scanner, ScannerSettings};
