//! The header of a message: read leniently, edited octet for octet.

use std::borrow::Cow;

use mail_parser::parsers::MessageStream;

use crate::mail::address::Address;
use crate::mail::encoded_word::{DecodedText, decode};
use crate::mail::limits;

/// Addresses read from one field.
const ADDRESSES: usize = limits::RECIPIENTS;

/// A message's header as it came: the octets up to the empty line, which is not part of it. Anything can be read; what
/// is no field is kept and passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    raw: Vec<u8>,
}

/// One field of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'h> {
    /// Its name as it stands, without the colon.
    pub name: &'h [u8],
    /// What follows the colon, folded, with its final line end.
    pub value: &'h [u8],
    /// The whole field.
    pub raw: &'h [u8],
}

impl Header {
    /// The header made of these octets.
    #[must_use]
    pub fn new(raw: impl Into<Vec<u8>>) -> Self {
        Self { raw: raw.into() }
    }

    /// The octets as they came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// Every field, in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        Fields { rest: &self.raw }.filter(|field| !field.name.is_empty())
    }

    /// The fields before the first line that is none. Most mail servers take that line for the end of the header, and what
    /// follows for text; others pass over it.
    pub fn fields_before_text(&self) -> impl Iterator<Item = Field<'_>> {
        Fields { rest: &self.raw }.take_while(Field::is_well_formed)
    }

    /// Every field of this name, in order.
    pub fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = Field<'h>> {
        self.fields().filter(move |field| field.is(name))
    }

    /// The first field of this name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<Field<'_>> {
        self.fields().find(|field| field.is(name))
    }

    /// The first field of this name as people read it: unfolded, encoded words decoded (RFC 2047).
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.first(name).map(|field| field.text())
    }

    /// The subject as people read it. Where there are several, which RFC 5322 §3.6 forbids, all of them: programs
    /// disagree about which one they show.
    #[must_use]
    pub fn subject(&self) -> DecodedText {
        let all: Vec<DecodedText> = self.all("Subject").map(|field| field.decoded()).collect();
        let texts: Vec<&str> = all.iter().map(|read| read.text.as_str()).filter(|text| !text.is_empty()).collect();
        DecodedText { text: texts.join(" "), is_whole: all.iter().all(|read| read.is_whole) }
    }

    /// The addresses in the first field of this name, with the names that stand beside them. What is no address is left
    /// out.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Vec<(Option<String>, Address)> {
        let written = self.written_addresses(name).into_iter();
        written.filter_map(|(name, address)| Some((name, address?.parse().ok()?))).take(ADDRESSES).collect()
    }

    /// What stands in the first field of this name where addresses stand: the name beside each, and the address as it is
    /// written, whether it is one or not.
    #[must_use]
    pub fn written_addresses(&self, name: &str) -> Vec<(Option<String>, Option<String>)> {
        let Some(field) = self.first(name) else { return Vec::new() };
        let value = ended(field.value);
        let parsed = MessageStream::new(&value).parse_address();
        let Some(list) = parsed.as_address() else { return Vec::new() };
        list.iter().map(|found| (found.name().map(str::to_owned), found.address().map(str::to_owned))).collect()
    }

    /// The ids in all fields of this name, angle brackets included, in order (RFC 5322 §3.6.4).
    #[must_use]
    pub fn message_ids(&self, name: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for field in self.all(name) {
            let text = String::from_utf8_lossy(field.value);
            let mut rest = text.as_ref();
            while let Some(start) = rest.find('<')
                && let Some(length) = rest.get(start..).and_then(|from| from.find('>'))
                && ids.len() < limits::MESSAGE_IDS
            {
                let id: String = rest.get(start..=start + length).unwrap_or_default().split_whitespace().collect();
                ids.push(id);
                rest = rest.get(start + length + 1..).unwrap_or_default();
            }
        }
        ids
    }
}

