//! A message written anew in seven bits (RFC 6152 §3), as it streams by: what is labelled `8bit` or `binary` becomes
//! quoted-printable (text) or base 64 (all else), and decodes to the same octets.
//!
//! A signature stands or falls with the octets it was made over. So what is signed is never written anew, nor what lies
//! within a signed or encrypted multipart; and what is not labelled is not guessed at.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

use crate::mail::field::Header;
use crate::mail::limits;
use crate::mail::mime::has_only_fields;
use crate::mail::part::{BOUNDARY_OCTETS, PartHead};
use crate::mail::transfer::TransferEncoding;

/// Octets of one part's header.
const PART_HEADER_OCTETS: usize = 64 * 1024;
/// Octets of a line of quoted-printable without its soft break (RFC 2045 §6.7).
const QUOTED_OCTETS: usize = 75;
/// Octets that make a line of base 64 (RFC 2045 §6.8).
const ENCODED_OCTETS: usize = 57;

/// An eight-bit message that cannot be written in seven bits, or must not be: it is signed or encrypted, does not say what
/// is eight-bit in it, or passes a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot be written in seven bits")]
pub struct NotInSevenBits;

/// A message on its way into seven bits. It holds one line and one header.
pub struct Downgrade {
    state: State,
    /// The start of a line whose end has not come.
    line: Vec<u8>,
    header: Vec<u8>,
    boundaries: Vec<Boundary>,
    /// Entities around the current one.
    depth: usize,
    parts: usize,
}

struct Boundary {
    text: Vec<u8>,
    /// The depth of the multipart it divides.
    depth: usize,
    /// Its parts are messages unless they say otherwise (`multipart/digest`).
    is_digest: bool,
}

