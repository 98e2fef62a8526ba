//! A signed entity in two parts, RFC 1847 §2.1: what is signed, and the signature.

use crate::cms::certificate::Certificate;
use crate::cms::entity::body::BodyDecoder;
use crate::cms::entity::kind::{EntityFault, is_signature};
use crate::cms::public_key::Strictness;
use crate::cms::signed::{ContentDigests, Digested, SignedData, SignedFault, SignedReader, SignerReport};
use crate::mail::{Header, PartHead};

/// Octets of a line that are looked at together; longer lines come in pieces.
const LINE_OCTETS: usize = 64 * 1024;
/// Octets of the header of the signature.
const HEADER_OCTETS: usize = 64 * 1024;

/// Takes the body of a `multipart/signed` apart as it arrives. It holds a line of the content, and the signature.
pub struct SignedMultipart {
    delimiter: Vec<u8>,
    stage: Stage,
    digests: ContentDigests,
    /// The start of a line whose end has not come.
    line: Vec<u8>,
    /// The rest of a line that was too long to be looked at whole.
    within_line: bool,
    /// The line end before the next line: it belongs to the delimiter, if one follows (RFC 2046 §5.1.1).
    held_end: &'static [u8],
    header: Vec<u8>,
    signature: Option<SignatureBody>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Preamble,
    Content,
    SignatureHeader,
    Signature,
    Epilogue,
}

struct SignatureBody {
    decoder: BodyDecoder,
    reader: SignedReader,
    fault: Option<EntityFault>,
}

/// The signature of a content that has passed.
#[derive(Debug)]
pub struct DetachedSignature {
    /// What was signed.
    pub content: Digested,
    /// The signature.
    pub data: SignedData,
}

impl DetachedSignature {
    /// What is found of each signer. `others` are certificates beside those it carries.
    ///
    /// # Errors
    /// Nobody signed, or the signature has a content of its own.
    pub fn verify(&self, others: &[Certificate], strictness: Strictness) -> Result<Vec<SignerReport>, SignedFault> {
        self.data.verify_detached(&self.content, others, strictness)
    }
}

impl SignedMultipart {
    /// A body with this boundary, of whose content the announced digests are taken.
    #[must_use]
    pub fn new(boundary: &[u8], micalg: &str) -> Self {
        Self {
            delimiter: [b"--", boundary.trim_ascii_end()].concat(),
            stage: Stage::Preamble,
            digests: ContentDigests::announced(micalg),
            line: Vec::new(),
            within_line: false,
            held_end: b"",
            header: Vec::new(),
            signature: None,
        }
    }

