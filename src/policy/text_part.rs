//! A part of text: octets in, what people see out, whatever charset, folding and markup it is written in.

use encoding_rs::{Decoder, Encoding};

use crate::mail::{Disposition, PartHead};
use crate::policy::text::{Stripper, lenient, raw, whole_characters};

/// Octets of text that are read at a time.
const TEXT_OCTETS: usize = 16 * 1024;
/// Octets of a line end with the blanks beside it.
const LINE_END_OCTETS: usize = 4;
/// A part of text. Its octets come line by line, and are read many lines at a time: that is several times as quick.
pub(crate) struct TextPart {
    decoding: Decoding,
    /// Where programs disagree about the order of its octets: the other one.
    swapped: Option<Decoder>,
    markup: Option<Stripper>,
    joining: Joining,
    /// It begins with a byte order mark, which another reader may take for two strange letters.
    is_marked: bool,
    pending: Vec<u8>,
}

/// How octets become text.
enum Decoding {
    /// As UTF-8 or Windows' charset, whichever it is: who says one of them, or nothing, often writes the other.
    Lenient,
    /// In the charset it says.
    Charset(Decoder),
}

/// How lines are put together before they are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joining {
    /// They are as they stand.
    None,
    /// A line end and a blank are nothing (RFC 5545 §3.1, RFC 6350 §3.2).
    Folded,
    /// A blank and a line end are nothing (RFC 3676 §4.2).
    Flowed,
}

/// What a piece of a part says.
pub(crate) struct Shown {
    /// Its text as it is written, lines put together.
    pub text: String,
    /// What people see of it, where it has markup.
    pub seen: Option<String>,
    /// What leaves with it and nobody sees, or what it is to who reads it otherwise.
    pub hidden: String,
}

impl TextPart {
    /// The text a part is said to be; `None` if it is said to be something else.
    pub(crate) fn of(head: &PartHead) -> Option<Self> {
        let is_text = head.media_type.starts_with("text/")
            || head.disposition == Disposition::Between
            || head.media_type == "message/rfc822";
        let is_markup_file = head.media_type.ends_with("+xml") || head.media_type == "application/xml";
        let is_page = head.file_name.as_deref().is_some_and(|name| {
            let name = name.trim().to_ascii_lowercase();
            [".html", ".htm", ".xhtml", ".xml", ".svg"].iter().any(|ending| name.ends_with(ending))
        });
        if !is_text && !is_markup_file && !is_page {
            return None;
        }
        let charset = head.charset.as_deref().and_then(|label| Encoding::for_label(label.as_bytes()));
        let charset = charset.filter(|charset| ![encoding_rs::UTF_8, encoding_rs::WINDOWS_1252].contains(charset));
        let decoder = |charset: &'static Encoding| charset.new_decoder_without_bom_handling();
        let swapped = match charset {
            Some(little) if little == encoding_rs::UTF_16LE => Some(decoder(encoding_rs::UTF_16BE)),
            Some(big) if big == encoding_rs::UTF_16BE => Some(decoder(encoding_rs::UTF_16LE)),
            Some(_) | None => None,
        };
        let joining = match head.media_type.as_str() {
            "text/calendar" | "text/vcard" | "text/x-vcard" | "text/directory" => Joining::Folded,
            _ if head.deletes_blanks => Joining::Flowed,
            _ => Joining::None,
        };
        let has_markup = is_markup_file
            || is_page
            || matches!(head.media_type.as_str(), "text/html" | "text/xml" | "text/enriched" | "text/richtext");
        Some(Self {
            decoding: charset.map_or(Decoding::Lenient, |charset| Decoding::Charset(decoder(charset))),
            swapped,
            markup: has_markup.then(Stripper::default),
            joining,
            is_marked: false,
            pending: Vec::new(),
        })
    }

    /// The next octets; whether there are enough to be read.
    pub(crate) fn push(&mut self, octets: &[u8]) -> bool {
        self.pending.extend_from_slice(octets);
        self.pending.len() >= TEXT_OCTETS
    }

    /// What the octets say that have come; with `last`, nothing comes behind them.
    pub(crate) fn take(&mut self, last: bool) -> Shown {
        let octets = self.readable(last);
        let (mut text, mut hidden) = (String::with_capacity(octets.len()), String::new());
        match &mut self.decoding {
            Decoding::Lenient => lenient(&octets, &mut text),
            Decoding::Charset(decoder) => decode(decoder, &octets, &mut text, last),
        }
        if let Some(decoder) = &mut self.swapped {
            decode(decoder, &octets, &mut hidden, last);
        }
        if self.is_marked {
            raw(&octets, &mut |text| hidden.push_str(text));
        }
        let text = self.joining.join(text);
        let seen = self.markup.as_mut().map(|stripper| {
            let mut seen = String::with_capacity(text.len());
            stripper.push(&text, &mut seen, &mut hidden);
            if last {
                stripper.end(&mut seen);
            }
            seen
        });
        Shown { text, seen, hidden }
    }

    /// In the charset that its first octets tell (a byte order mark), if they tell any: what programs write as "Unicode".
    pub(crate) fn marked_by(mut self, first: &[u8]) -> Self {
        if let Some((charset, _)) = Encoding::for_bom(first) {
            self.decoding = Decoding::Charset(charset.new_decoder_with_bom_removal());
            self.is_marked = true;
        }
        self
    }

    /// Takes out what can be read without what comes next.
    fn readable(&mut self, last: bool) -> Vec<u8> {
        if last {
            return std::mem::take(&mut self.pending);
        }
        let whole = match self.decoding {
            Decoding::Lenient => whole_characters(&self.pending),
            Decoding::Charset(_) => self.pending.len(),
        };
        let read = self.pending.get(..whole).unwrap_or_default();
        let blanks = read.iter().rev().take(LINE_END_OCTETS).take_while(|octet| octet.is_ascii_whitespace()).count();
        let held_back = if self.joining == Joining::None { 0 } else { blanks };
        let left = self.pending.split_off(whole - held_back);
        std::mem::replace(&mut self.pending, left)
    }
}

impl Joining {
    fn join(self, text: String) -> String {
        match self {
            Self::None => text,
            Self::Folded => ["\r\n ", "\r\n\t", "\n ", "\n\t"].iter().fold(text, |text, end| text.replace(end, "")),
            Self::Flowed => [" \r\n", " \n"].iter().fold(text, |text, end| text.replace(end, "")),
        }
    }
}

fn decode(decoder: &mut Decoder, octets: &[u8], text: &mut String, last: bool) {
    text.reserve(decoder.max_utf8_buffer_length(octets.len()).unwrap_or(octets.len()));
    let _ = decoder.decode_to_string(octets, text, last);
}

/// Whether text is in a charset that nobody here decodes. It is searched as UTF-8 all the same.
pub(crate) fn has_unknown_charset(head: &PartHead) -> bool {
    let Some(label) = head.charset.as_deref().filter(|_| head.media_type.starts_with("text/")) else { return false };
    Encoding::for_label(label.as_bytes()).is_none_or(|charset| charset == encoding_rs::REPLACEMENT)
}
