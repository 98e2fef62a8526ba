//! What a signature sees of a message: its fields and its body with differences in blanks taken out (RFC 6376 §3.4.2, §3.4.4).

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

/// Octets that are gathered before they are hashed.
const GATHERED: usize = 8 * 1024;

/// SHA-256 of a body in the relaxed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyDigest(pub [u8; SHA256_OUTPUT_LEN]);

/// Hashes a body in the relaxed form as it streams by; what is held back is a few counters.
pub struct RelaxedBody {
    hash: Context,
    gathered: Vec<u8>,
    /// Line ends that count only if something follows them.
    line_ends: u64,
    /// Blanks that count, as one, only if something follows them in their line.
    has_blank: bool,
    /// The last octet was a CR.
    has_cr: bool,
    is_empty: bool,
}

impl Default for RelaxedBody {
    fn default() -> Self {
        Self {
            hash: Context::new(&SHA256),
            gathered: Vec::with_capacity(GATHERED),
            line_ends: 0,
            has_blank: false,
            has_cr: false,
            is_empty: true,
        }
    }
}

impl RelaxedBody {
    /// Takes the next octets of the body.
    pub fn write(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some((&first, behind)) = rest.split_first() {
            if std::mem::take(&mut self.has_cr) {
                if first == b'\n' {
                    self.has_blank = false;
                    self.line_ends = self.line_ends.saturating_add(1);
                    rest = behind;
                    continue;
                }
                self.put(b"\r");
            }
            match first {
                b' ' | b'\t' => {
                    self.has_blank = true;
                    rest = behind;
                }
                b'\r' => {
                    self.has_cr = true;
                    rest = behind;
                }
                _ => {
                    let end = memchr::memchr3(b' ', b'\t', b'\r', rest).unwrap_or(rest.len());
                    let (text, later) = rest.split_at(end);
                    self.put(text);
                    rest = later;
                }
            }
        }
    }

    /// The hash of all that was taken. Empty lines at the end do not count; a body that has any text ends with a line end.
    #[must_use]
    pub fn finish(mut self) -> BodyDigest {
        if std::mem::take(&mut self.has_cr) {
            self.put(b"\r");
        }
        if !self.is_empty {
            self.gathered.extend_from_slice(b"\r\n");
        }
        self.hash.update(&self.gathered);
        let mut digest = [0; SHA256_OUTPUT_LEN];
        digest.copy_from_slice(self.hash.finish().as_ref());
        BodyDigest(digest)
    }

    fn put(&mut self, text: &[u8]) {
        for _ in 0..std::mem::take(&mut self.line_ends) {
            self.gather(b"\r\n");
        }
        if std::mem::take(&mut self.has_blank) {
            self.gather(b" ");
        }
        self.gather(text);
        self.is_empty = false;
    }

    fn gather(&mut self, text: &[u8]) {
        if self.gathered.len() + text.len() > GATHERED {
            self.hash.update(&self.gathered);
            self.gathered.clear();
        }
        if text.len() > GATHERED {
            self.hash.update(text);
        } else {
            self.gathered.extend_from_slice(text);
        }
    }
}

/// Appends a field in the relaxed form: `name:value` with its line end.
pub fn relaxed(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let mut has_blank = false;
    let mut is_begun = false;
    for octet in value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')) {
        if matches!(octet, b' ' | b'\t') {
            has_blank = true;
            continue;
        }
        if has_blank && is_begun {
            out.push(b' ');
        }
        (has_blank, is_begun) = (false, true);
        out.push(octet);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::digest;

    use crate::sender_auth::canonical::*;

    fn sha256(octets: &[u8]) -> BodyDigest {
        BodyDigest(digest(&SHA256, octets).as_ref().try_into().unwrap())
    }

    #[test]
    fn a_body_is_hashed_alike_however_it_comes() {
        let long = "x".repeat(3 * GATHERED);
        for (body, relaxed) in [
            // RFC 6376 §3.4.5.
            (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"),
            ("", ""),
            ("\r\n", ""),
            (" \t\r\n\r\n \r\n", ""),
            ("a", "a\r\n"),
            ("a \r", "a \r\r\n"),
            ("a\r\n\r\n \r\nb\t\r\n\r\n", "a\r\n\r\n\r\nb\r\n"),
            ("å\u{c}\u{a0} ö\r\n", "å\u{c}\u{a0} ö\r\n"),
            ("a\nb\r\rc\r\n", "a\nb\r\rc\r\n"),
            (long.as_str(), &format!("{long}\r\n")),
        ] {
            for step in [1, 2, 3, 7, 64, usize::MAX] {
                let mut hash = RelaxedBody::default();
                body.as_bytes().chunks(step.min(body.len().max(1))).for_each(|chunk| hash.write(chunk));
                assert_eq!(hash.finish(), sha256(relaxed.as_bytes()), "{body:?} by {step}");
            }
        }
    }

    #[test]
    fn a_field_is_unfolded_and_its_blanks_are_one() {
        for (name, value, expected) in [
            ("A", " X\r\n", "a:X\r\n"),
            ("B ", " Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"),
            ("Subject", "\r\n", "subject:\r\n"),
            ("X", "a\u{c} b", "x:a\u{c} b\r\n"),
        ] {
            let mut out = Vec::new();
            relaxed(name.as_bytes(), value.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
