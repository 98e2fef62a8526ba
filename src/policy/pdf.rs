//! Text out of PDF (ISO 32000-1). A library reads the pages; before it sees a file, every stream in it is inflated here,
//! bounded, for the library itself bounds nothing: two kilobytes from a stranger would take all memory there is.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use flate2::read::ZlibDecoder;

use crate::policy::error::Unreadable;
use crate::policy::text::raw;

/// Pages of a file.
const PAGES: usize = 300;
/// Octets that come out of one stream that is no picture.
const STREAM_OCTETS: u64 = 8 << 20;
/// Octets of drawing on one page, and on all pages: the library makes some fifty octets of each.
const PAGE_OCTETS: u64 = 2 << 20;
const PAGES_OCTETS: u64 = 16 << 20;
/// Streams without an end, as in a file that is cut off.
const ENDLESS_STREAMS: usize = 8;
/// Octets before a stream in which its dictionary stands.
const DICTIONARY_OCTETS: usize = 16 * 1024;

/// One file at a time: that bounds the memory of all.
static TURN: Mutex<()> = Mutex::new(());

/// Gives the text of a PDF to `out`: that of its pages as they show it, and whatever else stands in it readably, such as
/// forms, notes and files.
///
/// # Errors
/// [`Unreadable`]: encrypted, damaged, past a bound, or with text on a page that nobody can tell.
pub(crate) fn pdf(octets: &[u8], budget: &mut u64, out: &mut dyn FnMut(&str)) -> Result<(), Unreadable> {
    raw(octets, out);
    strings(octets, out);
    streams(octets, budget, out)?;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // A parser of a format as large as PDF may panic on what strangers made: that is no more than unreadable.
    let read = catch_unwind(AssertUnwindSafe(|| pages(octets, out)));
    read.map_err(|_| Unreadable)?
}

/// Every stream inflated, wherever it is named from, and searched as it is.
fn streams(octets: &[u8], budget: &mut u64, out: &mut dyn FnMut(&str)) -> Result<(), Unreadable> {
    // What was looked at for one stream is not looked at again for the next.
    let mut seen = 0;
    for at in memchr::memmem::find_iter(octets, b"stream") {
        let (before, after) = (octets.get(..at).unwrap_or_default(), octets.get(at + 6..).unwrap_or_default());
        let from = seen.max(before.len().saturating_sub(DICTIONARY_OCTETS));
        seen = at;
        if before.ends_with(b"end") {
            continue;
        }
        let window = before.get(from..).unwrap_or_default();
        let dictionary = memchr::memmem::rfind(window, b"obj").and_then(|start| window.get(start..)).unwrap_or(window);
        let Some(coding) = coding_of(dictionary)? else { continue };
        let blanks = after.iter().take_while(|octet| octet.is_ascii_whitespace()).count();
        // The line end behind the word may be one octet or two, and a stream may begin with what looks like one.
        for start in 0..=blanks.min(3) {
            let limit = STREAM_OCTETS.min(*budget);
            let inflated = inflate(after.get(start..).unwrap_or_default(), coding, limit, out)?;
            *budget -= inflated;
        }
    }
    Ok(())
}

/// How a stream that has to be inflated is written; `None` where there is nothing to inflate. Pictures have no text, and may
/// be large.
///
/// # Errors
/// [`Unreadable`] for what is compressed otherwise, twice, or says so where nobody looks here.
fn coding_of(dictionary: &[u8]) -> Result<Option<Coding>, Unreadable> {
    let count = |name: &[u8]| memchr::memmem::find_iter(dictionary, name).count();
    if count(b"/Image") > 0 && count(b"ObjStm") + count(b"XRef") == 0 {
        return Ok(None);
    }
    let indirect = memchr::memmem::find_iter(dictionary, b"/Filter").any(|at| {
        dictionary.get(at + 7..).unwrap_or_default().trim_ascii_start().first().is_some_and(u8::is_ascii_digit)
    });
    let strange = count(b"/LZW") + count(b"/RunLength") + count(b"/Crypt") + count(b"/ASCIIHex") + count(b"#");
    match (count(b"/ASCII85"), count(b"/Fl")) {
        _ if indirect || strange > 0 => Err(Unreadable),
        (0, 0) => Ok(None),
        (0, 1) => Ok(Some(Coding::Octets)),
        (1, 0 | 1) => Ok(Some(Coding::Ascii85)),
        _ => Err(Unreadable),
    }
}

/// How a stream is written below its compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// As it is.
    Octets,
    /// Five printable characters for four octets (ISO 32000-1 §7.4.3).
    Ascii85,
}

