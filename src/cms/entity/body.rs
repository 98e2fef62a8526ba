//! The body of an entity, decoded as it arrives (RFC 2045 §6).

use crate::cms::entity::kind::EntityFault;
use crate::mail::{Decoder, PartEnd, TransferEncoding};

/// Decodes a body that arrives in pieces. What is damaged is refused, as CMS it would be anyhow.
pub struct BodyDecoder {
    encoding: TransferEncoding,
    decoder: Decoder,
    /// The last octet was a CR, and what follows is not known.
    held_return: bool,
}

impl BodyDecoder {
    /// A body that is written so.
    #[must_use]
    pub fn new(encoding: TransferEncoding) -> Self {
        Self { encoding, decoder: Decoder::new(encoding, false), held_return: false }
    }

    /// The next octets; what they stand for is given to `out`.
    pub fn push(&mut self, octets: &[u8], out: &mut dyn FnMut(&[u8])) {
        if self.encoding == TransferEncoding::Identity {
            return out(octets);
        }
        for piece in octets.split_inclusive(|octet| *octet == b'\n') {
            let line = piece.strip_suffix(b"\n");
            if self.held_return && line != Some(b"") {
                self.decoder.line(b"\r", false, out);
            }
            let text = line.unwrap_or(piece);
            let ends_in_return = text.ends_with(b"\r");
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            self.held_return = ends_in_return && line.is_none();
            self.decoder.line(text, line.is_some(), out);
            if line.is_some() && self.decoder.keeps_line_ends() {
                out(b"\r\n");
            }
        }
    }

    /// The end.
    ///
    /// # Errors
    /// Something could not be decoded.
    pub fn finish(mut self, out: &mut dyn FnMut(&[u8])) -> Result<(), EntityFault> {
        match self.decoder.end(out) {
            PartEnd::Whole => Ok(()),
            PartEnd::Damaged => Err(EntityFault::DamagedEncoding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: TransferEncoding, body: &[u8], piece: usize) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        let mut decoder = BodyDecoder::new(encoding);
        body.chunks(piece).for_each(|octets| decoder.push(octets, &mut |octets| content.extend_from_slice(octets)));
        decoder.finish(&mut |octets| content.extend_from_slice(octets)).ok()?;
        Some(content)
    }

    #[test]
    fn bodies_are_decoded_however_they_arrive() {
        for piece in 1..20 {
            let base64 = decoded(TransferEncoding::Base64, b"SGVq\r\nLCBo\n ZWo=\r\n", piece);
            assert_eq!(base64.as_deref(), Some(&b"Hej, hej"[..]), "{piece}");
            let quoted = decoded(TransferEncoding::QuotedPrintable, b"a=00=\r\n=0D=0Ab  \r\nc", piece);
            assert_eq!(quoted.as_deref(), Some(&b"a\0\r\nb\r\nc"[..]), "{piece}");
            let binary = decoded(TransferEncoding::Identity, b"\n\r\r\n\0", piece);
            assert_eq!(binary.as_deref(), Some(&b"\n\r\r\n\0"[..]), "{piece}");
            assert_eq!(decoded(TransferEncoding::Base64, b"SG-q\r\n", piece), None);
        }
    }
}