    /// The next octets of the body. Those that are signed, header and all, are given to `content` in their canonical form:
    /// lines ended by CRLF (RFC 8551 §3.1.1). What stands before and behind the parts is nobody's, and passed over.
    ///
    /// # Errors
    /// There are more parts than two, or the second is no signature.
    pub fn push(&mut self, mut octets: &[u8], content: &mut dyn FnMut(&[u8])) -> Result<(), EntityFault> {
        while !octets.is_empty() {
            let end = memchr::memchr(b'\n', octets).map(|end| end + 1);
            let room = LINE_OCTETS - self.line.len();
            let (piece, rest) = octets.split_at(end.unwrap_or(octets.len()).min(room));
            octets = rest;
            if self.line.is_empty() && piece.ends_with(b"\n") {
                self.piece(piece, content)?;
                continue;
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.line.len() >= LINE_OCTETS {
                let mut line = std::mem::take(&mut self.line);
                // A CR at the end may be half a line end.
                let is_half = line.ends_with(b"\r") && line.len() > 1;
                if is_half {
                    line.pop();
                    self.line.push(b'\r');
                }
                self.piece(&line, content)?;
            }
        }
        Ok(())
    }

    /// The end of the body.
    ///
    /// # Errors
    /// It has not two parts, is cut off, or its second part is no SignedData.
    pub fn finish(mut self, content: &mut dyn FnMut(&[u8])) -> Result<DetachedSignature, EntityFault> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.piece(&line, content)?;
        }
        match self.stage {
            Stage::Preamble | Stage::Content => return Err(EntityFault::NotTwoParts),
            Stage::SignatureHeader | Stage::Signature => return Err(EntityFault::CutOff),
            Stage::Epilogue => {}
        }
        let signature = self.signature.ok_or(EntityFault::NoSignature)?;
        Ok(DetachedSignature { content: self.digests.finish(), data: signature.finish()? })
    }

    /// A whole line with its end, or a piece of one that is too long.
    fn piece(&mut self, line: &[u8], content: &mut dyn FnMut(&[u8])) -> Result<(), EntityFault> {
        let continues = std::mem::replace(&mut self.within_line, !line.ends_with(b"\n"));
        if !continues && let Some(is_last) = self.delimits(line) {
            return self.at_delimiter(is_last);
        }
        let (text, end) = split_end(line);
        match self.stage {
            Stage::Preamble | Stage::Epilogue => {}
            Stage::Content => {
                let held = std::mem::take(&mut self.held_end);
                for octets in [held, text].into_iter().filter(|octets| !octets.is_empty()) {
                    self.digests.push(octets);
                    content(octets);
                }
                self.held_end = if end.is_empty() { b"" } else { b"\r\n" };
            }
            Stage::SignatureHeader if text.is_empty() && !continues => self.begin_signature()?,
            Stage::SignatureHeader => {
                if self.header.len() + line.len() > HEADER_OCTETS {
                    return Err(EntityFault::HeaderTooLong);
                }
                self.header.extend_from_slice(line);
            }
            Stage::Signature => {
                let held = std::mem::take(&mut self.held_end);
                if let Some(signature) = &mut self.signature {
                    signature.push(held);
                    signature.push(text);
                }
                self.held_end = end;
            }
        }
        Ok(())
    }

    /// Whether the line divides the parts, or ends them.
    fn delimits(&self, line: &[u8]) -> Option<bool> {
        let rest = split_end(line).0.strip_prefix(self.delimiter.as_slice())?;
        match rest.trim_ascii_end() {
            b"" => Some(false),
            b"--" => Some(true),
            _ => None,
        }
    }

    fn at_delimiter(&mut self, is_last: bool) -> Result<(), EntityFault> {
        self.held_end = b"";
        self.stage = match (self.stage, is_last) {
            (Stage::Preamble, false) => Stage::Content,
            (Stage::Content, false) => Stage::SignatureHeader,
            (Stage::Signature, true) => Stage::Epilogue,
            (Stage::SignatureHeader, _) => return Err(EntityFault::NoSignature),
            (Stage::Preamble | Stage::Content, true) | (Stage::Signature, false) | (Stage::Epilogue, _) => {
                return Err(EntityFault::NotTwoParts);
            }
        };
        Ok(())
    }

    fn begin_signature(&mut self) -> Result<(), EntityFault> {
        let header = Header::new(std::mem::take(&mut self.header));
        if ["Content-Type", "Content-Transfer-Encoding"].iter().any(|name| header.all(name).count() > 1) {
            return Err(EntityFault::Ambiguous);
        }
        let head = PartHead::of(&header, 1, false);
        if !is_signature(&head.media_type) {
            return Err(EntityFault::NoSignature);
        }
        let (decoder, reader) = (BodyDecoder::new(head.encoding), SignedReader::default());
        self.signature = Some(SignatureBody { decoder, reader, fault: None });
        self.stage = Stage::Signature;
        Ok(())
    }
}

impl SignatureBody {
    fn push(&mut self, octets: &[u8]) {
        let Self { decoder, reader, fault } = self;
        decoder.push(octets, &mut |octets| feed(reader, fault, octets));
    }

    fn finish(self) -> Result<SignedData, EntityFault> {
        let Self { decoder, mut reader, mut fault } = self;
        let decoded = decoder.finish(&mut |octets| feed(&mut reader, &mut fault, octets));
        fault.map_or(Ok(()), Err)?;
        decoded?;
        Ok(reader.finish()?)
    }
}

fn feed(reader: &mut SignedReader, fault: &mut Option<EntityFault>, octets: &[u8]) {
    if fault.is_none() {
        *fault = reader.push(octets, &mut |_| {}).err().map(EntityFault::Cms);
    }
}

