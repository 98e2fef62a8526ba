//! A message on its way out behind DATA: dots stuffed, line ends checked (RFC 5321 §4.5.2).

use bytes::BytesMut;

/// A CR without LF or a LF without CR in a message. Sent on, a lax peer could take it for the end of the message and
/// what follows for commands (CVE-2023-51764 and its kin).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message has a CR or LF that stands alone")]
pub struct BareLineEnd;

/// Stuffs dots into a message that comes in chunks, and ends it.
#[derive(Debug, Clone, Copy)]
pub struct Stuffer {
    /// The last octet seen; LF before the first.
    last: u8,
}

impl Default for Stuffer {
    fn default() -> Self {
        Self { last: b'\n' }
    }
}

impl Stuffer {
    /// Appends the next octets to `out`, a dot doubled wherever it begins a line.
    ///
    /// # Errors
    /// A CR or LF stands alone; then `out` holds a part of what was given, and must not be sent.
    pub fn push(&mut self, octets: &[u8], out: &mut BytesMut) -> Result<(), BareLineEnd> {
        let mut rest = octets;
        while let Some(first) = rest.first() {
            if self.last == b'\r' && *first != b'\n' {
                return Err(BareLineEnd);
            }
            if self.last == b'\n' && *first == b'.' {
                out.extend_from_slice(b".");
            }
            let end = match memchr::memchr2(b'\r', b'\n', rest) {
                Some(0) if *first == b'\n' && self.last != b'\r' => return Err(BareLineEnd),
                Some(at) if at > 0 && rest.get(at) == Some(&b'\n') => return Err(BareLineEnd),
                // A CR takes the LF behind it along, so that most lines are one step.
                Some(at) if rest.get(at..at + 2) == Some(b"\r\n") => at + 2,
                Some(at) => at + 1,
                None => rest.len(),
            };
            let (line, behind) = rest.split_at(end);
            out.extend_from_slice(line);
            self.last = line.last().copied().unwrap_or(self.last);
            rest = behind;
        }
        Ok(())
    }

    /// Appends the final dot, after a line end of our own where the message has none.
    ///
    /// # Errors
    /// The message ends in a CR that stands alone.
    pub fn finish(self, out: &mut BytesMut) -> Result<(), BareLineEnd> {
        match self.last {
            b'\r' => return Err(BareLineEnd),
            b'\n' => {}
            _ => out.extend_from_slice(b"\r\n"),
        }
        out.extend_from_slice(b".\r\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::smtp::stuffing::*;

    fn stuffed(chunks: &[&[u8]]) -> Result<Vec<u8>, BareLineEnd> {
        let mut out = BytesMut::new();
        let mut stuffer = Stuffer::default();
        for chunk in chunks {
            stuffer.push(chunk, &mut out)?;
        }
        stuffer.finish(&mut out)?;
        Ok(out.to_vec())
    }

    #[test]
    fn a_dot_that_begins_a_line_is_doubled_wherever_the_chunks_part() {
        let message = b".a\r\n.\r\nb.\r\n..\r\n";
        let wanted = b"..a\r\n..\r\nb.\r\n...\r\n.\r\n";
        for at in 0..message.len() {
            let (front, back) = message.split_at(at);
            assert_eq!(stuffed(&[front, back]).unwrap(), wanted, "{at}");
        }
        assert_eq!(stuffed(&[]).unwrap(), b".\r\n");
        assert_eq!(stuffed(&[b"no end"]).unwrap(), b"no end\r\n.\r\n");
    }

    #[test]
    fn a_line_end_that_stands_alone_never_leaves() {
        for message in
            ["a\nb\r\n", "\n", "a\rb\r\n", "a\r", "\r", "a\r\r\n", "a\n.\n", "a\r\n.\r", "a\r\n\n", "\r.\r\n"]
        {
            for at in 0..message.len() {
                let (front, back) = message.as_bytes().split_at(at);
                assert_eq!(stuffed(&[front, back]), Err(BareLineEnd), "{message:?} parted at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_leaves_holds_the_end_mark_once_and_gives_the_message_back(
            message in "([a.]{0,3}(\r\n|\r|\n|)){0,6}", at in 0usize..20,
        ) {
            let (front, back) = message.as_bytes().split_at(at.min(message.len()));
            let is_clean = !message.replace("\r\n", "").contains(['\r', '\n']);
            let sent = stuffed(&[front, back]);
            prop_assert_eq!(sent.is_ok(), is_clean);
            let Ok(sent) = sent else { return Ok(()) };
            let sent = format!("\r\n{}", String::from_utf8(sent).unwrap());
            let (body, behind) = sent.split_once("\r\n.\r\n").unwrap();
            prop_assert_eq!(behind, "");
            let received = body.replace("\r\n.", "\r\n");
            let received = received.strip_prefix("\r\n").unwrap_or("");
            prop_assert_eq!(received, message.strip_suffix("\r\n").unwrap_or(&message));
        }
    }
}
