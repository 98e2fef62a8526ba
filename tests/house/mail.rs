//! Every message of the corpus through the splitter: in whatever pieces it comes, and against another reader.

use std::fs;
use std::path::{Path, PathBuf};

use mail_parser::{MessageParser, MimeHeaders, PartType};
use sealgate::mail::{Bounce, Disposition, Header, PartEnd, PartHead, PartSink, Splitter, Structure};

/// What a sink was told, and whether it was told in order.
#[derive(Default, Debug, PartialEq, Eq)]
struct Told {
    headers: usize,
    open: bool,
    parts: Vec<(PartHead, Vec<u8>, Option<PartEnd>)>,
}

impl PartSink for Told {
    fn header(&mut self, _header: &Header) {
        assert!(self.headers == 0 && self.parts.is_empty(), "the header comes once and first");
        self.headers += 1;
    }
    fn part(&mut self, head: &PartHead) {
        assert!(self.headers == 1 && !self.open, "a part begins where none is open");
        self.open = true;
        self.parts.push((head.clone(), Vec::new(), None));
    }
    fn octets(&mut self, octets: &[u8]) {
        assert!(self.open, "octets belong to a part");
        self.parts.last_mut().unwrap().1.extend_from_slice(octets);
    }
    fn end(&mut self, end: PartEnd) {
        assert!(self.open, "what ends had begun");
        self.open = false;
        self.parts.last_mut().unwrap().2 = Some(end);
    }
}

fn split(message: &[u8], piece: usize) -> (Told, Structure) {
    let mut told = Told::default();
    let mut splitter = Splitter::new();
    for octets in message.chunks(piece) {
        splitter.push(octets, &mut told);
    }
    let structure = splitter.finish(&mut told);
    assert!(told.headers == 1 && !told.open, "everything ends");
    (told, structure)
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/mime");
    if !root.exists() {
        println!("CORPUS MISSING: mime is not beside the project; its cases do not run");
        return Vec::new();
    }
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| (path.strip_prefix(&root).unwrap().display().to_string(), fs::read(&path).unwrap()))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

#[test]
fn a_message_is_the_same_in_whatever_pieces_it_comes() {
    for (name, message) in corpus() {
        let whole = split(&message, usize::MAX);
        for piece in [1, 3, 4_096] {
            assert!(split(&message, piece) == whole, "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn long_lines_are_the_same_in_whatever_pieces_they_come() {
    for encoding in ["quoted-printable", "base64", "7bit"] {
        for unit in ["=C3=A5 ", "a  \t", "YWJj", "==", "x\r"] {
            let text = unit.repeat(70_000);
            let message = format!(
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{text}\r\n--b--\r\n"
            );
            let whole = split(message.as_bytes(), usize::MAX);
            for piece in [1, 1_000, 65_537] {
                assert!(split(message.as_bytes(), piece) == whole, "{encoding} {unit:?} in pieces of {piece}");
            }
        }
    }
}

/// Leaves as mail-parser reads them, as octets without line ends: it takes some for the boundary's that we keep.
fn other_reader(message: &[u8]) -> Option<Vec<Vec<u8>>> {
    fn leaves(message: &mail_parser::Message<'_>, found: &mut Vec<Vec<u8>>) {
        for part in &message.parts {
            match &part.body {
                PartType::Message(inner) => leaves(inner, found),
                PartType::Multipart(_) => {}
                PartType::Binary(octets) | PartType::InlineBinary(octets) => found.push(squeezed(octets)),
                PartType::Text(text) | PartType::Html(text) => {
                    let charset = part.content_type().and_then(|c| c.attribute("charset")).unwrap_or("us-ascii");
                    // Text comes decoded; only where UTF-8 was sent can octets be compared.
                    let comparable = text.is_ascii() || charset.eq_ignore_ascii_case("utf-8");
                    found.push(if comparable { squeezed(text.as_bytes()) } else { Vec::new() });
                }
            }
        }
    }
    let parsed = MessageParser::default().parse(message)?;
    let mut found = Vec::new();
    leaves(&parsed, &mut found);
    Some(found)
}

fn squeezed(octets: &[u8]) -> Vec<u8> {
    octets.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect()
}

#[test]
fn another_reader_finds_the_same_parts_in_most_messages() {
    let (mut same, mut other, mut odd) = (0, 0, Vec::new());
    for (name, message) in corpus().iter().filter(|(name, _)| !is_no_message(name)) {
        let Some(theirs) = other_reader(message) else { continue };
        let (told, structure) = split(message, usize::MAX);
        let ours: Vec<Vec<u8>> = told
            .parts
            .iter()
            .filter(|(head, ..)| matches!(head.disposition, Disposition::Inline | Disposition::Attachment))
            .map(|(_, octets, _)| squeezed(octets))
            .collect();
        let agree = ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| b.is_empty() || a == b);
        let warned = structure.fault.is_some() || told.parts.iter().any(|(.., end)| *end == Some(PartEnd::Damaged));
        if agree {
            same += 1;
        } else {
            other += 1;
            let how = if warned { "marked as damaged" } else { "SILENT" };
            odd.push(format!("{how}: {name}: {} parts, the other {}", ours.len(), theirs.len()));
        }
    }
    println!("{same} agree, {other} do not:\n{}", odd.join("\n"));
    assert!(same + other == 0 || same * 100 >= (same + other) * 80, "{same} agree, {other} do not");
}

/// Attachments of messages, trees in JSON, licences: in the folder, but no mail.
fn is_no_message(name: &str) -> bool {
    let ends = [".json", ".list", ".tnef", ".doc", ".png", ".jpg", ".ref", ".ref2", ".ref3", ".pdf", ".bz2"];
    name.contains("LICENSE")
        || name.contains("tnef")
        || name.contains("attachments/")
        || ends.iter().any(|end| name.ends_with(end))
}

#[test]
fn real_bounces_are_read() {
    let mut read = 0;
    for (name, message) in corpus() {
        let bounce = Bounce::read(&message);
        if name.contains("delivery-status") && name.ends_with(".txt") || name.starts_with("flanker/bounce/") {
            match bounce {
                Some(bounce) => {
                    read += 1;
                    println!(
                        "{name}: {} recipients, {:?}",
                        bounce.recipients.len(),
                        bounce.recipients.first().map(|r| (r.action, r.status.clone()))
                    );
                }
                None => println!("{name}: no report"),
            }
        }
    }
    println!("{read} read");
}
