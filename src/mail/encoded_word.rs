//! Unstructured text as people read it: unfolded, encoded words decoded (RFC 5322 §2.2.3, RFC 2047). What programs write is
//! read as other programs show it, and in one pass: nothing is looked at twice, however many words begin and do not end.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use memchr::memmem;

/// Padding or none, and whatever bits stand behind the last octet.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// Octets of a charset's name, its language included (RFC 2231 §5).
const CHARSET_OCTETS: usize = 64;

/// What a text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedText {
    /// The text, blanks at both ends gone.
    pub text: String,
    /// All of it was read. A charset that nobody here knows may say something else to who knows it.
    pub is_whole: bool,
}

/// Octets that one or several words of one charset hold.
struct Run<'t> {
    charset: &'t str,
    octets: Vec<u8>,
}

struct Decoder<'t> {
    out: String,
    is_whole: bool,
    /// Words that are not decoded yet: the next may belong to them.
    run: Option<Run<'t>>,
}

/// Decodes a field's value.
pub(crate) fn decode(value: &[u8]) -> DecodedText {
    // Eight-bit octets that are no UTF-8 are Latin-1, as old programs write them.
    let text = match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(value).0,
    };
    let text = unfold(&text);
    let mut decoder = Decoder { out: String::with_capacity(text.len()), is_whole: true, run: None };
    let mut rest = text.as_str();
    while let Some(start) = rest.find("=?") {
        let (before, from) = rest.split_at(start);
        match word(from) {
            Ok((charset, octets, after)) => {
                decoder.plain_between(before);
                decoder.word(charset, octets);
                rest = after;
            }
            Err(passed) => {
                let (passed, after) = from.split_at(passed);
                decoder.plain(before);
                decoder.plain(passed);
                rest = after;
            }
        }
    }
    decoder.plain(rest);
    decoder.flush();
    DecodedText { text: decoder.out.trim().to_owned(), is_whole: decoder.is_whole }
}

impl<'t> Decoder<'t> {
    /// Text between a word and the next one, which is gone if it is blank (RFC 2047 §6.2).
    fn plain_between(&mut self, text: &str) {
        if self.run.is_none() || !text.trim().is_empty() {
            self.plain(text);
        }
    }

    fn plain(&mut self, text: &str) {
        if !text.is_empty() {
            self.flush();
            self.out.push_str(text);
        }
    }

    /// RFC 2047 §5 forbids to cut a character between two words, but programs do, and others show what was meant.
    fn word(&mut self, charset: &'t str, octets: Vec<u8>) {
        match &mut self.run {
            Some(run) if run.charset.eq_ignore_ascii_case(charset) => run.octets.extend(octets),
            Some(_) | None => {
                self.flush();
                self.run = Some(Run { charset, octets });
            }
        }
    }

    fn flush(&mut self) {
        if let Some(Run { charset, octets }) = self.run.take() {
            let (text, is_whole) = in_charset(charset, &octets);
            self.out.push_str(&text);
            self.is_whole &= is_whole;
        }
    }
}

/// Octets in a charset, as text; whether the charset is known.
fn in_charset<'o>(charset: &str, octets: &'o [u8]) -> (Cow<'o, str>, bool) {
    let label = charset.split('*').next().unwrap_or_default().trim();
    let encoding = Encoding::for_label(label.as_bytes()).unwrap_or(REPLACEMENT);
    if encoding == REPLACEMENT {
        return (WINDOWS_1252.decode_without_bom_handling(octets).0, false);
    }
    if encoding == UTF_16LE || encoding == UTF_16BE {
        // Without a mark at its front programs disagree about the order of its octets.
        return match Encoding::for_bom(octets) {
            Some((marked, length)) => {
                (marked.decode_without_bom_handling(octets.get(length..).unwrap_or_default()).0, true)
            }
            None => (encoding.decode_without_bom_handling(octets).0, false),
        };
    }
    // Who says nothing, or ASCII, and writes UTF-8 means UTF-8.
    let says_ascii = label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii");
    let encoding = if says_ascii && std::str::from_utf8(octets).is_ok() { UTF_8 } else { encoding };
    (encoding.decode_with_bom_removal(octets).0, true)
}

