//! Taking a message apart while it streams by (RFC 2045, 2046, 5322): nothing of it is held but the header of one part
//! and one line.

use crate::mail::field::Header;
use crate::mail::limits;
use crate::mail::part::{BOUNDARY_OCTETS, Disposition, PartHead};
use crate::mail::transfer::{Decoder, PartEnd, TransferEncoding};

/// Octets of one part's header; what is longer is read as content.
const PART_HEADER_OCTETS: usize = 64 * 1024;
/// Octets of a line that are looked at together; longer lines come in pieces.
const LINE_OCTETS: usize = 64 * 1024;

/// Who is told what stands in a message.
pub trait PartSink {
    /// The message's own header, once, complete.
    fn header(&mut self, header: &Header);
    /// A part begins: a leaf, or what stands before, between or behind the parts of a multipart.
    fn part(&mut self, head: &PartHead);
    /// Octets of the part, decoded.
    fn octets(&mut self, octets: &[u8]);
    /// The part ends.
    fn end(&mut self, end: PartEnd);
}

/// What a whole message turned out to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Structure {
    /// The first limit it passed, if any. What came behind was given as one part, as it stood.
    pub fault: Option<StructureFault>,
    /// How many parts there were.
    pub parts: usize,
    /// Octets of the message's own header, its empty line included.
    pub header_length: u64,
}

/// A limit that a message passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StructureFault {
    /// The message's own header has more than [`limits::HEADER_OCTETS`] octets.
    HeaderTooLarge,
    /// More than [`limits::MIME_DEPTH`] entities within each other.
    TooDeep,
    /// More than [`limits::MIME_PARTS`] parts.
    TooManyParts,
}

/// A message being taken apart.
pub struct Splitter {
    state: State,
    /// The start of a line whose end has not come.
    line: Vec<u8>,
    /// The rest of a line that was too long to be looked at whole.
    within_line: bool,
    boundaries: Vec<Boundary>,
    /// Entities around the current one, messages included.
    depth: usize,
    structure: Structure,
    header: Vec<u8>,
    /// The line end before the next line: it belongs to a boundary, if one follows.
    held_end: &'static [u8],
}

struct Boundary {
    text: Vec<u8>,
    /// The depth of the multipart it divides.
    depth: usize,
    /// Its parts are messages unless they say otherwise (`multipart/digest`).
    digest: bool,
}

enum State {
    /// In a header.
    Header(HeaderOf),
    /// In a part.
    Body { decoder: Decoder },
    /// Past a limit: the rest is one part.
    Opaque,
}

