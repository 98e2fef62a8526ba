//! Compressed content (RFC 3274), read within bounds: a few octets can stand for very many.

use flate2::{Decompress, FlushDecompress, Status};

use crate::cms::element::{Element, INTEGER, OID, SEQUENCE};
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::oid;
use crate::cms::stream::{Before, ContentKind, Part, Splitter};

/// Octets decompressed at a time, and those for which no ratio is asked.
const PIECE: usize = 64 * 1024;

/// Reads CompressedData that arrives in pieces.
pub struct Decompressor {
    splitter: Splitter,
    inflate: Decompress,
    piece: Vec<u8>,
    limit: u64,
    has_ended: bool,
}

impl Decompressor {
    /// One that gives so many octets at most.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let (splitter, inflate) = (Splitter::default(), Decompress::new(true));
        Self { splitter, inflate, piece: vec![0; PIECE], limit, has_ended: false }
    }

    /// The next octets; what they decompress to is given to `content`.
    ///
    /// # Errors
    /// They are no CompressedData by zlib, are damaged, or stand for more than the limit or than
    /// [`limits::DECOMPRESSION_RATIO`] allows.
    pub fn push(&mut self, octets: &[u8], content: &mut dyn FnMut(&[u8])) -> Result<(), CmsError> {
        let mut input = octets;
        while let Some(part) = self.splitter.next(&mut input)? {
            match part {
                Part::Before(before) => check(&before)?,
                Part::Content(octets) => self.inflate(octets, content)?,
                Part::Behind(_) => {}
            }
        }
        Ok(())
    }

    /// The end.
    ///
    /// # Errors
    /// It was cut off.
    pub fn finish(self) -> Result<(), CmsError> {
        self.splitter.finish()?;
        if self.has_ended { Ok(()) } else { Err(CmsError::Unexpected("a compressed content that is cut off")) }
    }

    fn inflate(&mut self, mut octets: &[u8], content: &mut dyn FnMut(&[u8])) -> Result<(), CmsError> {
        const DAMAGED: CmsError = CmsError::Unexpected("a compressed content that is damaged");
        loop {
            if self.has_ended {
                return if octets.is_empty() { Ok(()) } else { Err(DAMAGED) };
            }
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(octets, &mut self.piece, FlushDecompress::None);
            self.has_ended = status.map_err(|_| DAMAGED)? == Status::StreamEnd;
            let taken = usize::try_from(self.inflate.total_in() - read).unwrap_or(usize::MAX);
            let given = usize::try_from(self.inflate.total_out() - written).unwrap_or(usize::MAX);
            self.check_bounds()?;
            content(self.piece.get(..given).unwrap_or_default());
            octets = octets.get(taken..).unwrap_or_default();
            if taken == 0 && given == 0 {
                return if octets.is_empty() { Ok(()) } else { Err(DAMAGED) };
            }
        }
    }

    fn check_bounds(&self) -> Result<(), CmsError> {
        let written = self.inflate.total_out();
        let first = u64::try_from(PIECE).unwrap_or(u64::MAX);
        let allowed = self.inflate.total_in().saturating_mul(limits::DECOMPRESSION_RATIO).saturating_add(first);
        if written > self.limit || written > allowed {
            return Err(CmsError::Unexpected("a compressed content that stands for too much"));
        }
        Ok(())
    }
}

/// CompressedData, RFC 3274 §1.1, whose algorithm is zlib (§2): its parameters are absent, and NULL is read.
fn check(before: &Before) -> Result<(), CmsError> {
    if before.kind != ContentKind::Compressed || !before.has_content {
        return Err(CmsError::Unexpected("no compressed content"));
    }
    let mut fields = Element::only(before.fields.as_der(), SEQUENCE)?.fields();
    fields.take(INTEGER)?;
    let mut algorithm = fields.take(SEQUENCE)?.fields();
    fields.end()?;
    if algorithm.take(OID)?.content() != oid::ZLIB_COMPRESSION.as_bytes() {
        return Err(CmsError::Unexpected("a content compressed by other means than zlib"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;
    use crate::cms::element::{OCTET_STRING, constructed, encode};

    fn compressed(content: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        let octets = encode(OCTET_STRING, &[&encoder.finish().unwrap()]);
        let of = |id: der::oid::ObjectIdentifier| encode(OID, &[id.as_bytes()]);
        let inner = encode(SEQUENCE, &[&of(oid::DATA), &encode(constructed(0), &[&octets])]);
        let algorithm = encode(SEQUENCE, &[&of(oid::ZLIB_COMPRESSION)]);
        let structure = encode(SEQUENCE, &[&encode(INTEGER, &[&[0]]), &algorithm, &inner]);
        encode(SEQUENCE, &[&of(ContentKind::Compressed.oid()), &encode(constructed(0), &[&structure])])
    }

    fn read(octets: &[u8], limit: u64, piece: usize) -> Result<Vec<u8>, CmsError> {
        let mut content = Vec::new();
        let mut reader = Decompressor::new(limit);
        for octets in octets.chunks(piece) {
            reader.push(octets, &mut |octets| content.extend_from_slice(octets))?;
        }
        reader.finish().map(|()| content)
    }

    #[test]
    fn content_is_decompressed_however_it_arrives() {
        let content: Vec<u8> = (0..300_000_u32).flat_map(|at| at.wrapping_mul(at).to_le_bytes()).collect();
        let whole = compressed(&content);
        for piece in [1, 7, 1000, whole.len()] {
            assert!(read(&whole, 10_000_000, piece).unwrap() == content, "{piece}");
        }
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            assert!(read(&whole[..cut], 10_000_000, 1000).is_err());
        }
    }

    #[test]
    fn what_stands_for_too_much_is_refused() {
        assert!(read(&compressed(&[0; 5_000_000]), 10_000_000, 1000).is_err());
        let varied: Vec<u8> = (0..100_000_u32).flat_map(|at| at.wrapping_mul(at).to_le_bytes()).collect();
        assert!(read(&compressed(&varied), 399_999, 1000).is_err());
        assert!(read(&compressed(&varied), 400_000, 1000).is_ok());
    }

    #[test]
    fn damage_is_refused_without_panic() {
        let whole = compressed(b"Hej, hej, hej!");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let _ = read(&damaged, 1000, 5);
        }
    }
}