fn split_end(line: &[u8]) -> (&[u8], &'static [u8]) {
    match line {
        [text @ .., b'\r', b'\n'] => (text, b"\r\n"),
        [text @ .., b'\n'] => (text, b"\n"),
        text => (text, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &str = "Content-Type: application/pkcs7-signature\r\n\r\n";

    /// The content, whatever becomes of the signature, and the fault.
    fn split(body: &str, piece: usize) -> (Vec<u8>, Option<EntityFault>) {
        let mut content = Vec::new();
        let mut multipart = SignedMultipart::new(b"b", "sha-256");
        for octets in body.as_bytes().chunks(piece) {
            if let Err(fault) = multipart.push(octets, &mut |octets| content.extend_from_slice(octets)) {
                return (content, Some(fault));
            }
        }
        let fault = multipart.finish(&mut |octets| content.extend_from_slice(octets)).err();
        (content, fault)
    }

    #[test]
    fn the_line_end_before_a_delimiter_belongs_to_it() {
        for (content, expected) in [
            ("A: b\r\n\r\ntext", "A: b\r\n\r\ntext"),
            ("A: b\r\n\r\ntext\r\n", "A: b\r\n\r\ntext\r\n"),
            ("A: b\n\ntext\n\n", "A: b\r\n\r\ntext\r\n\r\n"),
            ("--b2\r\n--bc\r\n --b\r\nx--b\r\r\n", "--b2\r\n--bc\r\n --b\r\nx--b\r\r\n"),
            ("", ""),
        ] {
            let body = format!("to nobody\r\n--b \t\r\n{content}\r\n--b\r\n{SIGNATURE}\r\n--b--\r\nto nobody");
            for piece in 1..body.len() {
                let (found, fault) = split(&body, piece);
                assert_eq!(String::from_utf8(found).unwrap(), expected, "{piece}");
                assert!(matches!(fault, Some(EntityFault::Cms(_))), "{fault:?}");
            }
        }
    }

    #[test]
    fn long_lines_pass() {
        for length in LINE_OCTETS - 3..LINE_OCTETS + 3 {
            let long = "x".repeat(length);
            let body = format!("--b\r\n{long}\r\n{long}\r\n--b\r\n{SIGNATURE}--b--");
            for piece in [1_000, 70_000, body.len()] {
                assert!(split(&body, piece).0 == format!("{long}\r\n{long}").into_bytes(), "{length} {piece}");
            }
        }
    }

    #[test]
    fn other_numbers_of_parts_than_two_are_refused() {
        for (body, expected) in [
            ("".to_owned(), EntityFault::NotTwoParts),
            ("--b--\r\n".to_owned(), EntityFault::NotTwoParts),
            ("--b\r\nx\r\n".to_owned(), EntityFault::NotTwoParts),
            ("--b\r\nx\r\n--b--\r\n".to_owned(), EntityFault::NotTwoParts),
            (format!("--b\r\nx\r\n--b\r\n{SIGNATURE}\r\n--b\r\n\r\ny\r\n--b--\r\n"), EntityFault::NotTwoParts),
            (format!("--b\r\nx\r\n--b\r\n{SIGNATURE}\r\n--b--\r\n--b\r\n\r\ny\r\n--b--\r\n"), EntityFault::NotTwoParts),
            (format!("--b\r\nx\r\n--b\r\n{SIGNATURE}MAo"), EntityFault::CutOff),
            ("--b\r\nx\r\n--b\r\n--b--".to_owned(), EntityFault::NoSignature),
            ("--b\r\nx\r\n--b\r\nContent-Type: text/plain\r\n\r\n\r\n--b--".to_owned(), EntityFault::NoSignature),
            (format!("--b\r\nx\r\n--b\r\nContent-Type: text/plain\r\n{SIGNATURE}\r\n--b--"), EntityFault::Ambiguous),
        ] {
            for piece in [1, 5, 1_000] {
                assert_eq!(split(&body, piece).1, Some(expected.clone()), "{body}");
            }
        }
    }
}