/// Whose header is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HeaderOf {
    /// The message itself.
    Message,
    /// A message within it.
    Embedded,
    /// A part of a multipart.
    Part,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Splitter {
    /// A message about to begin.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Header(HeaderOf::Message),
            line: Vec::new(),
            within_line: false,
            boundaries: Vec::new(),
            depth: 0,
            structure: Structure::default(),
            header: Vec::new(),
            held_end: b"",
        }
    }

    /// Octets of the message's own header so far.
    #[must_use]
    pub fn header_length(&self) -> u64 {
        self.structure.header_length
    }

    /// The next octets.
    pub fn push(&mut self, mut octets: &[u8], sink: &mut dyn PartSink) {
        while !octets.is_empty() {
            if matches!(self.state, State::Opaque) {
                sink.octets(octets);
                return;
            }
            let end = memchr::memchr(b'\n', octets).map(|end| end + 1);
            // Lines are cut where they are too long, never where a push happens to end.
            let room = LINE_OCTETS - self.line.len();
            let (piece, rest) = octets.split_at(end.unwrap_or(octets.len()).min(room));
            octets = rest;
            let end = piece.ends_with(b"\n");
            if self.line.is_empty() && (end || piece.len() == LINE_OCTETS) {
                self.line_piece(piece, sink);
            } else {
                self.line.extend_from_slice(piece);
                if end || self.line.len() >= LINE_OCTETS {
                    let line = std::mem::take(&mut self.line);
                    self.line_piece(&line, sink);
                }
            }
        }
    }

    /// The end of the message.
    pub fn finish(mut self, sink: &mut dyn PartSink) -> Structure {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.line_piece(&line, sink);
        }
        self.end_headers(sink);
        self.flush_end(sink);
        let cut_off = !self.boundaries.is_empty();
        self.end_part(cut_off, sink);
        self.structure
    }

    /// A whole line with its end, or a piece of one that is too long.
    fn line_piece(&mut self, line: &[u8], sink: &mut dyn PartSink) {
        let continues = std::mem::replace(&mut self.within_line, !line.ends_with(b"\n"));
        match self.state {
            State::Header(of) => self.header_line(line, of, continues, sink),
            State::Body { .. } => {
                if !continues && line.starts_with(b"--") && self.at_boundary(line, sink) {
                    return;
                }
                self.body_line(line, sink);
            }
            State::Opaque => sink.octets(line),
        }
    }

    fn header_line(&mut self, line: &[u8], of: HeaderOf, continues: bool, sink: &mut dyn PartSink) {
        if of == HeaderOf::Message {
            self.structure.header_length += line.len() as u64;
        }
        if !continues && matches!(line, b"\r\n" | b"\n") {
            return self.end_header(sink);
        }
        if of != HeaderOf::Message && !continues && line.starts_with(b"--") && self.closes(line).is_some() {
            // A boundary where a header should be: an entity without any content.
            self.end_headers(sink);
            if !self.at_boundary(line, sink) {
                sink.octets(line); // past a limit meanwhile
            }
            return;
        }
        if of == HeaderOf::Part && self.header.is_empty() && !is_field(line) {
            // Text right behind the boundary: somebody forgot the empty line, and readers show it.
            self.end_header(sink);
            return self.body_line(line, sink);
        }
        let limit = if of == HeaderOf::Part { PART_HEADER_OCTETS } else { limits::HEADER_OCTETS };
        if self.header.len() + line.len() > limit {
            let header = Header::new(std::mem::take(&mut self.header));
            if of == HeaderOf::Message {
                sink.header(&header);
            }
            self.go_opaque(StructureFault::HeaderTooLarge, header.as_bytes(), sink);
            return sink.octets(line);
        }
        self.header.extend_from_slice(line);
    }

    fn body_line(&mut self, line: &[u8], sink: &mut dyn PartSink) {
        self.flush_end(sink);
        let (text, end) = split_end(line);
        match &mut self.state {
            State::Body { decoder } => {
                decoder.line(text, !end.is_empty(), &mut |octets| sink.octets(octets));
                // Encodings that break lines themselves say what a line end means.
                self.held_end = if decoder.keeps_line_ends() { end } else { b"" };
            }
            State::Opaque => sink.octets(line),
            State::Header(_) => {}
        }
    }

    fn flush_end(&mut self, sink: &mut dyn PartSink) {
        let end = std::mem::take(&mut self.held_end);
        if !end.is_empty() {
            sink.octets(end);
        }
    }

    /// What a header says comes next.
    fn end_header(&mut self, sink: &mut dyn PartSink) {
        let State::Header(of) = self.state else { return };
        let header = Header::new(std::mem::take(&mut self.header));
        if of == HeaderOf::Message {
            sink.header(&header);
        }
        if of == HeaderOf::Embedded || !has_only_fields(header.as_bytes()) {
            self.tell_header(&header, sink);
        }
        let in_digest =
            self.boundaries.last().is_some_and(|boundary| boundary.digest && boundary.depth + 1 == self.depth);
        let head = PartHead::of(&header, self.depth, in_digest);
        if self.depth >= limits::MIME_DEPTH && (head.is_multipart() || head.is_message()) {
            return self.go_opaque(StructureFault::TooDeep, header.as_bytes(), sink);
        }
        if let Some(boundary) =
            head.boundary.clone().filter(|b| head.is_multipart() && !b.is_empty() && b.len() <= BOUNDARY_OCTETS)
        {
            let digest = head.media_type == "multipart/digest";
            self.boundaries.push(Boundary { text: boundary, depth: self.depth, digest });
            self.depth += 1;
            // What the multipart's own type says (encrypted, signed) is told with what stands before its parts.
            return self.begin(
                PartHead { disposition: Disposition::Between, ..head },
                TransferEncoding::Identity,
                header.as_bytes(),
                sink,
            );
        }
        if head.is_message() && head.encoding == TransferEncoding::Identity {
            self.depth += 1;
            self.state = State::Header(HeaderOf::Embedded);
            return;
        }
        let encoding = head.encoding;
        self.begin(head, encoding, header.as_bytes(), sink);
    }

    /// Ends the header, and the one of a message within if it announced one: nothing more comes of either.
    fn end_headers(&mut self, sink: &mut dyn PartSink) {
        while matches!(self.state, State::Header(_)) {
            self.end_header(sink);
        }
    }

    /// The header of a message within, or one with lines that are no fields, as a part of its own: a rule must see what
    /// stands there.
    fn tell_header(&mut self, header: &Header, sink: &mut dyn PartSink) {
        if header.as_bytes().is_empty() {
            return;
        }
        self.structure.parts += 1;
        sink.part(&PartHead { media_type: "text/rfc822-headers".to_owned(), ..PartHead::between(self.depth) });
        sink.octets(header.as_bytes());
        sink.end(PartEnd::Whole);
    }

    /// A part begins, whose own header was this.
    fn begin(&mut self, head: PartHead, encoding: TransferEncoding, header: &[u8], sink: &mut dyn PartSink) {
        self.structure.parts += 1;
        if self.structure.parts > limits::MIME_PARTS {
            return self.go_opaque(StructureFault::TooManyParts, header, sink);
        }
        sink.part(&head);
        self.state = State::Body { decoder: Decoder::new(encoding, head.is_doubtful) };
        self.held_end = b"";
    }

    /// Gives the rest as one part, from this header on.
    fn go_opaque(&mut self, fault: StructureFault, header: &[u8], sink: &mut dyn PartSink) {
        self.structure.fault.get_or_insert(fault);
        sink.part(&PartHead::opaque(self.depth));
        sink.octets(header);
        self.state = State::Opaque;
        self.boundaries.clear();
    }

    /// Which open multipart a line divides or ends, innermost first.
    fn closes(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = split_end(line).0.trim_ascii_end();
        let text = line.strip_prefix(b"--")?;
        self.boundaries.iter().enumerate().rev().find_map(|(place, boundary)| {
            let rest = text.strip_prefix(boundary.text.as_slice())?;
            match rest {
                b"" => Some((place, false)),
                b"--" => Some((place, true)),
                _ => None,
            }
        })
    }

    /// Whether a line begins with a boundary and goes on with something else: RFC 2046 §5.1.1 lets a reader take it
    /// for the boundary, and most do not.
    fn is_almost_boundary(&self, line: &[u8]) -> bool {
        let text = line.get(2..).unwrap_or_default();
        self.boundaries.iter().any(|boundary| text.starts_with(&boundary.text))
    }

    /// Follows a boundary, if the line is one.
    fn at_boundary(&mut self, line: &[u8], sink: &mut dyn PartSink) -> bool {
        let Some((place, last)) = self.closes(line) else {
            if self.is_almost_boundary(line)
                && let State::Body { decoder } = &mut self.state
            {
                decoder.doubt();
            }
            return false;
        };
        self.held_end = b""; // it belonged to the boundary
        let cut_off = place + 1 < self.boundaries.len();
        self.end_part(cut_off, sink);
        self.boundaries.truncate(place + 1);
        let depth = self.boundaries.last().map_or(0, |boundary| boundary.depth);
        if last {
            self.boundaries.pop();
            self.depth = depth;
            self.begin(PartHead::between(depth), TransferEncoding::Identity, b"", sink);
        } else {
            self.depth = depth + 1;
            self.state = State::Header(HeaderOf::Part);
        }
        true
    }

    /// The open part ends; cut off, if the boundary that should have ended it never came.
    fn end_part(&mut self, cut_off: bool, sink: &mut dyn PartSink) {
        match &mut self.state {
            State::Body { decoder } => {
                let end = decoder.end(&mut |octets| sink.octets(octets));
                sink.end(if cut_off { PartEnd::Damaged } else { end });
            }
            State::Opaque => sink.end(PartEnd::Whole),
            State::Header(_) => {}
        }
    }
}