enum State {
    Header(HeaderOf),
    Body(Writing),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HeaderOf {
    Message,
    Part,
}

/// How a body is written.
enum Writing {
    /// As it stands, in seven bits already.
    AsIs,
    Quoted,
    /// Base 64, with what does not yet make a line, the end of the last line included.
    Encoded {
        pending: Vec<u8>,
        line_end: &'static [u8],
    },
}

impl Default for Downgrade {
    fn default() -> Self {
        Self {
            state: State::Header(HeaderOf::Message),
            line: Vec::new(),
            header: Vec::new(),
            boundaries: Vec::new(),
            depth: 0,
            parts: 0,
        }
    }
}

impl Downgrade {
    /// Appends what comes of the next octets to `out`.
    ///
    /// # Errors
    /// The message cannot or must not be written in seven bits; what is in `out` must not be sent.
    pub fn push(&mut self, mut octets: &[u8], out: &mut BytesMut) -> Result<(), NotInSevenBits> {
        while !octets.is_empty() {
            let end = memchr::memchr(b'\n', octets).map_or(octets.len(), |at| at + 1);
            let (piece, rest) = octets.split_at(end);
            octets = rest;
            if self.line.len() + piece.len() > limits::TEXT_LINE_OCTETS {
                return Err(NotInSevenBits);
            }
            if self.line.is_empty() && piece.ends_with(b"\n") {
                self.take_line(piece, out)?;
            } else {
                self.line.extend_from_slice(piece);
                if piece.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.line);
                    self.take_line(&line, out)?;
                }
            }
        }
        Ok(())
    }

    /// Appends what is left at the end of the message.
    ///
    /// # Errors
    /// As [`Downgrade::push`].
    pub fn finish(mut self, out: &mut BytesMut) -> Result<(), NotInSevenBits> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line, out)?;
        }
        // A header that nothing follows: an entity without content.
        while matches!(self.state, State::Header(_)) {
            self.end_header(b"", out)?;
        }
        self.end_body(true, out);
        Ok(())
    }

    /// A line with its end, or the last one without.
    fn take_line(&mut self, line: &[u8], out: &mut BytesMut) -> Result<(), NotInSevenBits> {
        if line.starts_with(b"--") && self.at_boundary(line, out)? {
            return Ok(());
        }
        match &mut self.state {
            State::Header(_) => self.header_line(line, out),
            State::Body(writing) => writing.line(line, out),
        }
    }

    fn header_line(&mut self, line: &[u8], out: &mut BytesMut) -> Result<(), NotInSevenBits> {
        let limit = if self.depth == 0 { limits::HEADER_OCTETS } else { PART_HEADER_OCTETS };
        if !line.is_ascii() || self.header.len() + line.len() > limit {
            return Err(NotInSevenBits);
        }
        if matches!(line, b"\r\n" | b"\n") {
            return self.end_header(line, out);
        }
        self.header.extend_from_slice(line);
        Ok(())
    }

    /// Writes the header, its encoding as it is now, and what stands between it and its body.
    fn end_header(&mut self, empty_line: &[u8], out: &mut BytesMut) -> Result<(), NotInSevenBits> {
        let State::Header(of) = self.state else { return Ok(()) };
        self.parts += 1;
        if self.parts > limits::MIME_PARTS || self.depth >= limits::MIME_DEPTH {
            return Err(NotInSevenBits);
        }
        let header = Header::new(std::mem::take(&mut self.header));
        let is_digest =
            self.boundaries.last().is_some_and(|boundary| boundary.is_digest && boundary.depth + 1 == self.depth);
        let head = PartHead::of(&header, self.depth, is_digest && of == HeaderOf::Part);
        let is_message = of == HeaderOf::Message;
        let is_left_alone = head.is_doubtful
            || !has_only_fields(header.as_bytes())
            || (is_message && (header.first("MIME-Version").is_none() || is_signed(&header)))
            || matches!(head.media_type.as_str(), "multipart/signed" | "multipart/encrypted");
        let label = header.first("Content-Transfer-Encoding").map(|field| field.unfolded().to_ascii_lowercase());
        let is_eight_bit = matches!(label.as_deref().map(str::trim), Some("8bit" | "binary"));
        let boundary = head.boundary.clone().filter(|text| !text.is_empty() && text.len() <= BOUNDARY_OCTETS);
        let (label, next) = match boundary {
            _ if is_left_alone => (None, State::Body(Writing::AsIs)),
            Some(text) if head.is_multipart() => {
                let is_digest = head.media_type == "multipart/digest";
                self.boundaries.push(Boundary { text, depth: self.depth, is_digest });
                self.depth += 1;
                (Some("7bit"), State::Body(Writing::AsIs))
            }
            _ if head.media_type == "message/rfc822" && head.encoding == TransferEncoding::Identity => {
                self.depth += 1;
                (Some("7bit"), State::Header(HeaderOf::Message))
            }
            _ if !is_eight_bit || head.media_type.starts_with("message/") => (None, State::Body(Writing::AsIs)),
            _ if head.media_type.starts_with("text/") => (Some("quoted-printable"), State::Body(Writing::Quoted)),
            _ => (Some("base64"), State::Body(Writing::Encoded { pending: Vec::new(), line_end: b"" })),
        };
        write_header(&header, label.filter(|_| is_eight_bit), out);
        out.extend_from_slice(empty_line);
        self.state = next;
        Ok(())
    }

    /// Follows a boundary, if the line is one.
    fn at_boundary(&mut self, line: &[u8], out: &mut BytesMut) -> Result<bool, NotInSevenBits> {
        let Some((place, is_last)) = self.closes(line) else { return Ok(false) };
        while matches!(self.state, State::Header(_)) {
            self.end_header(b"", out)?;
        }
        self.end_body(false, out);
        out.extend_from_slice(line);
        self.boundaries.truncate(place + 1);
        let depth = self.boundaries.last().map_or(0, |boundary| boundary.depth);
        if is_last {
            self.boundaries.pop();
            self.depth = depth;
            self.state = State::Body(Writing::AsIs);
        } else {
            self.depth = depth + 1;
            self.state = State::Header(HeaderOf::Part);
        }
        Ok(true)
    }

    /// Which open multipart a line divides or ends, innermost first.
    fn closes(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.trim_ascii_end().strip_prefix(b"--")?;
        self.boundaries.iter().enumerate().rev().find_map(|(place, boundary)| {
            match text.strip_prefix(boundary.text.as_slice())? {
                b"" => Some((place, false)),
                b"--" => Some((place, true)),
                _ => None,
            }
        })
    }

    /// The body ends: with the message, or with a boundary, to which the last line end belongs.
    fn end_body(&mut self, is_end: bool, out: &mut BytesMut) {
        let State::Body(Writing::Encoded { pending, line_end }) = &mut self.state else { return };
        if is_end {
            pending.extend_from_slice(line_end);
        }
        encode(pending, 1, out);
    }
}

impl Writing {
    fn line(&mut self, line: &[u8], out: &mut BytesMut) -> Result<(), NotInSevenBits> {
        match self {
            Self::AsIs if !line.is_ascii() => return Err(NotInSevenBits),
            Self::AsIs => out.extend_from_slice(line),
            Self::Quoted => {
                let (text, end) = split_end(line);
                quote(text, out);
                out.extend_from_slice(end);
            }
            Self::Encoded { pending, line_end } => {
                let (text, end) = split_end(line);
                pending.extend_from_slice(line_end);
                pending.extend_from_slice(text);
                *line_end = end;
                encode(pending, ENCODED_OCTETS, out);
            }
        }
        Ok(())
    }
}

