//! Text out of files that hold it: office documents, RTF, archives of these; PDF is next door. Everything is bounded; what
//! passes a bound, is encrypted, or is of a kind nobody here can look into is unreadable.

use std::io::{Cursor, Read};

use crate::policy::error::Unreadable;
use crate::policy::pdf::pdf;
use crate::policy::text::{Stripper, raw};

/// Octets of a file that is opened.
pub(crate) const FILE_OCTETS: usize = 8 << 20;
/// Octets by which a file is recognised: readers look for a PDF's or an archive's begin that far in.
pub(crate) const MAGIC_OCTETS: usize = 1_024;
/// Octets that come out of all files of one message.
pub(crate) const INFLATED_OCTETS: u64 = 32 << 20;
/// Entries of an archive.
const ENTRIES: usize = 2_000;
/// Archives within archives.
const DEPTH: usize = 3;
/// Names of files that hold messages, which nobody takes apart within another file.
const MESSAGES: [&str; 6] = [".eml", ".msg", ".mht", ".mhtml", ".pst", ".oft"];
/// What compressed, encrypted or encoded files that nobody can look into begin with.
const SEALED: [&[u8]; 16] = [
    b"7z\xbc\xaf",
    b"Rar!",
    b"\x1f\x8b",         // gzip
    b"\x1f\x9d",         // compress
    b"BZh",              // bzip2
    b"\xfd7zXZ\0",       // xz
    b"\x5d\0\0",         // lzma
    b"\x28\xb5\x2f\xfd", // zstd
    b"\x04\x22\x4d\x18", // lz4
    b"\x78\x9c",         // zlib
    b"\x78\xda",
    b"MSCF",                                         // cab
    b"\x78\x9f\x3e\x22",                             // TNEF: winmail.dat
    b"!BDN",                                         // an Outlook store
    b"ITSF",                                         // compiled help
    b"(This file must be converted with BinHex 4.0", // RFC 1741
];

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A PDF.
    Pdf,
    /// A zip archive; office documents are such.
    Zip,
    /// Rich Text Format.
    Rtf,
    /// An old compound file, which may turn out encrypted at its end.
    Compound,
    /// Encrypted, or a container nobody can look into.
    Sealed,
    /// Anything else: its octets are searched as they are.
    Other,
}

/// What a file is, by its first octets.
pub(crate) fn kind_of(octets: &[u8]) -> Kind {
    let first = octets.get(..MAGIC_OCTETS).unwrap_or(octets);
    let has = |magic: &[u8]| memchr::memmem::find(first, magic).is_some();
    match octets {
        _ if SEALED.iter().any(|magic| octets.starts_with(magic)) => Kind::Sealed,
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Kind::Compound,
        [b'{', b'\\', b'r', b't', ..] => Kind::Rtf,
        _ if has(b"%PDF-") => Kind::Pdf,
        _ if has(b"PK\x03\x04") || octets.starts_with(b"PK\x05\x06") => Kind::Zip,
        _ => Kind::Other,
    }
}

/// Whether a file of this name holds a message of its own.
pub(crate) fn is_message_file(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    MESSAGES.iter().any(|ending| name.ends_with(ending))
}

/// Gives the text of a file to `out`; what comes out of it is taken from the budget.
///
/// # Errors
/// [`Unreadable`]: encrypted, damaged, or past a bound.
pub(crate) fn text_of(octets: &[u8], budget: &mut u64, out: &mut dyn FnMut(&str)) -> Result<(), Unreadable> {
    extract(octets, 0, budget, out)
}

fn extract(octets: &[u8], depth: usize, budget: &mut u64, out: &mut dyn FnMut(&str)) -> Result<(), Unreadable> {
    match kind_of(octets) {
        Kind::Pdf => pdf(octets, budget, out),
        Kind::Zip if depth < DEPTH => zip(octets, depth, budget, out),
        Kind::Rtf => {
            rtf(octets, out);
            Ok(())
        }
        // Encrypted, or a workbook, whose numbers are no text.
        Kind::Compound if has_stream(octets, "EncryptedPackage") || has_stream(octets, "Workbook") => Err(Unreadable),
        Kind::Zip | Kind::Sealed => Err(Unreadable),
        Kind::Compound | Kind::Other => {
            raw(octets, out);
            Ok(())
        }
    }
}

/// Whether a compound file has a stream of this name.
fn has_stream(octets: &[u8], name: &str) -> bool {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    memchr::memmem::find(octets, &name).is_some()
}

