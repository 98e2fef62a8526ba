//! Gathers facts while a message streams by, within bounded memory.

use std::sync::Arc;

use memchr::memmem;
use unicode_normalization::UnicodeNormalization;

use crate::mail::limits;
use crate::mail::{Header, PartEnd, PartHead, PartSink, Splitter, StructureFault};
use crate::policy::container::{FILE_OCTETS, INFLATED_OCTETS, Kind, MAGIC_OCTETS, is_message_file, kind_of, text_of};
use crate::policy::rule::Rules;
use crate::policy::scan::{Scanner, Search};
use crate::policy::text::raw;
use crate::policy::text_part::{Shown, TextPart, has_unknown_charset};

/// Octets of a header within a message that are read.
const HEADER_OCTETS: usize = 256 * 1024;
/// Fields that recipients' programs show, or keep with the subject.
const SHOWN: [&str; 14] = [
    "Subject",
    "Comments",
    "Keywords",
    "Thread-Topic",
    "Content-Description",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Organization",
    "Summary",
    "X-Keywords",
    "Resent-To",
];
/// What encloses text that is written as letters: nobody reads what is in it here.
const ENCLOSED: [&str; 2] = ["\nbegin 6", "\nbegin 7"];
/// Names of attachments, and media types, that are remembered.
const NAMES: usize = 2_000;

/// Reads a message as it comes in.
pub struct Reader {
    splitter: Splitter,
    notes: Notes,
    has_eight_bit: bool,
}

/// What was read.
#[derive(Debug)]
pub struct Read {
    /// The message's own header.
    pub header: Header,
    /// Octets of that header as it came, its empty line included.
    pub header_length: u64,
    /// Names of attachments.
    pub attachments: Vec<String>,
    /// There are more names than those.
    pub has_more_attachments: bool,
    /// Media types of all parts.
    pub media_types: Vec<String>,
    /// What was found, in the order of the rules' searches.
    pub found: Vec<bool>,
    /// The first thing that could not be read even as raw octets: a file's name, or a part's media type.
    pub unreadable: Option<String>,
    /// An octet over 127 stands anywhere.
    pub has_eight_bit: bool,
    /// … in the header.
    pub has_utf8_header: bool,
    /// Why the message cannot be carried at all.
    pub refused: Option<&'static str>,
}

/// What was noted so far.
struct Notes {
    scanner: Scanner,
    /// What stands in tags and comments, looked at apart from the text.
    hidden: Scanner,
    /// Octets that may still come out of files.
    budget: u64,
    header: Header,
    attachments: Vec<String>,
    has_more_attachments: bool,
    media_types: Vec<String>,
    unreadable: Option<String>,
    /// What the current part is called, or its media type.
    name: String,
    part: Part,
}

/// How the current part is read.
enum Part {
    /// Nothing is looked for in it.
    Skipped,
    /// Its first octets say what it is, whatever its header says; if nothing else, perhaps text.
    Unknown(Vec<u8>, Option<Box<TextPart>>),
    /// The header of a message within this one.
    Header(Vec<u8>),
    /// Text in a charset, perhaps with markup.
    Text(Box<TextPart>),
    /// Octets as they are.
    Raw,
    /// A file that has to be whole to be read.
    File(Vec<u8>),
    /// A file past its bound.
    TooLarge,
}

impl Reader {
    /// A reader that takes note of structure, names and types, and searches nothing.
    #[must_use]
    pub fn of_structure(year: u16) -> Self {
        Self { splitter: Splitter::new(), notes: Notes::new(Arc::new([]), year), has_eight_bit: false }
    }

    /// Octets of the message's own header so far: they are held in memory until the end.
    #[must_use]
    pub fn header_length(&self) -> u64 {
        self.splitter.header_length()
    }

    /// Whether these next octets may take time, up to a second: a file is being gathered, or one may begin in them.
    #[must_use]
    pub fn may_take_long(&self, octets: &[u8]) -> bool {
        let begins_file = || [&b"ase64"[..], b"pplication/"].iter().any(|word| memmem::find(octets, word).is_some());
        match &self.notes.part {
            Part::File(_) => true,
            Part::Unknown(first, _) if kind_of(first) != Kind::Other => true,
            _ => self.notes.scanner.is_needed() && begins_file(),
        }
    }

    /// A reader for these rules, with this year as today's.
    #[must_use]
    pub fn new(rules: Arc<Rules>, year: u16) -> Self {
        let notes = Notes::new(Arc::clone(&rules.searches), year);
        Self { splitter: Splitter::new(), notes, has_eight_bit: false }
    }

    /// The next octets of the message.
    pub fn push(&mut self, octets: &[u8]) {
        self.has_eight_bit |= !octets.is_ascii();
        self.splitter.push(octets, &mut self.notes);
    }

