//! Octets as they come, cut into lines that end in CRLF and in nothing else (RFC 5321 §2.3.8).

/// What a peer may have sent instead of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// A CR without LF, or a LF without CR.
    #[error("the peer sent a CR or LF that stands alone")]
    BareLineEnd,
    /// No CRLF within the limit.
    #[error("the peer sent a line that is too long")]
    TooLong,
}

/// What has been received and not been used yet. It owns no room until there is something to hold.
#[derive(Debug, Default)]
pub struct LineBuffer {
    octets: Vec<u8>,
    /// How many of `octets` have been used.
    start: usize,
}

impl LineBuffer {
    /// A buffer without any room.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to append what is received next: at least `room` octets fit without growing.
    pub fn space(&mut self, room: usize) -> &mut Vec<u8> {
        self.octets.drain(..self.start);
        self.start = 0;
        self.octets.reserve(room);
        &mut self.octets
    }

    /// Takes the next line, without its CRLF; `None` where its end has not come yet.
    ///
    /// # Errors
    /// What waits is no line. It stays where it is.
    pub fn take_line(&mut self, limit: usize) -> Result<Option<&[u8]>, LineFault> {
        let waiting = self.octets.get(self.start..).unwrap_or_default();
        let end = match memchr::memchr2(b'\r', b'\n', waiting) {
            Some(end) if end > limit => return Err(LineFault::TooLong),
            Some(end) => end,
            None if waiting.len() > limit => return Err(LineFault::TooLong),
            None => return Ok(None),
        };
        match waiting.get(end..end + 2) {
            Some(b"\r\n") => {}
            None if waiting.get(end) == Some(&b'\r') => return Ok(None),
            Some(_) | None => return Err(LineFault::BareLineEnd),
        }
        let begin = self.start;
        self.start += end + 2;
        Ok(self.octets.get(begin..begin + end))
    }

    /// All that waits.
    #[must_use]
    pub fn waiting(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    /// All that waits, to be decoded in place.
    pub fn waiting_mut(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.start..).unwrap_or_default()
    }

    /// Marks the first `count` of what waits as used.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.octets.len());
    }

    /// Gives back room beyond `keep` octets, where what waits does not need it.
    pub fn shrink(&mut self, keep: usize) {
        if self.octets.capacity() > keep {
            self.octets = self.waiting().to_vec();
            self.start = 0;
        }
    }

    /// Octets of memory held.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.octets.capacity()
    }
}

#[cfg(test)]
mod tests {
    use crate::smtp::lines::*;

    fn holding(text: &str) -> LineBuffer {
        let mut lines = LineBuffer::new();
        lines.space(text.len()).extend_from_slice(text.as_bytes());
        lines
    }

    #[test]
    fn lines_come_one_by_one_and_only_when_whole() {
        let mut lines = holding("NOOP\r\nQUIT\r");
        assert_eq!(lines.take_line(512), Ok(Some(&b"NOOP"[..])));
        assert_eq!(lines.take_line(512), Ok(None));
        lines.space(1).push(b'\n');
        assert_eq!(lines.take_line(512), Ok(Some(&b"QUIT"[..])));
        assert_eq!(lines.take_line(512), Ok(None));
        assert_eq!(lines.waiting(), b"");
    }

    #[test]
    fn a_line_end_that_stands_alone_is_none() {
        for text in ["NOOP\n", "NOOP\rQUIT\r\n", "\n\r\n", "NO\nOP\r\n", "NOOP\r\r\n"] {
            assert_eq!(holding(text).take_line(512), Err(LineFault::BareLineEnd), "{text:?}");
        }
    }

    #[test]
    fn a_line_has_a_limit_whether_its_end_comes_or_not() {
        assert_eq!(holding("abcde\r\n").take_line(5), Ok(Some(&b"abcde"[..])));
        assert_eq!(holding("abcdef\r\n").take_line(5), Err(LineFault::TooLong));
        assert_eq!(holding("abcdef").take_line(5), Err(LineFault::TooLong));
        assert_eq!(holding("abcde").take_line(5), Ok(None));
    }

    #[test]
    fn room_is_given_back_and_what_waits_is_kept() {
        let mut lines = holding("used\r\nleft");
        lines.space(100_000);
        assert!(lines.take_line(512).unwrap().is_some());
        lines.shrink(1_000);
        assert_eq!(lines.waiting(), b"left");
        assert!(lines.capacity() < 1_000);
    }
}
