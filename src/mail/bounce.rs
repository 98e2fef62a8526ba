//! Delivery reports, read: what became of whom (RFC 3464, RFC 6533). Real bounces bend every rule of it.

use crate::mail::address::Address;
use crate::mail::field::Header;
use crate::mail::mime::{PartSink, Splitter};
use crate::mail::part::PartHead;
use crate::mail::report::Action;
use crate::mail::transfer::PartEnd;

/// Octets read of the machine's half, and of what came back of the message.
const REPORT_OCTETS: usize = 256 * 1024;
/// Recipients read of one report.
const REPORTED_RECIPIENTS: usize = 1_000;
/// Octets of a diagnostic that are kept.
const DIAGNOSTIC_OCTETS: usize = 500;

/// A delivery report somebody sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounce {
    /// A recipient was given up.
    pub has_failed: bool,
    /// The status of the first that was, else of the first; empty where the report has none.
    pub status: String,
    /// What the mail server said about it, on one line.
    pub diagnostic: Option<String>,
    /// Each recipient it is about, in order.
    pub recipients: Vec<BouncedRecipient>,
    /// `Original-Envelope-Id`: the `ENVID=` we gave.
    pub envelope_id: Option<String>,
    /// The `Message-ID` of what came back, angle brackets included.
    pub original_message_id: Option<String>,
}

/// One recipient of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BouncedRecipient {
    /// `Final-Recipient`, else `Original-Recipient`; `None` where neither holds an address.
    pub address: Option<Address>,
    /// `Action`.
    pub action: Action,
    /// `Status`, such as `5.1.1`; empty where the report has none.
    pub status: String,
    /// `Diagnostic-Code` without its type.
    pub diagnostic: Option<String>,
}

impl Bounce {
    /// Reads a whole message; `None` if it is no delivery report. Bounded: of a long report the beginning is read.
    #[must_use]
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut found = Found::default();
        let mut splitter = Splitter::new();
        splitter.push(message, &mut found);
        splitter.finish(&mut found);
        let mut recipients = Vec::new();
        let mut envelope_id = None;
        for block in blocks(&found.status) {
            if let Some(id) = block.first("Original-Envelope-Id") {
                envelope_id.get_or_insert(id.unfolded());
            }
            recipients.extend(recipient(&block));
        }
        recipients.truncate(REPORTED_RECIPIENTS);
        let failed = recipients.iter().find(|recipient: &&BouncedRecipient| recipient.action == Action::Failed);
        let first = failed.or(recipients.first())?;
        let (has_failed, status, diagnostic) = (failed.is_some(), first.status.clone(), first.diagnostic.clone());
        // The machine's half may name the message too; the header that came back is the better witness.
        let named =
            blocks(&found.status).into_iter().flat_map(|block| block.message_ids("X-Original-Message-ID")).next();
        let original_message_id = found.returned().message_ids("Message-ID").into_iter().next().or(named);
        Some(Self { has_failed, status, diagnostic, recipients, envelope_id, original_message_id })
    }
}

/// What a report is made of, as it streams by.
#[derive(Default)]
struct Found {
    status: Vec<u8>,
    returned: Vec<u8>,
    reading: Reading,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Reading {
    #[default]
    Nothing,
    Status,
    Returned,
}

impl Found {
    fn returned(&self) -> Header {
        let end =
            memchr::memmem::find(&self.returned, b"\n\r\n").or_else(|| memchr::memmem::find(&self.returned, b"\n\n"));
        Header::new(end.map_or(self.returned.as_slice(), |end| self.returned.get(..=end).unwrap_or_default()))
    }
}

impl PartSink for Found {
    fn header(&mut self, _header: &Header) {}

    fn part(&mut self, head: &PartHead) {
        self.reading = match head.media_type.as_str() {
            "message/delivery-status" | "message/global-delivery-status" => Reading::Status,
            "text/rfc822-headers"
            | "message/rfc822-headers"
            | "message/global-headers"
            | "message/rfc822"
            | "message/global"
                if self.returned.is_empty() =>
            {
                Reading::Returned
            }
            _ => Reading::Nothing,
        };
    }