    /// The end of the message.
    #[must_use]
    pub fn finish(self) -> Read {
        let mut notes = self.notes;
        let structure = self.splitter.finish(&mut notes);
        // The header's own text counts too: subjects, names, and whatever programs put beside them.
        for field in notes.header.fields().filter(|field| SHOWN.iter().any(|name| field.is(name))) {
            let read = field.decoded();
            if !read.is_whole {
                notes.unreadable.get_or_insert_with(|| "the header".to_owned());
            }
            notes.scanner.push(&read.text);
            notes.scanner.end();
        }
        if structure.fault.is_some() {
            notes.unreadable.get_or_insert_with(|| "the message's structure".to_owned());
        }
        let refused = match structure.fault {
            Some(StructureFault::HeaderTooLarge) => Some("the header is too large"),
            Some(StructureFault::TooDeep | StructureFault::TooManyParts) | None => {
                (notes.header.fields().count() > limits::HEADER_FIELDS).then_some("the header has too many fields")
            }
        };
        Read {
            has_utf8_header: !notes.header.as_bytes().is_ascii(),
            header: notes.header,
            header_length: structure.header_length,
            attachments: notes.attachments,
            has_more_attachments: notes.has_more_attachments || structure.fault.is_some(),
            media_types: notes.media_types,
            found: notes
                .scanner
                .found()
                .iter()
                .zip(notes.hidden.found())
                .map(|(seen, hidden)| *seen || *hidden)
                .collect(),
            unreadable: notes.unreadable,
            has_eight_bit: self.has_eight_bit,
            refused,
        }
    }
}

impl PartSink for Notes {
    fn header(&mut self, header: &Header) {
        self.header = header.clone();
    }

    fn part(&mut self, head: &PartHead) {
        if self.media_types.len() < NAMES {
            self.media_types.push(head.media_type.clone());
        }
        self.has_more_attachments |= head.has_more_names;
        // Whatever programs may call it: one of its names is what the recipient's shows.
        for name in head.file_name.iter().chain(&head.other_names).flat_map(|name| names_of(name)) {
            if self.attachments.contains(&name) {
                continue;
            }
            self.scanner.push(&name);
            self.scanner.end();
            if self.attachments.len() < NAMES {
                self.attachments.push(name);
            } else {
                self.has_more_attachments = true;
            }
        }
        self.name = head.file_name.clone().unwrap_or_else(|| head.media_type.clone());
        let is_message = head.media_type == "message/rfc822" || head.media_type == "message/global";
        let holds_message = head.file_name.as_deref().is_some_and(is_message_file) && !is_message;
        self.doubt(is_sealed(head) || holds_message || has_unknown_charset(head));
        self.part = if self.scanner.is_needed() { Part::of(head) } else { Part::Skipped };
    }

    fn octets(&mut self, octets: &[u8]) {
        let part = std::mem::replace(&mut self.part, Part::Skipped);
        self.part = self.read(part, octets);
    }

    fn end(&mut self, end: PartEnd) {
        match std::mem::replace(&mut self.part, Part::Skipped) {
            Part::Skipped | Part::Raw => {}
            Part::TooLarge => self.doubt(true),
            Part::Unknown(first, text) => match self.recognised(&first, text) {
                Part::Text(mut text) => self.text(&mut text, true),
                Part::File(octets) => self.file(&octets),
                Part::Skipped | Part::Unknown(..) | Part::Header(_) | Part::Raw | Part::TooLarge => {}
            },
            Part::Header(octets) => self.inner_header(Header::new(octets)),
            Part::Text(mut text) => self.text(&mut text, true),
            Part::File(octets) => self.file(&octets),
        }
        self.hidden.end();
        // What was damaged came as it stood and was searched so; another reader may still read it otherwise.
        self.doubt(end == PartEnd::Damaged);
        self.scanner.end();
    }
}

impl Notes {
    fn new(searches: Arc<[Search]>, year: u16) -> Self {
        Self {
            scanner: Scanner::new(Arc::clone(&searches), year),
            hidden: Scanner::new(searches, year),
            budget: INFLATED_OCTETS,
            header: Header::default(),
            attachments: Vec::new(),
            has_more_attachments: false,
            media_types: Vec::new(),
            unreadable: None,
            name: String::new(),
            part: Part::Skipped,
        }
    }

    /// Whether the current part could not be read: the first such part is remembered.
    fn doubt(&mut self, unread: bool) {
        if unread && self.unreadable.is_none() {
            self.unreadable = Some(self.name.clone());
        }
    }