/// The encoded word at the front of a text: charset, octets, and what follows. If there is none: how many octets belong to
/// no word that begins here, nor in them.
fn word(text: &str) -> Result<(&str, Vec<u8>, &str), usize> {
    const NONE: usize = 2;
    let rest = text.get(2..).ok_or(text.len())?;
    let head = rest.get(..rest.floor_char_boundary(CHARSET_OCTETS)).unwrap_or(rest);
    let (charset, _) = head.split_once('?').ok_or(NONE)?;
    if charset.is_empty() || charset.contains(char::is_whitespace) {
        return Err(NONE);
    }
    let mut behind = rest.get(charset.len() + 1..).unwrap_or_default().chars();
    let encoding = behind.next().ok_or(NONE)?;
    if behind.next() != Some('?') || !matches!(encoding, 'b' | 'B' | 'q' | 'Q') {
        return Err(NONE);
    }
    let encoded = behind.as_str();
    let begins = text.len() - encoded.len();
    // Another word's front before this one's end: this one has none.
    let another = memmem::find(encoded.as_bytes(), b"=?").filter(|at| encoded.get(at + 1..at + 3) != Some("?="));
    let end =
        memmem::find(encoded.get(..another.map_or(encoded.len(), |at| at + 1)).unwrap_or_default().as_bytes(), b"?=");
    let Some(end) = end else { return Err(another.map_or(text.len(), |at| begins + at)) };
    let (encoded, after) = encoded.split_at(end);
    let octets = match encoding {
        'b' | 'B' => base64(encoded),
        _ => quoted(encoded),
    };
    Ok((charset, octets, after.get(2..).unwrap_or_default()))
}

/// What can be read of base64: what is none is passed over.
fn base64(encoded: &str) -> Vec<u8> {
    let is_base64 = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/');
    let mut letters: Vec<u8> = encoded.bytes().filter(is_base64).collect();
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    LENIENT.decode(&letters).unwrap_or_default()
}

/// The Q encoding (RFC 2047 §4.2).
fn quoted(encoded: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        match first {
            b'_' => octets.push(b' '),
            b'=' => match more.first_chunk::<2>().and_then(|pair| hex(*pair)) {
                Some(octet) => {
                    octets.push(octet);
                    rest = more.get(2..).unwrap_or_default();
                }
                None => octets.push(b'='),
            },
            octet => octets.push(*octet),
        }
    }
    octets
}

fn hex(pair: [u8; 2]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()
}

/// Line ends and the blanks behind them are one blank.
fn unfold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split(['\r', '\n']) {
        if out.is_empty() {
            out.push_str(line);
        } else if !line.is_empty() {
            out.push(' ');
            out.push_str(line.trim_start_matches([' ', '\t']));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::mail::encoded_word::*;

    #[test]
    fn words_are_read_as_programs_show_them() {
        for value in [
            "[s\u{e4}kert] hej",
            "=?utf-8?B?W3PDpGtlcnRdIGhlag==?=",
            "=?UTF-8*sv?b?W3PDpGtlcnRdIGhlag?=",
            "=?utf-8?Q?[s=C3=A4kert]_hej?=",
            "=?utf-8?Q?[s=C3=A4kert] hej?=",
            // A character cut between two words.
            "=?utf-8?Q?[s=C3?= =?utf-8?Q?=A4kert]_hej?=",
            "=?utf-8?B?W3PD?=\r\n =?UTF-8?Q?=A4kert]?= hej",
            "=?utf-8?B?W3PD?= =?utf-8?B?pGtlcnRd?= hej",
            "=?utf-8?Q?[s=C3=A4?= =?iso-8859-1?Q?kert]?=\r\n\thej",
            "=?us-ascii?Q?[s=C3=A4kert]_hej?=",
            "=?iso-8859-1?Q?[s=e4kert]_hej?=",
            "=?utf-16?B?/v8AWwBzAOQAawBlAHIAdABdACAAaABlAGo=?=",
        ] {
            assert_eq!(
                decode(value.as_bytes()),
                DecodedText { text: "[säkert] hej".into(), is_whole: true },
                "{value}"
            );
        }
        assert_eq!(decode(b"[s\xe4kert] hej").text, "[säkert] hej");
    }

    #[test]
    fn what_is_no_word_stays_as_it_is() {
        for value in [
            "=?",
            "a =? b",
            "=?utf-8?x?a?=",
            "=?utf-8?q?a",
            "a=?b?=c",
            "=?utf-8?Q",
            "=? ?q?a?=",
            "1 =?2?= 3",
            "=?utf-8",
        ] {
            assert_eq!(decode(value.as_bytes()).text, value);
        }
        assert_eq!(decode(b"=?utf-8?q?a =?utf-8?q?b?=").text, "=?utf-8?q?a b");
        assert_eq!(decode(b"=?utf-8?b?!!YQ=!?= b").text, "a b");
    }

    #[test]
    fn a_charset_nobody_knows_is_told_of() {
        for charset in ["cp437", "ibm037", "hz-gb-2312", "utf-7", "utf-16", "x-unknown"] {
            let decoded = decode(format!("Hej =?{charset}?Q?[abc]?=").as_bytes());
            assert!(!decoded.is_whole, "{charset}");
        }
    }

    /// Read twice as often as it is long, each of these would take minutes.
    #[test]
    fn words_that_begin_and_do_not_end_are_read_once() {
        for shape in
            ["=?", "=?a?b?x", "=?a?q?x", "=?utf-8?b?", "=?a?b?=", "=?a?b?x?", "=?a?b?x ?=", "=?a", "=?a?", "?="]
        {
            let value = shape.repeat((1 << 20) / shape.len());
            let decoded = decode(value.as_bytes());
            assert!(decoded.text.len() <= value.len(), "{shape}");
        }
    }
}
