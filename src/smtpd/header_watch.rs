//! Looks for a required field in a header that streams by.

use subtle::ConstantTimeEq;

use crate::smtpd::config::RequiredHeader;

/// Octets of a header line that are looked at: more than name and value can have.
const LINE_OCTETS: usize = 1_024;

/// Looks at a message's header, octet by octet, until it has seen the field or the end of the header.
pub(crate) struct HeaderWatch {
    required: RequiredHeader,
    line: Vec<u8>,
    found: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    NotYet,
    Yes,
    No,
}

impl HeaderWatch {
    pub(crate) fn new(required: RequiredHeader) -> Self {
        Self { required, line: Vec::new(), found: Found::NotYet }
    }

    /// Looks at the next octets of the message; false once it is sure that the field is missing.
    pub(crate) fn look(&mut self, octets: &[u8]) -> bool {
        let mut rest = octets;
        while self.found == Found::NotYet && !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let (line, behind) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
            let room = LINE_OCTETS.saturating_sub(self.line.len());
            self.line.extend_from_slice(line.get(..room.min(line.len())).unwrap_or_default());
            if end.is_some() {
                self.judge_line();
            }
            rest = behind;
        }
        self.found != Found::No
    }

    /// Whether the field was there, asked when all has come.
    pub(crate) fn has_found(&self) -> bool {
        self.found == Found::Yes
    }

    fn judge_line(&mut self) {
        let line = self.line.trim_ascii_end();
        if line.is_empty() {
            self.found = Found::No;
        } else if let Some(colon) = memchr::memchr(b':', line) {
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            if name.trim_ascii_end().eq_ignore_ascii_case(self.required.name().as_bytes())
                && bool::from(value.ct_eq(self.required.value().as_bytes()))
            {
                self.found = Found::Yes;
            }
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use crate::smtpd::header_watch::*;

    fn watched(message: &str, at: usize) -> (bool, bool) {
        let mut watch = HeaderWatch::new(RequiredHeader::new("X-Tenant", "0123456789abcdef"));
        let (front, back) = message.as_bytes().split_at(at);
        let sure = watch.look(front) & watch.look(back);
        (sure, watch.has_found())
    }

    #[test]
    fn the_field_counts_in_the_header_and_nowhere_else() {
        for (message, wanted) in [
            ("From: a\r\nx-tenant:  0123456789abcdef \r\n\r\nbody", (true, true)),
            ("X-Tenant: 0123456789abcdee\r\n\r\n", (false, false)),
            ("From: a\r\n\r\nX-Tenant: 0123456789abcdef\r\n", (false, false)),
            ("From: a\r\n X-Tenant: 0123456789abcdef\r\n\r\n", (false, false)),
            ("From: a\r\n", (true, false)),
        ] {
            for at in 0..message.len() {
                assert_eq!(watched(message, at), wanted, "{message:?} parted at {at}");
            }
        }
    }
}