/// Whether a header is fields throughout. A blank in front of the first goes on with nothing.
pub(crate) fn has_only_fields(header: &[u8]) -> bool {
    !header.starts_with(b" ")
        && !header.starts_with(b"\t")
        && header.split_inclusive(|octet| *octet == b'\n').all(is_field)
}

/// Whether a line can stand in a header: it begins a field, goes on with one, or is empty.
fn is_field(line: &[u8]) -> bool {
    let name = line.iter().take_while(|octet| (33..=126).contains(*octet) && **octet != b':').count();
    let behind = line.get(name..).unwrap_or_default().trim_ascii_start();
    matches!(line, [b' ' | b'\t', ..]) || line.trim_ascii().is_empty() || (name > 0 && behind.starts_with(b":"))
}

/// A line without its end, and the end.
fn split_end(line: &[u8]) -> (&[u8], &'static [u8]) {
    if let Some(text) = line.strip_suffix(b"\r\n") {
        (text, b"\r\n")
    } else if let Some(text) = line.strip_suffix(b"\n") {
        (text, b"\n")
    } else {
        (line, b"")
    }
}

#[cfg(test)]
mod tests {
    use crate::mail::mime::*;

    #[derive(Default, Debug, PartialEq, Eq, Clone)]
    pub(crate) struct Seen {
        pub own: Option<Vec<u8>>,
        pub parts: Vec<(String, Vec<u8>, bool, Disposition)>,
    }