    /// What a part is by its first octets, which are read with it.
    fn recognised(&mut self, first: &[u8], text: Option<Box<TextPart>>) -> Part {
        let part = match (kind_of(first), text) {
            (Kind::Pdf | Kind::Zip | Kind::Rtf | Kind::Compound | Kind::Sealed, _) => Part::File(Vec::new()),
            (Kind::Other, Some(text)) => Part::Text(Box::new(text.marked_by(first))),
            (Kind::Other, None) => Part::Raw,
        };
        self.read(part, first)
    }

    fn file(&mut self, octets: &[u8]) {
        let scanner = &mut self.scanner;
        let read = text_of(octets, &mut self.budget, &mut |text| scanner.push(text));
        self.doubt(read.is_err());
    }

    /// As people read it, and as it stands.
    fn inner_header(&mut self, header: Header) {
        for field in header.fields() {
            self.scanner.push(&field.text());
            self.scanner.end();
        }
        self.raw(header.as_bytes());
    }

    fn read(&mut self, part: Part, octets: &[u8]) -> Part {
        match part {
            Part::Skipped => Part::Skipped,
            Part::TooLarge => Part::TooLarge,
            Part::Raw => {
                self.raw(octets);
                Part::Raw
            }
            Part::Text(mut text) => {
                if text.push(octets) {
                    self.text(&mut text, false);
                }
                Part::Text(text)
            }
            Part::Unknown(mut first, text) => {
                first.extend_from_slice(octets);
                if first.len() < MAGIC_OCTETS { Part::Unknown(first, text) } else { self.recognised(&first, text) }
            }
            Part::Header(mut header) => {
                if header.len() + octets.len() > HEADER_OCTETS {
                    self.doubt(true);
                    self.inner_header(Header::new(header));
                    return self.read(Part::Raw, octets);
                }
                header.extend_from_slice(octets);
                Part::Header(header)
            }
            Part::File(mut file) => {
                if file.len() + octets.len() > FILE_OCTETS {
                    return Part::TooLarge;
                }
                file.extend_from_slice(octets);
                Part::File(file)
            }
        }
    }

    fn text(&mut self, part: &mut TextPart, last: bool) {
        let Shown { text, seen, hidden } = part.take(last);
        self.doubt(ENCLOSED.iter().any(|begin| text.contains(begin) || text.starts_with(begin.trim_start())));
        self.scanner.push(seen.as_deref().unwrap_or(&text));
        self.hidden.push(&hidden);
    }

    fn raw(&mut self, octets: &[u8]) {
        let scanner = &mut self.scanner;
        raw(octets, &mut |text| scanner.push(text));
    }
}

impl Part {
    fn of(head: &PartHead) -> Self {
        if head.media_type == "text/rfc822-headers" {
            return Self::Header(Vec::new());
        }
        Self::Unknown(Vec::new(), TextPart::of(head).map(Box::new))
    }
}