/// Inflates as far as it goes, bit by bit; how many octets came out.
fn inflate(octets: &[u8], coding: Coding, limit: u64, out: &mut dyn FnMut(&str)) -> Result<u64, Unreadable> {
    let plain = if coding == Coding::Ascii85 { ascii85(octets, limit)? } else { Vec::new() };
    raw(&plain, out);
    let mut decoder = ZlibDecoder::new(if coding == Coding::Ascii85 { plain.as_slice() } else { octets });
    let (mut piece, mut length) = (vec![0; 64 * 1024], plain.len() as u64);
    // What is damaged ends where the damage is, for the library too.
    while let Ok(read @ 1..) = decoder.read(&mut piece) {
        length += read as u64;
        if length > limit {
            return Err(Unreadable);
        }
        let inflated = piece.get(..read).unwrap_or_default();
        raw(inflated, out);
        strings(inflated, out);
    }
    out("\n");
    Ok(length)
}

/// What is written in five characters for four octets, at most so many octets of it.
fn ascii85(text: &[u8], limit: u64) -> Result<Vec<u8>, Unreadable> {
    let (mut octets, mut group) = (Vec::new(), Vec::with_capacity(5));
    for c in text.iter().take_while(|c| **c != b'~').filter(|c| !c.is_ascii_whitespace()) {
        match c {
            b'z' if group.is_empty() => octets.extend([0; 4]),
            b'!'..=b'u' => group.push(u32::from(c - b'!')),
            _ => return Ok(octets),
        }
        if octets.len() as u64 > limit {
            return Err(Unreadable);
        }
        if group.len() == 5 {
            octets.extend(word(&group));
            group.clear();
        }
    }
    if group.len() > 1 {
        let left = group.len() - 1;
        group.resize(5, 84);
        octets.extend(word(&group).into_iter().take(left));
    }
    Ok(octets)
}

fn word(group: &[u32]) -> [u8; 4] {
    group.iter().fold(0_u32, |word, digit| word.wrapping_mul(85).wrapping_add(*digit)).to_be_bytes()
}

/// What stands in strings, one behind the other: text that is drawn in pieces, or written in hexadecimal.
fn strings(octets: &[u8], out: &mut dyn FnMut(&str)) {
    let (mut text, mut rest) = (String::from("\n"), octets);
    while let Some(next) = memchr::memchr3(b'(', b'<', b'E', rest) {
        let (opening, after) = rest.get(next..).and_then(<[u8]>::split_first).unwrap_or((&0, &[]));
        rest = after;
        match opening {
            b'(' => {
                let mut octets = after.iter();
                while let Some(octet) = octets.next() {
                    match octet {
                        b')' => break,
                        b'\\' => {
                            let escaped = octets.as_slice();
                            let code = escaped.get(..3).filter(|code| code.iter().all(|d| (b'0'..=b'7').contains(d)));
                            match code {
                                Some(code) => {
                                    let value = code.iter().fold(0_u32, |value, d| value * 8 + u32::from(d - b'0'));
                                    text.push(if value == 0o255 { '-' } else { char::from_u32(value).unwrap_or(' ') });
                                    octets = escaped.get(3..).unwrap_or_default().iter();
                                }
                                None => text.extend(octets.next().map(|octet| char::from(*octet))),
                            }
                        }
                        0 => {}
                        octet => text.push(char::from(*octet)),
                    }
                }
                rest = octets.as_slice();
            }
            b'<' => {
                let length = after.iter().take_while(|octet| octet.is_ascii_hexdigit()).count();
                let (digits, behind) = after.split_at(length);
                if behind.first() == Some(&b'>') {
                    let value = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                    text.extend(digits.chunks(2).filter_map(value).filter(|octet| *octet != 0).map(char::from));
                    rest = behind;
                }
            }
            // The end of a text object: what follows stands elsewhere.
            _ if after.starts_with(b"T") => text.push('\n'),
            _ => {}
        }
        if text.len() > 4_096 {
            out(&text);
            text.clear();
        }
    }
    out(&text);
    out("\n");
}

/// Whether so many streams begin and do not end that the library, which looks for the end of each, would never be done.
fn has_endless_streams(octets: &[u8]) -> bool {
    let end = memchr::memmem::rfind(octets, b"endstream").map_or(0, |end| end + b"endstream".len());
    memchr::memmem::find_iter(octets.get(end..).unwrap_or_default(), b"stream").nth(ENDLESS_STREAMS).is_some()
}

