//! Text out of files that hold it: PDF, office documents, archives of these. Everything is bounded; what passes a bound
//! or is encrypted is unreadable.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::policy::text::Stripper;

/// Octets of a file that is opened.
pub(crate) const FILE_OCTETS: usize = 8 << 20;
/// Octets that come out of all archives of one file.
const INFLATED_OCTETS: u64 = 32 << 20;
/// Entries of an archive.
const ENTRIES: usize = 2_000;
/// Archives within archives.
const DEPTH: usize = 3;
/// Pages of a PDF.
const PAGES: usize = 300;

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A PDF.
    Pdf,
    /// A zip archive; office documents are such.
    Zip,
    /// Encrypted, or a container nobody can look into.
    Sealed,
    /// Anything else: its octets are searched as they are.
    Other,
}

/// Nobody can say what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// What a file is, by its first octets. An office document that is encrypted is an old compound file with a stream of
/// that name.
pub(crate) fn kind_of(octets: &[u8]) -> Kind {
    let encrypted_office = || {
        let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
        memchr::memmem::find(octets, &name).is_some()
    };
    match octets {
        [b'%', b'P', b'D', b'F', ..] => Kind::Pdf,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Kind::Zip,
        [0xd0, 0xcf, 0x11, 0xe0, ..] if encrypted_office() => Kind::Sealed,
        [b'7', b'z', 0xbc, 0xaf, ..] | [b'R', b'a', b'r', b'!', ..] | [0x1f, 0x8b, ..] => Kind::Sealed,
        _ => Kind::Other,
    }
}

/// Gives the text of a file to `out`.
///
/// # Errors
/// [`Unreadable`]: encrypted, damaged, or past a bound.
pub(crate) fn text_of(octets: &[u8], out: &mut dyn FnMut(&str)) -> Result<(), Unreadable> {
    let mut budget = INFLATED_OCTETS;
    extract(octets, 0, &mut budget, out)
}

fn extract(octets: &[u8], depth: usize, budget: &mut u64, out: &mut dyn FnMut(&str)) -> Result<(), Unreadable> {
    match kind_of(octets) {
        Kind::Pdf => pdf(octets, out),
        Kind::Zip if depth < DEPTH => zip(octets, depth, budget, out),
        Kind::Zip | Kind::Sealed => Err(Unreadable),
        Kind::Other => {
            raw(octets, out);
            Ok(())
        }
    }
}

/// A parser of a format as large as PDF may panic on what strangers made: that is no more than unreadable.
fn pdf(octets: &[u8], out: &mut dyn FnMut(&str)) -> Result<(), Unreadable> {
    let text = catch_unwind(AssertUnwindSafe(|| {
        let document = lopdf::Document::load_mem(octets).map_err(|_| Unreadable)?;
        let pages: Vec<u32> = document.get_pages().into_keys().collect();
        if document.is_encrypted() || pages.len() > PAGES {
            return Err(Unreadable);
        }
        let read = |page: &u32| document.extract_text(&[*page]);
        // A page of pictures has no text; one whose text cannot be told is unreadable.
        pages.iter().map(|page| read(page).map_err(|_| Unreadable)).collect::<Result<Vec<String>, _>>()
    }));
    for page in text.map_err(|_| Unreadable)?? {
        out(&page);
        out("\n");
    }
    Ok(())
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
        if [".xml", ".html", ".htm", ".xhtml", ".rels", ".svg"].iter().any(|ending| name.ends_with(ending)) {
            markup(&inflated, out);
        } else {
            extract(&inflated, depth + 1, budget, out)?;
        }
    }
    Ok(())
}

fn markup(octets: &[u8], out: &mut dyn FnMut(&str)) {
    let mut text = String::new();
    let mut stripper = Stripper::default();
    stripper.push(&String::from_utf8_lossy(octets), &mut text);
    stripper.end(&mut text);
    text.push('\n');
    out(&text);
}

/// Octets as text, whatever they are: ASCII as it is, the rest as gaps; zeros are left out, so that UTF-16 reads too.
pub(crate) fn raw(octets: &[u8], out: &mut dyn FnMut(&str)) {
    for block in octets.chunks(16 * 1024) {
        let text: String = block
            .iter()
            .filter(|octet| **octet != 0)
            .map(|octet| if octet.is_ascii() { char::from(*octet) } else { '\u{fffd}' })
            .collect();
        out(&text);
    }
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
        text_of(octets, &mut |piece| text.push_str(piece))?;
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
}
