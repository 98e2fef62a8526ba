//! Content transfer encodings, decoded line by line (RFC 2045 §6).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding may be missing at the end, and the last bits may be anything: programs write both.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// Octets of base 64 decoded at a time.
const BLOCK: usize = 4 * 1024;
/// Octets of blanks held back at the end of a piece of a line, twice.
const PIECE: usize = 64 * 1024;

/// How a part's octets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEncoding {
    /// As they are: `7bit`, `8bit`, `binary`, or anything unknown.
    Identity,
    /// Base 64.
    Base64,
    /// Quoted-printable.
    QuotedPrintable,
}

/// How a part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartEnd {
    /// Everything could be decoded.
    Whole,
    /// Something could not and was given as it stood, or it was cut off, or other readers may see something else in it.
    Damaged,
}

/// A part being decoded.
pub(crate) struct Decoder {
    encoding: TransferEncoding,
    pending: Vec<u8>,
    damaged: bool,
    /// The last line of quoted-printable goes on in the next.
    soft_break: bool,
}

impl Decoder {
    pub(crate) fn new(encoding: TransferEncoding, is_doubtful: bool) -> Self {
        Self { encoding, pending: Vec::new(), damaged: is_doubtful, soft_break: false }
    }

    /// Readers will disagree about what came.
    pub(crate) fn doubt(&mut self) {
        self.damaged = true;
    }

    /// Whether the line end behind the last line is part of the content.
    pub(crate) fn keeps_line_ends(&self) -> bool {
        match self.encoding {
            TransferEncoding::Identity => true,
            TransferEncoding::Base64 => false,
            TransferEncoding::QuotedPrintable => !self.soft_break,
        }
    }

    /// Decodes a line without its end, or a piece of a line whose rest comes later.
    pub(crate) fn line(&mut self, line: &[u8], complete: bool, out: &mut dyn FnMut(&[u8])) {
        match self.encoding {
            TransferEncoding::Identity => out(line),
            TransferEncoding::Base64 => {
                self.pending.extend(line.iter().filter(|octet| !octet.is_ascii_whitespace()));
                if self.pending.len() >= BLOCK {
                    self.decode_block(out);
                }
            }
            TransferEncoding::QuotedPrintable => self.quoted_piece(line, complete, out),
        }
    }

    /// Decodes what is left.
    pub(crate) fn end(&mut self, out: &mut dyn FnMut(&[u8])) -> PartEnd {
        let rest = std::mem::take(&mut self.pending);
        match self.encoding {
            TransferEncoding::Identity | TransferEncoding::Base64 => self.decode(&rest, out),
            TransferEncoding::QuotedPrintable => self.quoted_line(&rest, out),
        }
        if self.damaged { PartEnd::Damaged } else { PartEnd::Whole }
    }

    fn decode_block(&mut self, out: &mut dyn FnMut(&[u8])) {
        let whole = self.pending.len() / 4 * 4;
        let rest = self.pending.split_off(whole);
        let block = std::mem::replace(&mut self.pending, rest);
        self.decode(&block, out);
    }

    fn decode(&mut self, block: &[u8], out: &mut dyn FnMut(&[u8])) {
        if block.is_empty() {
            return;
        }
        if let Ok(octets) = LENIENT.decode(block) {
            return out(&octets);
        }
        // Four by four: padding in the middle (parts put together) decodes, and what does not is shown as it stands.
        for four in block.chunks(4) {
            match LENIENT.decode(four) {
                Ok(octets) => out(&octets),
                Err(_) => {
                    self.damaged = true;
                    out(four);
                }
            }
        }
    }

    /// A line may come in pieces: what could be cut in two, or be blanks at its end, waits for the next piece.
    fn quoted_piece(&mut self, piece: &[u8], complete: bool, out: &mut dyn FnMut(&[u8])) {
        if complete && self.pending.is_empty() {
            return self.quoted_line(piece, out);
        }
        self.pending.extend_from_slice(piece);
        let line = std::mem::take(&mut self.pending);
        if complete {
            return self.quoted_line(&line, out);
        }
        let text = line.trim_ascii_end();
        let tail = text.iter().rev().take(2).position(|octet| *octet == b'=').map_or(0, |back| back + 1);
        let safe = if line.len() > 2 * PIECE { line.len() } else { text.len() - tail };
        let (now, later) = line.split_at(safe);
        self.quoted_text(now, out);
        self.pending = later.to_vec();
    }

    fn quoted_line(&mut self, line: &[u8], out: &mut dyn FnMut(&[u8])) {
        let line = line.trim_ascii_end();
        let (line, soft) = line.strip_suffix(b"=").map_or((line, false), |line| (line, true));
        self.soft_break = soft;
        self.quoted_text(line, out);
    }

    fn quoted_text(&mut self, text: &[u8], out: &mut dyn FnMut(&[u8])) {
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'=', rest) {
            let (plain, quoted) = rest.split_at(at);
            out(plain);
            match quoted.get(1..3).and_then(octet) {
                Some(octet) => {
                    out(&[octet]);
                    rest = quoted.get(3..).unwrap_or_default();
                }
                None => {
                    self.damaged = true;
                    out(b"=");
                    rest = quoted.get(1..).unwrap_or_default();
                }
            }
        }
        out(rest);
    }
}

fn octet(hex: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}