fn zip(octets: &[u8], depth: usize, budget: &mut u64, out: &mut dyn FnMut(&str)) -> Result<(), Unreadable> {
    let mut archive = zip::ZipArchive::new(Cursor::new(octets)).map_err(|_| Unreadable)?;
    if archive.len() > ENTRIES {
        return Err(Unreadable);
    }
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place).map_err(|_| Unreadable)?;
        if entry.is_dir() {
            continue;
        }
        out(entry.name());
        out("\n");
        let mut inflated = Vec::new();
        let read = entry.by_ref().take(*budget + 1).read_to_end(&mut inflated).map_err(|_| Unreadable)?;
        *budget = budget.checked_sub(read as u64).ok_or(Unreadable)?;
        let name = entry.name().to_ascii_lowercase();
        drop(entry);
        if is_message_file(&name) || is_binary_sheet(&name) {
            return Err(Unreadable);
        }
        if [".xml", ".html", ".htm", ".xhtml", ".rels", ".svg"].iter().any(|ending| name.ends_with(ending)) {
            markup(&inflated, out);
        } else {
            extract(&inflated, depth + 1, budget, out)?;
        }
    }
    Ok(())
}

/// Whether an entry holds the cells of a binary workbook, whose numbers are no text.
fn is_binary_sheet(name: &str) -> bool {
    name.starts_with("xl/worksheets/") && name.ends_with(".bin")
}

/// Markup in the charset its first octets tell, UTF-8 where they tell none; zeros are passed over by whoever searches, so
/// that UTF-16 without a mark reads too.
fn markup(octets: &[u8], out: &mut dyn FnMut(&str)) {
    let charset = encoding_rs::Encoding::for_bom(octets).map_or(encoding_rs::UTF_8, |(charset, _)| charset);
    let (mut text, mut hidden) = (String::new(), String::new());
    let mut stripper = Stripper::default();
    stripper.push(&charset.decode(octets).0.replace('\0', ""), &mut text, &mut hidden);
    stripper.end(&mut text);
    text.push('\n');
    out(&text);
    out(&hidden);
    out("\n");
}

/// The text of Rich Text Format: control words and braces taken out, characters written as numbers put in. Groups that a
/// reader may pass over, such as bookmarks, come apart.
fn rtf(octets: &[u8], out: &mut dyn FnMut(&str)) {
    let (mut text, mut apart) = (String::new(), String::new());
    // How deep in groups, and how deep the one that comes apart began.
    let (mut depth, mut passed_over) = (0_u32, None);
    let mut rest = octets;
    while let [octet, after @ ..] = rest {
        rest = after;
        let into = if passed_over.is_some() { &mut apart } else { &mut text };
        match octet {
            b'{' => {
                depth = depth.saturating_add(1);
                if passed_over.is_none() && after.trim_ascii_start().starts_with(b"\\*") {
                    passed_over = Some(depth);
                }
            }
            b'}' => {
                if passed_over == Some(depth) {
                    passed_over = None;
                    apart.push('\n');
                }
                depth = depth.saturating_sub(1);
            }
            b'\r' | b'\n' | 0 => {}
            b'\\' => rest = control(after, into),
            octet => into.push(char::from(*octet)),
        }
        if text.len() > MAGIC_OCTETS {
            out(&text);
            text.clear();
        }
    }
    out(&text);
    out("\n");
    out(&apart);
    out("\n");
}

