//! Replies as a client reads them (RFC 5321 §4.2).

use std::fmt;

use bytes::{Buf, BytesMut};

use crate::smtp::status::EnhancedStatus;

/// Octets of one reply line, CRLF included. RFC 5321 §4.5.3.1.5 asks for 512; real servers say more.
const LINE_OCTETS: usize = 2_048;
/// Lines of one reply: an EHLO with every extension there is has some thirty.
const LINES: usize = 128;
/// What is kept of all lines together, in octets: enough to read, too little to fill a queue with.
const KEPT_OCTETS: usize = 4_096;

/// A reply from the next hop: code, enhanced status and text, made safe to log and to store.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    code: u16,
    status: Option<EnhancedStatus>,
    lines: Vec<String>,
}

/// What came is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// A line does not begin with three digits from 200 to 599 and a space, a hyphen or nothing.
    #[error("the peer's reply does not begin with a reply code")]
    CodeMissing,
    /// The lines of one reply carry different codes (RFC 5321 §4.2.1).
    #[error("the lines of the peer's reply have different codes")]
    CodesDiffer,
    /// A line is longer than anything a reply needs.
    #[error("a line of the peer's reply is too long")]
    LineTooLong,
    /// More lines than anything a reply needs.
    #[error("the peer's reply has too many lines")]
    TooManyLines,
}

impl Answer {
    /// Takes one whole reply from the front of `received`; `None` where its end has not come yet, and then
    /// `received` keeps all of it.
    ///
    /// # Errors
    /// What came is no reply, or is past a bound.
    pub fn take(received: &mut BytesMut) -> Result<Option<Self>, AnswerFault> {
        let mut answer: Option<Self> = None;
        let (mut kept, mut read) = (0, 0);
        for _ in 0..LINES {
            let rest = received.get(read..).unwrap_or_default();
            let Some(end) = rest.iter().position(|octet| *octet == b'\n') else {
                return if rest.len() > LINE_OCTETS { Err(AnswerFault::LineTooLong) } else { Ok(None) };
            };
            if end >= LINE_OCTETS {
                return Err(AnswerFault::LineTooLong);
            }
            read += end + 1;
            let line = rest.get(..end).unwrap_or_default();
            let (code, is_last, text) = split_line(line.strip_suffix(b"\r").unwrap_or(line))?;
            let so_far = answer.get_or_insert_with(|| Self { code, status: None, lines: Vec::with_capacity(1) });
            if so_far.code != code {
                return Err(AnswerFault::CodesDiffer);
            }
            if kept < KEPT_OCTETS {
                so_far.lines.push(readable(text));
                kept += text.len();
            }
            if is_last {
                received.advance(read);
                return Ok(answer.map(Self::with_status_read));
            }
        }
        Err(AnswerFault::TooManyLines)
    }

    /// The three digits, 200 to 599.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status, where the peer gave one of the code's own class (RFC 2034 §4).
    #[must_use]
    pub fn status(&self) -> Option<EnhancedStatus> {
        self.status
    }

    /// The text of each line, without code; control characters replaced.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// 2yz: done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.code / 100 == 2
    }

    /// 5yz: will not be done, ever.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The first line of a reply often carries the status (RFC 2034 §4); it counts where it agrees with the code.
    fn with_status_read(mut self) -> Self {
        let first = self.lines.first().and_then(|line| line.split(' ').next());
        self.status = first
            .and_then(|word| word.parse::<EnhancedStatus>().ok())
            .filter(|status| u16::from(status.class()) == self.code / 100);
        self
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        self.lines.iter().try_for_each(|line| write!(f, " {line}"))
    }
}

/// What a peer says may name people; a log that prints a whole session gets the code alone.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.code)
    }
}

/// RFC 5321 §4.2: `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF`.
fn split_line(line: &[u8]) -> Result<(u16, bool, &[u8]), AnswerFault> {
    let [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line else {
        return Err(AnswerFault::CodeMissing);
    };
    let digit = |octet: &u8| u16::from(octet - b'0');
    let code = digit(a) * 100 + digit(b) * 10 + digit(c);
    match rest {
        [] => Ok((code, true, rest)),
        [b' ', text @ ..] => Ok((code, true, text)),
        [b'-', text @ ..] => Ok((code, false, text)),
        _ => Err(AnswerFault::CodeMissing),
    }
}

fn readable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::smtp::answer::*;

    fn take(text: &str) -> Result<Option<Answer>, AnswerFault> {
        Answer::take(&mut BytesMut::from(text))
    }

    #[test]
    fn a_reply_is_taken_whole_and_what_follows_stays() {
        let mut received = BytesMut::from("250-gw.example\r\n250 SIZE 100\r\n354 go");
        let answer = Answer::take(&mut received).unwrap().unwrap();
        assert_eq!((answer.code(), answer.lines().len()), (250, 2));
        assert_eq!(&received[..], b"354 go");
        assert_eq!(Answer::take(&mut received), Ok(None));
        assert_eq!(&received[..], b"354 go");
    }

    #[test]
    fn the_status_counts_where_it_agrees_with_the_code() {
        let status = |text| take(text).unwrap().unwrap().status().map(|status| status.to_string());
        assert_eq!(status("550 5.1.1 no such user\r\n"), Some("5.1.1".to_owned()));
        assert_eq!(status("550 2.1.1 no such user\r\n"), None);
        assert_eq!(status("550 no such user\r\n"), None);
        assert_eq!(status("250\r\n"), None);
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for (text, fault) in [
            ("hello\r\n", AnswerFault::CodeMissing),
            ("150 x\r\n", AnswerFault::CodeMissing),
            ("25\r\n", AnswerFault::CodeMissing),
            ("250_x\r\n", AnswerFault::CodeMissing),
            ("250-x\r\n550 y\r\n", AnswerFault::CodesDiffer),
        ] {
            assert_eq!(take(text), Err(fault), "{text}");
        }
        assert_eq!(take(&"2".repeat(3_000)), Err(AnswerFault::LineTooLong));
        assert_eq!(take(&format!("250 {}\r\n", "x".repeat(3_000))), Err(AnswerFault::LineTooLong));
        assert_eq!(take(&"250-x\r\n".repeat(200)), Err(AnswerFault::TooManyLines));
    }

    #[test]
    fn what_is_kept_is_bounded_and_free_of_control_characters() {
        let long = format!("{}250 end\r\n", format!("250-{}\r\n", "x".repeat(1_000)).repeat(100));
        assert!(take(&long).unwrap().unwrap().to_string().len() < 6_000);
        assert_eq!(take("550 a\x1b[2Jb\r\n").unwrap().unwrap().to_string(), "550 a?[2Jb");
    }

    proptest! {
        #[test]
        fn whatever_comes_there_is_no_panic_and_no_octet_is_read_twice(
            text in "([2-5][0-9]{2}[ \\-x]?[ -~\r\n]{0,8}(\r\n|\n)?){0,5}",
        ) {
            let mut received = BytesMut::from(text.as_str());
            let before = received.len();
            match Answer::take(&mut received) {
                Ok(Some(_)) => prop_assert!(received.len() < before),
                Ok(None) | Err(_) => prop_assert_eq!(received.len(), before),
            }
        }
    }
}
