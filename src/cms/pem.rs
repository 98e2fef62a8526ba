//! PEM (RFC 7468): blocks of base64 between lines that name them, with whatever text in between.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::cms::error::ImportFault;

/// Blocks in one file: a table of every partner there may be.
const BLOCKS: usize = 500_000;
/// Characters of a line (RFC 7468 §2).
const LINE: usize = 64;
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// One block.
pub struct PemBlock {
    /// What it says it is, such as `CERTIFICATE`.
    pub label: String,
    /// What is in it.
    pub der: Zeroizing<Vec<u8>>,
}

/// Whether there is a block, or the beginning of one.
#[must_use]
pub fn is_pem(octets: &[u8]) -> bool {
    memchr::memmem::find(octets, BEGIN).is_some()
}

/// All blocks, in their order.
///
/// # Errors
/// A block has no end, is no base64, or is locked in the way of RFC 1421, by a key derived with MD5.
pub fn pem_blocks(octets: &[u8]) -> Result<Vec<PemBlock>, ImportFault> {
    let mut blocks = Vec::new();
    let mut lines = octets.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = between(line, BEGIN) else { continue };
        if blocks.len() == BLOCKS {
            return Err(ImportFault::TooMany { what: "blocks of PEM", limit: BLOCKS });
        }
        let mut text = Zeroizing::new(Vec::new());
        loop {
            let line = lines.next().ok_or(ImportFault::Pem)?;
            if let Some(end) = between(line, END) {
                if end != label {
                    return Err(ImportFault::Pem);
                }
                break;
            }
            // Headers of RFC 1421 §4.6, which alone have a colon, are written where the key is locked.
            if line.contains(&b':') {
                if line.starts_with(b"DEK-Info") || line.ends_with(b"ENCRYPTED") {
                    return Err(ImportFault::LegacyKey);
                }
                continue;
            }
            text.extend(line.iter().filter(|octet| !octet.is_ascii_whitespace()));
        }
        let der = Zeroizing::new(STANDARD.decode(&*text).map_err(|_| ImportFault::Pem)?);
        blocks.push(PemBlock { label: String::from_utf8_lossy(label).into_owned(), der });
    }
    Ok(blocks)
}

fn between<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(start)?.strip_suffix(DASHES)
}

/// Writes a block.
#[must_use]
pub fn to_pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    // Room for all, so that nothing is moved and left behind.
    pem.reserve(text.len().saturating_add(text.len() / LINE).saturating_add(2 * LINE));
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = behind;
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use crate::cms::error::ImportFault;
    use crate::cms::pem::{is_pem, pem_blocks, to_pem};

    #[test]
    fn what_is_written_is_read_again_with_text_around_it() {
        let der: Vec<u8> = (0..200).collect();
        let text =
            format!("Bag Attributes\r\n  friendlyName: x\r\n{}", to_pem("CERTIFICATE", &der).replace('\n', "\r\n"));
        let blocks = pem_blocks(text.as_bytes()).unwrap();
        assert!(is_pem(text.as_bytes()));
        assert_eq!(blocks.len(), 1);
        assert_eq!((blocks[0].label.as_str(), &blocks[0].der[..]), ("CERTIFICATE", &der[..]));
    }

    #[test]
    fn blocks_that_do_not_end_or_are_locked_in_the_old_way_are_refused() {
        let read = |text: &str| pem_blocks(text.as_bytes()).map(|_| ());
        assert_eq!(read("-----BEGIN X-----\nAAAA\n"), Err(ImportFault::Pem));
        assert_eq!(read("-----BEGIN X-----\nAAAA\n-----END Y-----\n"), Err(ImportFault::Pem));
        assert_eq!(read("-----BEGIN X-----\n*\n-----END X-----\n"), Err(ImportFault::Pem));
        let old = "-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END X-----\n";
        assert_eq!(read(old), Err(ImportFault::LegacyKey));
        assert!(read("nothing at all").is_ok());
    }
}
