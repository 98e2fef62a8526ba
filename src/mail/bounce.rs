//! Delivery reports, read (RFC 3464): what came back, and why.

use crate::mail::field::Header;
use crate::mail::mime::{PartSink, Splitter};
use crate::mail::part::PartHead;
use crate::mail::transfer::PartEnd;

/// Octets of a report's machine-readable part.
const STATUS_OCTETS: usize = 64 * 1024;
/// Octets of a diagnostic that are kept.
const DIAGNOSTIC_OCTETS: usize = 500;

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounce {
    /// A recipient was given up.
    pub has_failed: bool,
    /// Its status, such as `5.1.1`.
    pub status: String,
    /// What the mail server said, one line.
    pub diagnostic: Option<String>,
}

#[derive(Default)]
struct Finder {
    status: Vec<u8>,
    within: bool,
}

impl PartSink for Finder {
    fn header(&mut self, _header: &Header) {}

    fn part(&mut self, head: &PartHead) {
        self.within = matches!(head.media_type.as_str(), "message/delivery-status" | "message/global-delivery-status");
    }

    fn octets(&mut self, octets: &[u8]) {
        if self.within && self.status.len() + octets.len() <= STATUS_OCTETS {
            self.status.extend_from_slice(octets);
        }
    }

    fn end(&mut self, _end: PartEnd) {
        self.within = false;
    }
}

impl Bounce {
    /// Reads a whole message; `None` if it is no delivery report.
    #[must_use]
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut finder = Finder::default();
        let mut splitter = Splitter::new();
        splitter.push(message, &mut finder);
        splitter.finish(&mut finder);
        // Fields about the message, then, behind an empty line, fields about each recipient: the first that failed counts.
        let fields = Header::new(finder.status.into_iter().filter(|octet| *octet != b'\r').collect::<Vec<u8>>());
        let actions: Vec<String> = fields.all("Action").map(|field| field.unfolded().to_ascii_lowercase()).collect();
        if actions.is_empty() {
            return None;
        }
        let one_line = |text: String| {
            let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
            text.truncate(text.floor_char_boundary(DIAGNOSTIC_OCTETS));
            text
        };
        Some(Self {
            has_failed: actions.iter().any(|action| action.starts_with("failed")),
            status: fields.first("Status").map(|field| one_line(field.unfolded())).unwrap_or_default(),
            diagnostic: fields.first("Diagnostic-Code").map(|field| one_line(field.unfolded())),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::mail::bounce::*;

    #[test]
    fn a_report_is_told_from_other_mail() {
        let report = b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; eva@live.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n  no such user\r\n--b--\r\n";
        let bounce = Bounce::read(report).unwrap();
        assert!(bounce.has_failed);
        assert_eq!(bounce.status, "5.1.1");
        assert_eq!(bounce.diagnostic.as_deref(), Some("smtp; 550 5.1.1  no such user"));
        assert_eq!(Bounce::read(b"Subject: hej\r\n\r\nAction: failed\r\n"), None);
    }
}