/// A file's name as it is written, and as desktops take it: letters and dots of another width plain, invisible characters
/// gone, without its folders, without a stream's name (`a.exe::$DATA`), and without the dots and blanks behind it.
fn names_of(name: &str) -> Vec<String> {
    let seen: String = name.nfkc().filter(|c| !crate::mail::is_invisible(*c)).collect();
    let bare = |name: &str| name.trim().trim_end_matches(['.', ' ', '/', '\\']).to_owned();
    let whole = bare(&seen);
    let file = whole.rsplit(['/', '\\']).next().unwrap_or_default();
    let stream_cut = bare(file.split(':').next().unwrap_or_default());
    // Between two encoded words of one name some programs put a blank, others none.
    let closed: String = stream_cut.split_whitespace().collect();
    let names = [name.to_owned(), whole.clone(), bare(file), stream_cut, closed];
    let mut distinct: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if !name.is_empty() && !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

/// Whether a part is encrypted by its own word. A signed S/MIME entity could be read, but not by this release.
fn is_sealed(head: &PartHead) -> bool {
    let sealed = [
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
        "multipart/encrypted",
        "application/pgp-encrypted",
        "application/ms-tnef",
        // A piece of a message, or only where one is to be had (RFC 2046 §5.2).
        "message/partial",
        "message/external-body",
    ];
    sealed.contains(&head.media_type.as_str())
}

#[cfg(test)]
mod tests {
    use crate::mail::Domain;
    use crate::policy::reader::*;
    use crate::policy::rule::RulesBuilder;
    use crate::policy::scan::Search;

    fn read(message: &[u8]) -> Read {
        let host: Domain = "gw.sundby.example".parse().unwrap();
        let mut builder = RulesBuilder::new(vec![], host);
        builder.search("se-personnummer".parse::<Search>().unwrap());
        let mut reader = Reader::new(Arc::new(builder.build().unwrap()), 2026);
        for octets in message.chunks(13) {
            reader.push(octets);
        }
        reader.finish()
    }

    #[test]
    fn a_number_is_found_wherever_it_stands() {
        let base64 = |text: &[u8]| {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(text)
        };
        let utf16: Vec<u8> = "pnr 850101-2382".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for message in [
            "Subject: =?utf-8?Q?850101=2D2382?=\r\n\r\nhej".to_owned(),
            "Subject: x\r\n\r\nhej 850101-2382\r\n".to_owned(),
            "Content-Type: text/html\r\n\r\n<b>850101</b>-2382".to_owned(),
            format!("Content-Transfer-Encoding: base64\r\n\r\n{}", base64(b"850101-2382")),
            format!("Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n{}", base64(&utf16)),
            format!("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{}", base64(&utf16)),
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n850101-2382\r\n--b\r\n\r\nx\r\n--b--\r\n".to_owned(),
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n850101-2382\r\n".to_owned(),
            "Content-Type: image/png; name=\"850101-2382.png\"\r\n\r\nx".to_owned(),
            "Content-Type: text/plain; charset=klingon\r\n\r\n\u{1}850101-2382".to_owned(),
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E5 850101=\r\n-2382".to_owned(),
        ] {
            assert_eq!(read(message.as_bytes()).found, [true], "{message}");
        }
        assert_eq!(read(b"Subject: x\r\n\r\n850101-2383").found, [false]);
    }

    #[test]
    fn a_part_is_what_it_is_not_what_it_is_called() {
        let part = |head: &str, octets: &[u8]| {
            use base64::Engine;
            let octets = base64::engine::general_purpose::STANDARD.encode(octets);
            let whole = format!("Content-Type: {head}\r\nContent-Transfer-Encoding: base64\r\n\r\n{octets}\r\n");
            read(whole.as_bytes())
        };
        let marked: Vec<u8> = "\u{feff}pnr 850101-2382".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}pnr 850101-2382".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for head in
            ["text/plain", "text/csv; charset=utf-8", "text/plain; charset=utf-16", "text/plain; charset=iso-8859-1"]
        {
            assert_eq!(part(head, &marked).found, [true], "{head}");
            assert_eq!(part(head, &big).found, [true], "{head}");
        }
        for head in ["text/plain; charset=utf-7", "text/plain; charset=hz-gb-2312", "text/plain; charset=x-nobody"] {
            assert!(part(head, b"hej").unreadable.is_some(), "{head}");
        }
        assert!(part("text/plain", b"\x1f\x8bxxxx").unreadable.is_some());
        assert!(part("text/html", b"PK\x03\x04 broken").unreadable.is_some());
        assert!(part("application/octet-stream; name=a.eml", b"x").unreadable.is_some());
        assert!(part("text/plain", b"hej\r\nbegin 644 a.txt\r\n#86)C\r\nend\r\n").unreadable.is_some());
        assert!(read(b"Content-Type: message/partial; id=x; number=1\r\n\r\nx").unreadable.is_some());
        let html = b"<p>850<b class=\"x\">101</b>-2382</p>";
        assert_eq!(part("application/octet-stream; name=\"a.html\"", html).found, [true]);
        let inner = b"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?B?w6UgODUwMTAxLTIzODI=?=\r\n\r\nhej";
        assert_eq!(read(inner).found, [true]);
        let named =
            "Content-Type: a/b; name=\"b.exe\"\r\nContent-Disposition: attachment; filename=\"a.txt. \"\r\n\r\nx";
        let names = read(named.as_bytes()).attachments;
        assert!(["b.exe", "a.txt"].iter().all(|name| names.iter().any(|known| known == name)), "{names:?}");
        let long = format!(
            "Content-Type: multipart/mixed; boundary={0}\r\n\r\n--{0}\r\n\r\nx\r\n--{0}--\r\n",
            "b".repeat(300)
        );
        assert!(read(long.as_bytes()).unreadable.is_some());
    }

    #[test]
    fn what_is_encrypted_is_unreadable_and_pictures_are_not() {
        assert!(
            read(b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nMIIB").unreadable.is_some()
        );
        assert!(
            read(b"Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n")
                .unreadable
                .is_some()
        );
        assert!(read(b"Content-Type: application/zip\r\n\r\nPK\x03\x04broken").unreadable.is_some());
        assert!(read(b"Content-Type: image/png\r\n\r\n\x89PNG\r\n....").unreadable.is_none());
        assert!(read(b"\r\nhej").unreadable.is_none());
    }

    #[test]
    fn names_and_types_are_noted() {
        let read = read(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/calendar\r\nContent-Disposition: attachment; filename*=utf-8''m%C3%B6te.ics\r\n\r\nx\r\n--b--\r\n");
        assert_eq!(read.attachments, ["möte.ics"]);
        assert!(read.media_types.contains(&"text/calendar".to_owned()));
        assert!(!read.has_eight_bit);
    }
}