impl Field<'_> {
    /// Whether this is the field's name. Blanks before the colon are tolerated (RFC 5322 §4.5).
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether every program takes this for a field: a name of printable ASCII, blanks behind it, a colon, on one line (RFC
    /// 5322 §2.2, §4.5).
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let blank = |octet: &u8| matches!(octet, b' ' | b'\t');
        let length = self.name.iter().rposition(|octet| !blank(octet)).map_or(0, |last| last + 1);
        length > 0 && self.name.iter().take(length).all(u8::is_ascii_graphic)
    }

    /// The value as people read it: unfolded, encoded words decoded, blanks at both ends gone.
    #[must_use]
    pub fn text(&self) -> String {
        self.decoded().text
    }

    /// … and whether all of it could be read.
    #[must_use]
    pub fn decoded(&self) -> DecodedText {
        decode(self.value)
    }

    /// The value unfolded, nothing decoded, blanks at both ends gone.
    #[must_use]
    pub fn unfolded(&self) -> String {
        let octets: Vec<u8> = self.value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
        String::from_utf8_lossy(&octets).trim().to_owned()
    }
}

/// A value with a line end, without which the parser loses its last word.
fn ended(value: &[u8]) -> Cow<'_, [u8]> {
    if value.ends_with(b"\n") { Cow::Borrowed(value) } else { Cow::Owned([value, b"\r\n"].concat()) }
}

struct Fields<'h> {
    rest: &'h [u8],
}

impl<'h> Iterator for Fields<'h> {
    type Item = Field<'h>;

    fn next(&mut self) -> Option<Field<'h>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut end = line_length(self.rest);
        // A line that begins with a blank belongs to the one before it (RFC 5322 §2.2.3).
        while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
            end += line_length(self.rest.get(end..).unwrap_or_default());
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        let colon = memchr::memchr(b':', raw).unwrap_or(0);
        // A name may be folded before its colon (RFC 5322 §4.5.1), and only there.
        let folded = raw.get(line_length(raw)..colon).unwrap_or_default();
        let (name, value) = raw.split_at(if folded.trim_ascii().is_empty() { colon } else { 0 });
        Some(Field { name, value: value.get(1..).unwrap_or_default(), raw })
    }
}

/// Octets up to and with the next LF, or all that is left.
fn line_length(octets: &[u8]) -> usize {
    memchr::memchr(b'\n', octets).map_or(octets.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use crate::mail::field::*;

    #[test]
    fn fields_are_unfolded_and_decoded() {
        let header = Header::new(
            &b"Subject: =?utf-8?Q?[s=C3=A4?= =?utf-8?Q?kert]?=\r\n =?iso-8859-1?Q?_Bygglov_f=F6r?= Eva\r\nTO: \"Eva R\" <eva@live.example>,\r\n\tadam@live.example\r\nbroken line\r\nReferences: <a@b>\r\n <c@d>\r\nX: \xff\r\n"[..],
        );
        assert_eq!(header.text("subject").unwrap(), "[säkert] Bygglov för Eva");
        let to = header.addresses("To");
        assert_eq!(to.len(), 2);
        assert_eq!(to[0].0.as_deref(), Some("Eva R"));
        assert_eq!(to[1].1.to_string(), "adam@live.example");
        assert_eq!(header.message_ids("references"), ["<a@b>", "<c@d>"]);
        assert!(header.text("X").is_some() && header.text("Y").is_none());
        assert_eq!(header.fields().count(), 4);
        assert_eq!(header.fields_before_text().count(), 2);
        let folded = Header::new(&b"From\r\n : a@b.example\r\nno\r\n field: x\r\nTo: c@d.example\r\n"[..]);
        assert_eq!(folded.addresses("From").len(), 1);
        assert_eq!((folded.fields().count(), folded.fields_before_text().count()), (2, 0));
        for subject in [
            &b"=?utf-8?B?W3PD?= =?utf-8?B?pGtlcnRd?= hej"[..],
            b"[s\xe4kert] hej",
            b"=?UTF-8?b?W3PDpGtlcnRd?=\r\n =?iso-8859-1?Q?_hej?=",
        ] {
            let header = Header::new([&b"Subject: "[..], subject, b"\r\n"].concat());
            assert_eq!(header.subject().text, "[säkert] hej");
        }
        assert_eq!(Header::new(&b"Subject: \r\nSubject: a\r\nsubject: b\r\n"[..]).subject().text, "a b");
    }

    #[test]
    fn anything_can_be_read() {
        for raw in [
            &b""[..],
            b"\n",
            b":",
            b"\r\n\r\n",
            b" a\r\n b",
            b"Subject:",
            b"Subject: =?utf-8?B?!!!?=\r\n",
            b"\0\xff:\0\n",
        ] {
            let header = Header::new(raw);
            for field in header.fields() {
                let _ = (field.text(), field.unfolded());
            }
            let _ = (header.addresses("Subject"), header.message_ids("Subject"));
        }
    }
}