/// What stands behind a backslash; what is left behind it.
fn control<'o>(octets: &'o [u8], text: &mut String) -> &'o [u8] {
    let hex = |octets: &[u8]| u8::from_str_radix(std::str::from_utf8(octets.get(..2)?).ok()?, 16).ok();
    let word = octets.iter().take_while(|octet| octet.is_ascii_alphabetic()).count();
    let (name, rest) = octets.split_at(word);
    let digits = rest.iter().skip(1).take_while(|octet| octet.is_ascii_digit()).count();
    let number = match rest.first() {
        Some(b'-' | b'0'..=b'9') => rest.get(..=digits).and_then(|n| std::str::from_utf8(n).ok()?.parse::<i32>().ok()),
        Some(_) | None => None,
    };
    let rest = if number.is_some() { rest.get(digits + 1..).unwrap_or_default() } else { rest };
    let rest = rest.strip_prefix(b" ").filter(|_| word > 0).unwrap_or(rest);
    match (name, octets.first()) {
        (b"", Some(b'\'')) => {
            text.extend(hex(octets.get(1..).unwrap_or_default()).map(char::from));
            octets.get(3..).unwrap_or_default()
        }
        (b"", Some(b'~')) => push(text, ' ', octets),
        (b"", Some(b'_')) => push(text, '-', octets),
        (b"", Some(b'\\' | b'{' | b'}')) => push(text, char::from(octets.first().copied().unwrap_or(b' ')), octets),
        (b"", Some(_) | None) => octets.get(1..).unwrap_or_default(),
        (b"u", _) => {
            let code = number.map(|number| if number < 0 { number + 0x1_0000 } else { number });
            text.extend(code.and_then(|code| char::from_u32(u32::try_from(code).ok()?)));
            // The character for readers that know no Unicode stands behind it.
            match rest {
                [b'\\', b'\'', _, _, rest @ ..] | [b'?', rest @ ..] => rest,
                rest => rest,
            }
        }
        (b"endash" | b"emdash", _) => {
            text.push('-');
            rest
        }
        (b"par" | b"line" | b"cell" | b"row" | b"tab" | b"page" | b"sect", _) => {
            text.push('\n');
            rest
        }
        _ => rest,
    }
}

fn push<'o>(text: &mut String, c: char, octets: &'o [u8]) -> &'o [u8] {
    text.push(c);
    octets.get(1..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::policy::container::*;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, octets) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(octets).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn text(octets: &[u8]) -> Result<String, Unreadable> {
        let mut text = String::new();
        text_of(octets, &mut INFLATED_OCTETS.clone(), &mut |piece| text.push_str(piece))?;
        Ok(text)
    }

    #[test]
    fn documents_and_archives_of_them_are_read() {
        let document =
            archive(&[("word/document.xml", b"<w:p><w:r><w:t>8501</w:t></w:r><w:r><w:t>01-2382</w:t></w:r></w:p>")]);
        assert!(text(&document).unwrap().contains("850101-2382"));
        let nested = archive(&[("brev.docx", &document), ("readme.txt", b"hej")]);
        assert!(text(&nested).unwrap().contains("850101-2382"));
    }

    #[test]
    fn bombs_and_matryoshkas_are_unreadable() {
        let zeros = vec![b'0'; 40 << 20];
        assert_eq!(text(&archive(&[("bomb.txt", &zeros)])), Err(Unreadable));
        let mut doll = archive(&[("a.txt", b"x")]);
        for _ in 0..5 {
            doll = archive(&[("doll.zip", &doll)]);
        }
        assert_eq!(text(&doll), Err(Unreadable));
        assert_eq!(text(b"PK\x03\x04 broken"), Err(Unreadable));
        assert_eq!(text(b"%PDF-1.7 broken"), Err(Unreadable));
    }

    #[test]
    fn what_stands_in_rich_text_is_read() {
        for written in [
            "850101-2382",
            "850101{\\b -}2382",
            "850101\\'2d2382",
            "850101\\u8209?2382",
            "850101\\_2382",
            "8501\\b0 01-2382",
        ] {
            let text = text(format!("{{\\rtf1\\ansi {written}\\par}}").as_bytes()).unwrap();
            assert!(text.replace('\u{2011}', "-").contains("850101-2382"), "{text}");
        }
    }

    #[test]
    fn a_container_is_known_wherever_it_begins_and_whatever_it_is_called() {
        let zip = archive(&[("a.txt", b"850101-2382")]);
        assert!(text(&[b"\n", &zip[..]].concat()).unwrap().contains("850101-2382"));
        let utf16: Vec<u8> = "\u{feff}<t>850101-2382</t>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(text(&archive(&[("word/document.xml", &utf16)])).unwrap().contains("850101-2382"));
        for sealed in [&b"BZh91AY"[..], b"\xfd7zXZ\0x", b"\x78\x9f\x3e\x22x", b"MSCF"] {
            assert_eq!(text(sealed), Err(Unreadable));
            assert_eq!(text(&archive(&[("a.bin", sealed)])), Err(Unreadable));
        }
        assert_eq!(text(&archive(&[("brev.eml", b"x")])), Err(Unreadable));
    }

    #[test]
    fn all_files_of_a_message_share_one_budget() {
        let mut budget = 1_000;
        let file = archive(&[("a.txt", &[b'x'; 400])]);
        let mut read = || text_of(&file, &mut budget, &mut |_| {});
        assert_eq!([read(), read(), read()], [Ok(()), Ok(()), Err(Unreadable)]);
    }
}