fn pages(octets: &[u8], out: &mut dyn FnMut(&str)) -> Result<(), Unreadable> {
    if has_endless_streams(octets) {
        return Err(Unreadable);
    }
    let start = memchr::memmem::find(octets, b"%PDF-").ok_or(Unreadable)?;
    let document = lopdf::Document::load_mem(octets.get(start..).unwrap_or_default()).map_err(|_| Unreadable)?;
    let pages = document.get_pages();
    if document.is_encrypted() || pages.len() > PAGES {
        return Err(Unreadable);
    }
    let mut drawn = 0;
    for (number, id) in pages {
        let (mut length, mut shows_text) = (0, false);
        for content in document.get_page_contents(id) {
            let Ok(stream) = document.get_object(content).and_then(lopdf::Object::as_stream) else { continue };
            let filters = stream.filters().unwrap_or_default();
            let coding = match filters.as_slice() {
                [] | [b"FlateDecode"] => Coding::Octets,
                [b"ASCII85Decode"] | [b"ASCII85Decode", b"FlateDecode"] => Coding::Ascii85,
                _ => return Err(Unreadable),
            };
            shows_text |= [&b"Tj"[..], b"TJ"].iter().any(|op| memchr::memmem::find(&stream.content, op).is_some());
            length += stream.content.len() as u64;
            length += inflate(&stream.content, coding, PAGE_OCTETS, &mut |text| {
                shows_text |= text.contains("Tj") || text.contains("TJ");
            })?;
        }
        drawn += length;
        if length > PAGE_OCTETS || drawn > PAGES_OCTETS {
            return Err(Unreadable);
        }
        // A page of pictures has no text; one whose text cannot be told is unreadable.
        let text = document.extract_text(&[number]).map_err(|_| Unreadable)?;
        if shows_text && text.trim().is_empty() {
            return Err(Unreadable);
        }
        out(&text);
        out("\n");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::policy::pdf::*;

    fn deflated(octets: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(octets).unwrap();
        encoder.finish().unwrap()
    }

    /// A file of one page with this content, and one more object.
    fn file(dictionary: &str, content: &[u8], more: &str) -> Vec<u8> {
        let mut file = b"%PDF-1.4\n".to_vec();
        let mut places = Vec::new();
        let objects = [
            b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>".to_vec(),
            [format!("<<{dictionary}/Length {}>>stream\n", content.len()).as_bytes(), content, b"\nendstream"].concat(),
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_vec(),
            more.as_bytes().to_vec(),
        ];
        for (number, object) in objects.iter().enumerate() {
            places.push(file.len());
            file.extend_from_slice(format!("{} 0 obj\n", number + 1).as_bytes());
            file.extend_from_slice(object);
            file.extend_from_slice(b"\nendobj\n");
        }
        let table = file.len();
        file.extend_from_slice(format!("xref\n0 {}\n0000000000 65535 f \n", places.len() + 1).as_bytes());
        places.iter().for_each(|place| file.extend_from_slice(format!("{place:010} 00000 n \n").as_bytes()));
        file.extend_from_slice(
            format!("trailer\n<</Size {}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n", places.len() + 1).as_bytes(),
        );
        file
    }

    fn text(octets: &[u8]) -> Result<String, Unreadable> {
        let mut text = String::new();
        pdf(octets, &mut (32 << 20), &mut |piece| text.push_str(piece))?;
        Ok(text)
    }

    #[test]
    fn pages_forms_notes_and_what_is_drawn_elsewhere_are_read() {
        let hej = deflated(b"BT /F1 12 Tf (Hej) Tj ET");
        for (dictionary, content, more) in [
            ("/Filter/FlateDecode", deflated(b"BT /F1 12 Tf [(8501) -20 (01-2382)] TJ ET"), ""),
            ("", b"BT /F1 12 Tf <3835303130312d32333832> Tj ET".to_vec(), ""),
            ("/Filter/FlateDecode", hej.clone(), "<</FT/Tx/T(a)/V(850101-2382)>>"),
            ("/Filter/FlateDecode", hej.clone(), "<</Subtype/Text/Contents(850101\\2552382)>>"),
            ("/Filter/FlateDecode", deflated(b"BT /F1 12 Tf (850101) Tj (-2382) Tj ET"), ""),
        ] {
            let read = text(&file(dictionary, &content, more)).unwrap();
            assert!(read.contains("850101-2382"), "{read}");
        }
        assert!(text(&[b"\n\n", &file("/Filter/FlateDecode", &hej, "")[..]].concat()).unwrap().contains("Hej"));
    }

    /// Looked at again and again, each of these would take minutes.
    #[test]
    fn streams_that_do_not_end_are_looked_at_once() {
        for piece in [
            "stream ",
            "obj<</Filter/ASCII85Decode>>stream\n!!!!!",
            "/Filter/FlateDecode stream\n",
            "obj ",
            "(\\",
            "<41",
        ] {
            let hostile = format!("%PDF-1.4\n{}", piece.repeat((1 << 20) / piece.len()));
            assert_eq!(text(hostile.as_bytes()), Err(Unreadable), "{piece}");
        }
    }

    #[test]
    fn bombs_do_not_go_off() {
        let blanks = vec![b' '; 40 << 20];
        let once = deflated(&blanks);
        for (dictionary, content) in [
            ("/Filter/FlateDecode", once.clone()),
            ("/Filter[/FlateDecode/FlateDecode]", deflated(&once)),
            ("/Filter 5 0 R", once.clone()),
            ("/Filter/Fl#61teDecode", once.clone()),
            ("/Filter/LZWDecode", vec![0; 100]),
            ("/Subtype/Image/Filter/FlateDecode", once),
        ] {
            assert_eq!(text(&file(dictionary, &content, "")), Err(Unreadable), "{dictionary}");
        }
    }
}