/// Whether a signature of the whole message depends on how its body is written.
fn is_signed(header: &Header) -> bool {
    ["DKIM-Signature", "DomainKey-Signature"].iter().any(|name| header.first(name).is_some())
}

/// The header as it stands, but for what it says of its encoding, if there is something else to say.
fn write_header(header: &Header, encoding: Option<&str>, out: &mut BytesMut) {
    let Some(encoding) = encoding else { return out.extend_from_slice(header.as_bytes()) };
    for field in header.fields() {
        if field.is("Content-Transfer-Encoding") {
            out.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n").as_bytes());
        } else {
            out.extend_from_slice(field.raw);
        }
    }
}

/// One line of text in quoted-printable (RFC 2045 §6.7), without its end. No line that comes of it begins with a hyphen,
/// for it could be taken for a boundary.
fn quote(text: &[u8], out: &mut BytesMut) {
    let mut column = 0;
    for (at, octet) in text.iter().enumerate() {
        let is_last = at + 1 == text.len();
        let stands = match octet {
            b'=' => false,
            b'-' => column > 0,
            b' ' | b'\t' => !is_last,
            _ => octet.is_ascii_graphic(),
        };
        let room = if is_last { QUOTED_OCTETS + 1 } else { QUOTED_OCTETS };
        if column + if stands { 1 } else { 3 } > room {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if stands && !(column == 0 && *octet == b'-') {
            out.extend_from_slice(&[*octet]);
            column += 1;
        } else {
            out.extend_from_slice(&[b'=', hex_digit(octet >> 4), hex_digit(octet & 15)]);
            column += 3;
        }
    }
}

fn hex_digit(four_bits: u8) -> u8 {
    if four_bits < 10 { b'0' + four_bits } else { b'A' + four_bits - 10 }
}

/// Writes lines of base 64, as long as there is at least so much for one.
fn encode(pending: &mut Vec<u8>, least: usize, out: &mut BytesMut) {
    let whole = if least >= ENCODED_OCTETS { pending.len() / ENCODED_OCTETS * ENCODED_OCTETS } else { pending.len() };
    for octets in pending.drain(..whole).as_slice().chunks(ENCODED_OCTETS) {
        out.extend_from_slice(STANDARD.encode(octets).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn split_end(line: &[u8]) -> (&[u8], &'static [u8]) {
    match line.strip_suffix(b"\r\n") {
        Some(text) => (text, b"\r\n"),
        None => line.strip_suffix(b"\n").map_or((line, b"" as &[u8]), |text| (text, b"\n")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::mail::downgrade::*;
    use crate::mail::{PartEnd, PartSink, Splitter};

    fn lowered(message: &[u8]) -> Result<Vec<u8>, NotInSevenBits> {
        let whole = in_pieces(message, usize::MAX);
        for piece in [1, 7, 100] {
            assert_eq!(in_pieces(message, piece), whole, "in pieces of {piece}");
        }
        whole
    }

    fn in_pieces(message: &[u8], piece: usize) -> Result<Vec<u8>, NotInSevenBits> {
        let (mut downgrade, mut out) = (Downgrade::default(), BytesMut::new());
        for octets in message.chunks(piece.min(message.len().max(1))) {
            downgrade.push(octets, &mut out)?;
        }
        downgrade.finish(&mut out)?;
        Ok(out.to_vec())
    }

    /// What a reader sees: type and decoded octets of each part.
    #[derive(Default, PartialEq, Eq, Debug)]
    struct Seen(Vec<(String, Vec<u8>)>);

    impl PartSink for Seen {
        fn header(&mut self, _header: &Header) {}
        fn part(&mut self, head: &PartHead) {
            self.0.push((head.media_type.clone(), Vec::new()));
        }
        fn octets(&mut self, octets: &[u8]) {
            self.0.last_mut().unwrap().1.extend_from_slice(octets);
        }
        fn end(&mut self, _end: PartEnd) {}
    }

    fn seen(message: &[u8]) -> Seen {
        let (mut seen, mut splitter) = (Seen::default(), Splitter::new());
        splitter.push(message, &mut seen);
        splitter.finish(&mut seen);
        seen.0.retain(|(media_type, _)| media_type != "text/rfc822-headers");
        seen
    }

    const TOP: &str = "Subject: x\r\nMIME-Version: 1.0\r\n";

    #[test]
    fn text_becomes_quoted_printable_and_all_else_base_64() {
        let message = format!(
            "{TOP}Content-Type: multipart/mixed;\r\n boundary=b\r\ncontent-transfer-encoding:\r\n 8bit\r\nTo: y\r\n\r\npre\r\n\
             --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8BIT\r\n\r\nå = a \r\n--x\r\n\r\n\
             --b\r\nContent-Transfer-Encoding: binary\r\nContent-Type: image/x\r\n\r\nå\r\nä\r\n--b\r\n\
             Content-Type: text/plain\r\n\r\nseven = 7\r\n--b\r\nContent-Type: message/rfc822\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\nö\r\n--b--\r\npost\r\n"
        );
        let wanted = format!(
            "{TOP}Content-Type: multipart/mixed;\r\n boundary=b\r\nContent-Transfer-Encoding: 7bit\r\nTo: y\r\n\r\npre\r\n\
             --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A5 =3D a=20\r\n=2D-x\r\n\r\n\
             --b\r\nContent-Transfer-Encoding: base64\r\nContent-Type: image/x\r\n\r\nw6UNCsOk\r\n--b\r\n\
             Content-Type: text/plain\r\n\r\nseven = 7\r\n--b\r\nContent-Type: message/rfc822\r\n\
             Content-Transfer-Encoding: 7bit\r\n\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=B6\r\n--b--\r\npost\r\n"
        );
        let came = lowered(message.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(came.clone()).unwrap(), wanted);
        let contents =
            |message: &[u8]| -> Vec<Vec<u8>> { seen(message).0.into_iter().map(|(_, octets)| octets).collect() };
        // The line end before a boundary is the boundary's; of base 64 it is nobody's.
        assert_eq!(contents(&came), contents(message.as_bytes()));
    }

    #[test]
    fn what_is_signed_or_not_labelled_stays_as_it_is_or_not_at_all() {
        let part = "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nå\r\n";
        let multipart =
            |kind: &str| format!("{TOP}Content-Type: multipart/{kind}; boundary=b\r\n\r\n--b\r\n{part}--b--\r\n");
        for (what, message) in [
            ("DKIM", format!("DKIM-Signature: v=1\r\n{TOP}{part}")),
            ("S/MIME and PGP", multipart("signed")),
            ("encrypted", multipart("encrypted")),
            ("no label", format!("{TOP}Content-Type: text/plain\r\n\r\nå\r\n")),
            ("seven bits, it says", format!("{TOP}Content-Transfer-Encoding: 7bit\r\n\r\nå\r\n")),
            ("no MIME", format!("Subject: x\r\n{part}")),
            ("two labels", format!("{TOP}Content-Transfer-Encoding: 8bit\r\n{part}")),
            ("preamble", format!("{TOP}Content-Type: multipart/mixed; boundary=b\r\n\r\nå\r\n--b--\r\n")),
            ("header", format!("{TOP}X: å\r\n{part}")),
            (
                "a part's header",
                format!("{TOP}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: å\r\n\r\n--b--\r\n"),
            ),
            (
                "a signed message within",
                format!("{TOP}Content-Type: message/rfc822\r\n\r\nDKIM-Signature: v=1\r\n{TOP}{part}"),
            ),
            (
                "a report",
                format!("{TOP}Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\nå\r\n"),
            ),
        ] {
            assert_eq!(lowered(message.as_bytes()), Err(NotInSevenBits), "{what}");
        }
        // Beside something signed that is in seven bits.
        let signed = "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Transfer-Encoding: 8bit\r\n\r\na\r\n--s--\r\n";
        let message =
            format!("{TOP}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{signed}\r\n--b\r\n{part}--b--\r\n");
        let came = String::from_utf8(lowered(message.as_bytes()).unwrap()).unwrap();
        assert!(came.contains(signed) && came.contains("=C3=A5") && came.is_ascii(), "{came}");
    }

    #[test]
    fn lines_are_short_and_no_boundary_comes_of_them() {
        let long = format!("{}--b\r\n{}å\r\n--bå\r\n", "x".repeat(75), "å".repeat(200));
        let message = format!(
            "{TOP}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{long}\r\n--b--\r\n"
        );
        let came = lowered(message.as_bytes()).unwrap();
        assert!(came.split(|octet| *octet == b'\n').all(|line| line.len() <= 77));
        assert_eq!(seen(&came), seen(message.as_bytes()));
    }

    proptest! {
        #[test]
        fn what_comes_of_it_is_seven_bits_and_reads_the_same(
            body in prop::collection::vec(prop_oneof!["[a-z =.\t-]{0,90}", "[åäö= -]{0,60}", Just("--b ".to_owned())], 0..8),
            kind in prop_oneof!["text/plain", "application/x"],
        ) {
            let body = body.join("\r\n");
            let message = format!(
                "{TOP}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n--b--\r\n"
            );
            if let Ok(came) = lowered(message.as_bytes()) {
                prop_assert!(came.is_ascii());
                prop_assert_eq!(seen(&came), seen(message.as_bytes()));
            }
        }
    }
}
