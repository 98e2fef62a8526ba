//! Replies as a server says them (RFC 5321 §4.2, RFC 2034).

use std::borrow::Cow;
use std::io::Write;

use crate::smtp::status::EnhancedStatus;

/// Octets of text in one line: with code and status the line stays under the 512 of RFC 5321 §4.5.3.1.5.
const TEXT_OCTETS: usize = 480;

/// What a server answers to a command: a code, an enhanced status of the same class, and one line or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    status: Option<EnhancedStatus>,
    text: Cow<'static, str>,
    more: Vec<String>,
}

impl Reply {
    /// A reply known at compile time. The class of its status is the code's own, so the two cannot disagree.
    #[must_use]
    pub const fn fixed(code: u16, subject: u16, detail: u16, text: &'static str) -> Self {
        Self { code, status: Some(status_of(code, subject, detail)), text: Cow::Borrowed(text), more: Vec::new() }
    }

    /// A reply that carries no status: a greeting, an answer to EHLO, 354 (RFC 2034 §3).
    #[must_use]
    pub const fn bare(code: u16, text: &'static str) -> Self {
        Self { code, status: None, text: Cow::Borrowed(text), more: Vec::new() }
    }

    /// A reply with words made at run time; whatever would break the line is replaced, whatever is too long is cut.
    #[must_use]
    pub fn told(code: u16, subject: u16, detail: u16, text: &str) -> Self {
        let text = Cow::Owned(one_line(text));
        Self { code, status: Some(status_of(code, subject, detail)), text, more: Vec::new() }
    }

    /// A refusal by a status known elsewhere: 550 where it is permanent, 450 where it is temporary.
    #[must_use]
    pub fn refusal(status: EnhancedStatus, text: &str) -> Self {
        let (code, status) = if status.class() == 4 { (450, status) } else { (550, status.with_class(5)) };
        Self { code, status: Some(status), text: Cow::Owned(one_line(text)), more: Vec::new() }
    }

    /// A reply of several lines without status, as a greeting or an answer to EHLO.
    #[must_use]
    pub fn listing(code: u16, first: &str, more: Vec<String>) -> Self {
        let more = more.iter().map(|line| one_line(line)).collect();
        Self { code, status: None, text: Cow::Owned(one_line(first)), more }
    }

    /// The three digits.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status, if the reply has one.
    #[must_use]
    pub const fn status(&self) -> Option<EnhancedStatus> {
        self.status
    }

    /// 2yz or 3yz: what was asked is done, or may go on.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// Appends the reply to `out` as it goes onto the wire, each line ended by CRLF.
    pub fn write(&self, out: &mut Vec<u8>) {
        let gap = if self.more.is_empty() { ' ' } else { '-' };
        // Writing to a vector cannot fail.
        _ = match self.status {
            Some(status) => write!(out, "{}{gap}{status} {}\r\n", self.code, self.text),
            None => write!(out, "{}{gap}{}\r\n", self.code, self.text),
        };
        for (index, line) in self.more.iter().enumerate() {
            let gap = if index + 1 == self.more.len() { ' ' } else { '-' };
            _ = write!(out, "{}{gap}{line}\r\n", self.code);
        }
    }
}

const fn status_of(code: u16, subject: u16, detail: u16) -> EnhancedStatus {
    let class = match code / 100 {
        2 | 3 => 2,
        4 => 4,
        _ => 5,
    };
    EnhancedStatus::new(class, subject, detail)
}

/// ASCII without control characters, of bounded length: a reply may not need SMTPUTF8 (RFC 6531 §3.7.4).
fn one_line(text: &str) -> String {
    text.chars().take(TEXT_OCTETS).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use crate::smtp::reply::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_status_has_the_class_of_the_code() {
        assert_eq!(wire(&Reply::fixed(250, 2, 0, "fine")), "250 2.2.0 fine\r\n");
        assert_eq!(wire(&Reply::fixed(452, 5, 3, "many")), "452 4.5.3 many\r\n");
        assert_eq!(wire(&Reply::fixed(554, 7, 1, "no")), "554 5.7.1 no\r\n");
        assert_eq!(wire(&Reply::bare(354, "go on")), "354 go on\r\n");
        assert_eq!(wire(&Reply::refusal("4.7.1".parse().unwrap(), "later")), "450 4.7.1 later\r\n");
        assert_eq!(wire(&Reply::refusal("2.7.1".parse().unwrap(), "no")), "550 5.7.1 no\r\n");
    }

    #[test]
    fn the_last_of_several_lines_has_no_hyphen() {
        let reply = Reply::listing(250, "gw.example", vec!["SIZE 1".to_owned(), "DSN".to_owned()]);
        assert_eq!(wire(&reply), "250-gw.example\r\n250-SIZE 1\r\n250 DSN\r\n");
    }

    #[test]
    fn no_words_can_break_a_line() {
        assert_eq!(wire(&Reply::told(550, 7, 1, "a\r\n250 ok\0å")), "550 5.7.1 a??250 ok??\r\n");
        assert!(wire(&Reply::told(550, 7, 1, &"x".repeat(9_000))).len() <= 512);
    }
}