    impl PartSink for Seen {
        fn header(&mut self, header: &Header) {
            assert!(self.own.replace(header.as_bytes().to_vec()).is_none());
        }
        fn part(&mut self, head: &PartHead) {
            self.parts.push((head.media_type.clone(), Vec::new(), false, head.disposition));
        }
        fn octets(&mut self, octets: &[u8]) {
            self.parts.last_mut().unwrap().1.extend_from_slice(octets);
        }
        fn end(&mut self, end: PartEnd) {
            self.parts.last_mut().unwrap().2 = end == PartEnd::Damaged;
        }
    }

    pub(crate) fn split(message: &[u8], piece: usize) -> (Seen, Structure) {
        let mut seen = Seen::default();
        let mut splitter = Splitter::new();
        for octets in message.chunks(piece) {
            splitter.push(octets, &mut seen);
        }
        let structure = splitter.finish(&mut seen);
        (seen, structure)
    }

    fn leaves(message: &str) -> Vec<(String, String)> {
        let (whole, structure) = split(message.as_bytes(), usize::MAX);
        for piece in [1, 2, 7, 100] {
            assert_eq!(split(message.as_bytes(), piece), (whole.clone(), structure), "in pieces of {piece}");
        }
        let leaf = |(media, octets, _, place): &(String, Vec<u8>, bool, Disposition)| {
            (*place != Disposition::Between).then(|| (media.clone(), String::from_utf8_lossy(octets).into_owned()))
        };
        whole.parts.iter().filter_map(leaf).collect()
    }

    #[test]
    fn a_multipart_is_taken_apart_and_decoded() {
        let message = "Subject: x\r\nContent-Type: multipart/mixed; boundary=\"a b\"\r\n\r\npreamble\r\n--a b\r\n\r\nplain\r\n\r\n--a b \r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=A5=\r\n!</p>\r\n--a b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVt\r\nbGln dA==\r\n--a b--\r\nepilogue\r\n";
        assert_eq!(
            leaves(message),
            [
                ("text/plain".into(), "plain\r\n".into()),
                ("text/html".into(), "<p>å!</p>".into()),
                ("application/pdf".into(), "hemligt".into())
            ]
        );
        let (seen, structure) = split(message.as_bytes(), 1_000);
        assert_eq!(seen.parts[0].1, b"preamble");
        assert_eq!(seen.parts.last().unwrap().1, b"epilogue\r\n");
        assert_eq!(structure.header_length, message.find("preamble").unwrap() as u64);
    }

    #[test]
    fn messages_within_messages_and_missing_ends_are_read() {
        let message = "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\nfirst\r\n--o\r\n\r\nsecond";
        assert_eq!(leaves(message), [("text/plain".into(), "first".into()), ("text/plain".into(), "second".into())]);
    }

    #[test]
    fn what_cannot_be_decoded_is_given_as_it_stands() {
        let (seen, _) = split(b"Content-Transfer-Encoding: base64\r\n\r\naGVt!bGlndA=\r\n", 3);
        assert!(seen.parts[0].2);
        let text = String::from_utf8_lossy(&seen.parts[0].1).into_owned();
        assert!(text.starts_with("hem!bGl"), "{text}");
    }

    #[test]
    fn limits_are_kept_and_the_rest_is_still_seen() {
        let mut deep = String::new();
        for n in 0..10_000 {
            deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"));
        }
        deep.push_str("\r\nhidden");
        let (seen, structure) = split(deep.as_bytes(), 4_096);
        assert_eq!(structure.fault, Some(StructureFault::TooDeep));
        assert!(seen.parts.last().unwrap().1.ends_with(b"hidden"));

        let many =
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}hidden", "--b\r\n\r\nx\r\n".repeat(5_000));
        let (seen, structure) = split(many.as_bytes(), 4_096);
        assert_eq!(structure.fault, Some(StructureFault::TooManyParts));
        assert!(seen.parts.last().unwrap().1.ends_with(b"hidden"));

        let mut seen = Seen::default();
        let mut splitter = Splitter::new();
        for _ in 0..200 {
            splitter.push("X: y\r\n".repeat(10_000).as_bytes(), &mut seen);
        }
        assert_eq!(splitter.finish(&mut seen).fault, Some(StructureFault::HeaderTooLarge));
    }

    #[test]
    fn anything_can_be_taken_apart() {
        for message in [
            &b""[..],
            b"\n",
            b"\r\n\r\n",
            b"--",
            b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n",
            b"Content-Type: multipart/mixed; boundary=\"--\"\r\n\r\n----\r\n------\r\n",
            b"\0\0",
            b"Content-Type: message/rfc822\r\n\r\n",
        ] {
            for piece in [1, 3, 1_000] {
                assert!(split(message, piece).0.own.is_some());
            }
        }
    }
}
