//! The header at the front of octets that come in pieces.

use crate::mail::{Header, limits};

/// Gathers a header while its entity streams by.
#[derive(Default)]
pub(crate) struct Head {
    octets: Vec<u8>,
    /// Octets of the header with its empty line, once that has come.
    length: Option<usize>,
    is_too_long: bool,
}

impl Head {
    /// The next octets of the entity.
    pub fn push(&mut self, octets: &[u8]) {
        if self.length.is_some() || self.is_too_long {
            return;
        }
        let from = self.octets.len().saturating_sub(3);
        let room = limits::HEADER_OCTETS.saturating_sub(self.octets.len());
        self.octets.extend_from_slice(octets.get(..room.min(octets.len())).unwrap_or_default());
        self.length = end_of(&self.octets, from);
        self.is_too_long = self.length.is_none() && self.octets.len() >= limits::HEADER_OCTETS;
    }

    /// Whether the empty line has come.
    pub fn is_whole(&self) -> bool {
        self.length.is_some()
    }

    /// The header and its octets with the empty line; none if it is longer than anybody's. What begins with a line that is no
    /// field has no header: it is all text.
    pub fn finish(self) -> Option<(Header, u64)> {
        if self.is_too_long {
            return None;
        }
        let Self { mut octets, length, .. } = self;
        let length = length.unwrap_or(octets.len());
        octets.truncate(length);
        let text = octets.strip_suffix(b"\n").map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest));
        // The line before the empty one keeps its end.
        let fields = match text {
            Some(text) if text.is_empty() || text.ends_with(b"\n") => text.to_vec(),
            _ => octets,
        };
        let header = Header::new(fields);
        let has_fields = header.as_bytes().is_empty() || header.fields_before_text().next().is_some();
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        Some(if has_fields { (header, length) } else { (Header::default(), 0) })
    }
}

/// Where the empty line ends, if it is there; nothing before `from` is looked at again.
fn end_of(octets: &[u8], from: usize) -> Option<usize> {
    if octets.starts_with(b"\r\n") {
        return Some(2);
    }
    if octets.starts_with(b"\n") {
        return Some(1);
    }
    let mut at = from;
    while let Some(found) = octets.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let next = at + found + 1;
        match octets.get(next..) {
            Some([b'\n', ..]) => return Some(next + 1),
            Some([b'\r', b'\n', ..]) => return Some(next + 2),
            _ => at = next,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::sealing::open::head::Head;

    #[test]
    fn a_header_is_found_however_it_arrives() {
        for (entity, header, length) in [
            ("A: b\r\nC: d\r\n\r\ntext\r\n\r\n", "A: b\r\nC: d\r\n", 14),
            ("A: b\n\ntext", "A: b\n", 6),
            ("\r\ntext\r\n\r\n", "", 2),
            ("\ntext", "", 1),
            ("A: b\r\n", "A: b\r\n", 6),
            ("", "", 0),
            ("Hello there\r\n\r\nA: b\r\n", "", 0),
        ] {
            for piece in 1..=entity.len().max(1) {
                let mut head = Head::default();
                entity.as_bytes().chunks(piece).for_each(|octets| head.push(octets));
                let (found, octets) = head.finish().unwrap();
                assert_eq!((std::str::from_utf8(found.as_bytes()).unwrap(), octets), (header, length), "{entity:?}");
            }
        }
    }

    #[test]
    fn a_header_without_end_is_none() {
        let mut head = Head::default();
        for _ in 0..20_000 {
            head.push(&b"A: 0123456789012345678901234567890123456789012345678901234567890\r\n"[..]);
        }
        assert!(!head.is_whole() && head.finish().is_none());
    }
}