    fn octets(&mut self, octets: &[u8]) {
        let kept = match self.reading {
            Reading::Nothing => return,
            Reading::Status => &mut self.status,
            Reading::Returned => &mut self.returned,
        };
        let room = REPORT_OCTETS.saturating_sub(kept.len()).min(octets.len());
        kept.extend_from_slice(octets.get(..room).unwrap_or_default());
    }

    fn end(&mut self, _end: PartEnd) {
        self.reading = Reading::Nothing;
    }
}

/// The groups of fields of a `message/delivery-status` (RFC 3464 §2.1). Empty lines part them; where a program forgot
/// one, the next `Final-Recipient` begins a group too.
fn blocks(status: &[u8]) -> Vec<Header> {
    let mut blocks = Vec::new();
    let mut block: Vec<u8> = Vec::new();
    let mut has_recipient = false;
    for line in status.split_inclusive(|octet| *octet == b'\n') {
        let names_recipient = line.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"Final-Recipient:"));
        if line.trim_ascii().is_empty() || (names_recipient && has_recipient) {
            blocks.push(Header::new(std::mem::take(&mut block)));
            has_recipient = false;
        }
        if !line.trim_ascii().is_empty() {
            has_recipient |= names_recipient;
            block.extend_from_slice(line);
        }
    }
    blocks.push(Header::new(block));
    blocks
}

fn recipient(block: &Header) -> Option<BouncedRecipient> {
    let action = Action::read(&block.first("Action")?.unfolded())?;
    let address =
        ["Final-Recipient", "Original-Recipient"].iter().find_map(|name| address(&block.first(name)?.unfolded()));
    let status = block.first("Status").map(|field| field.unfolded()).unwrap_or_default();
    Some(BouncedRecipient {
        address,
        action,
        status: one_line(status.split([' ', '(']).next().unwrap_or_default()),
        diagnostic: block.first("Diagnostic-Code").map(|field| one_line(untyped(&field.unfolded()))),
    })
}

fn one_line(text: &str) -> String {
    let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.truncate(text.floor_char_boundary(DIAGNOSTIC_OCTETS));
    text
}

fn address(value: &str) -> Option<Address> {
    untyped(value).trim_matches(['<', '>']).parse().ok()
}

/// `rfc822; eva@x.example` without its type; some programs leave the type out.
fn untyped(value: &str) -> &str {
    value.split_once(';').map_or(value, |(_, text)| text).trim()
}

#[cfg(test)]
mod tests {
    use crate::mail::bounce::*;

    const FRAME: &str = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n";

    #[test]
    fn a_report_says_what_became_of_whom() {
        let message = format!(
            "{FRAME}Reporting-MTA: dns; x\r\nOriginal-Envelope-Id: id1\r\n\r\nFinal-Recipient: rfc822; eva@x.example\r\nAction: failed\r\nStatus: 5.1.1 (no such user)\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n no\r\nFinal-Recipient: <bo@x.example>\r\naction: DELAYED\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <a@b>\r\n--b--\r\n"
        );
        let bounce = Bounce::read(message.as_bytes()).unwrap();
        assert!(bounce.has_failed && bounce.status == "5.1.1");
        assert_eq!(bounce.envelope_id.as_deref(), Some("id1"));
        assert_eq!(bounce.original_message_id.as_deref(), Some("<a@b>"));
        assert_eq!(bounce.recipients[0].status, "5.1.1");
        assert_eq!(bounce.recipients[0].diagnostic.as_deref(), Some("550 5.1.1 no"));
        assert_eq!(bounce.recipients[1].action, Action::Delayed);
        assert_eq!(bounce.recipients[1].address, "bo@x.example".parse().ok());
    }

    #[test]
    fn a_returned_message_names_its_id() {
        let message = format!(
            "{FRAME}Final-Recipient: rfc822;a@x.example\r\nAction: failed\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\nMessage-ID: <whole@b>\r\n\r\nbody\r\n--b--\r\n"
        );
        assert_eq!(Bounce::read(message.as_bytes()).unwrap().original_message_id.as_deref(), Some("<whole@b>"));
    }

    #[test]
    fn other_mail_is_no_report() {
        assert_eq!(Bounce::read(b"Subject: Undelivered\r\n\r\nAction: failed\r\n"), None);
        assert_eq!(Bounce::read(b""), None);
    }
}
