//! Writes a ContentInfo whose content comes in pieces.

use crate::cms::ber::{Class, Heading};
use crate::cms::element::{OID, encode};
use crate::cms::stream::kind::ContentKind;

/// Octets of a segment, where a content is written in segments.
pub const SEGMENT_OCTETS: usize = 64 * 1024;

const OCTET_STRING_NUMBER: u32 = 4;

/// Writes a ContentInfo: DER where the lengths are known beforehand, else with indefinite lengths around a content in
/// segments (X.690 §8.1.3.6). What it writes it appends to the buffer that each call is given.
#[derive(Debug)]
pub struct ContentWriter {
    ends: &'static [u8],
    /// A segment that is not full; `None` where the content is written as it comes.
    segment: Option<Vec<u8>>,
}

/// How deep what has no length nests: ContentInfo, its tag, the structure; the content's structure, its tag, the string.
const ENDS: [u8; 6] = [0; 6];

impl ContentWriter {
    /// Begins with what stands before the content: the DER of the structure's fields, and of those in the content's own
    /// structure. The content will have indefinite length.
    #[must_use]
    pub fn segmented(kind: ContentKind, fields: &[u8], inner: &[u8], out: &mut Vec<u8>) -> Self {
        let open = |class, number| Heading { class, number, constructed: true, length: None, octets: 2 };
        open(Class::Universal, 16).write(out);
        out.extend_from_slice(&oid(kind));
        open(Class::Context, 0).write(out);
        open(Class::Universal, 16).write(out);
        out.extend_from_slice(fields);
        open(Class::Universal, 16).write(out);
        out.extend_from_slice(inner);
        open(Class::Context, 0).write(out);
        if kind.is_explicit() {
            open(Class::Universal, OCTET_STRING_NUMBER).write(out);
        }
        let ends: &[u8] = if kind.is_explicit() { &[0; 6] } else { &[0; 4] };
        Self { ends, segment: Some(Vec::with_capacity(SEGMENT_OCTETS)) }
    }

    /// As [`Self::segmented`], in DER: the content will have so many octets, and what follows it in the structure so
    /// many.
    #[must_use]
    pub fn definite(
        kind: ContentKind,
        fields: &[u8],
        inner: &[u8],
        content: u64,
        behind: u64,
        out: &mut Vec<u8>,
    ) -> Self {
        let around = |class, number, length: u64| Heading::new(class, number, true, length);
        let size = |octets: usize| u64::try_from(octets).unwrap_or(u64::MAX);
        let whole = |heading: &Heading| size(heading.octets).saturating_add(heading.length.unwrap_or(0));
        let mut innermost = vec![if kind.is_explicit() {
            Heading::new(Class::Universal, OCTET_STRING_NUMBER, false, content)
        } else {
            Heading::new(Class::Context, 0, false, content)
        }];
        if let (true, Some(string)) = (kind.is_explicit(), innermost.first()) {
            innermost.insert(0, around(Class::Context, 0, whole(string)));
        }
        let tagged = innermost.first().map_or(0, whole);
        let info = around(Class::Universal, 16, size(inner.len()).saturating_add(tagged));
        let length = size(fields.len()).saturating_add(whole(&info)).saturating_add(behind);
        let structure = around(Class::Universal, 16, length);
        let tag = around(Class::Context, 0, whole(&structure));
        let content_type = oid(kind);
        around(Class::Universal, 16, size(content_type.len()).saturating_add(whole(&tag))).write(out);
        out.extend_from_slice(&content_type);
        tag.write(out);
        structure.write(out);
        out.extend_from_slice(fields);
        info.write(out);
        out.extend_from_slice(inner);
        innermost.iter().for_each(|heading| heading.write(out));
        Self { ends: &[], segment: None }
    }

    /// Writes octets of the content.
    pub fn content(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        let Some(segment) = &mut self.segment else {
            out.extend_from_slice(octets);
            return;
        };
        while !octets.is_empty() {
            let (taken, rest) = octets.split_at(octets.len().min(SEGMENT_OCTETS - segment.len()));
            segment.extend_from_slice(taken);
            octets = rest;
            if segment.len() == SEGMENT_OCTETS {
                write_segment(segment, out);
            }
        }
    }

    /// Ends the content and writes what follows it, the DER of the structure's further fields.
    pub fn finish(mut self, behind: &[u8], out: &mut Vec<u8>) {
        if let Some(segment) = self.segment.as_mut().filter(|segment| !segment.is_empty()) {
            write_segment(segment, out);
        }
        out.extend_from_slice(self.ends);
        out.extend_from_slice(behind);
        if self.segment.is_some() {
            out.extend_from_slice(&ENDS);
        }
    }
}

fn write_segment(segment: &mut Vec<u8>, out: &mut Vec<u8>) {
    let length = u64::try_from(segment.len()).unwrap_or(u64::MAX);
    Heading::new(Class::Universal, OCTET_STRING_NUMBER, false, length).write(out);
    out.append(segment);
}

fn oid(kind: ContentKind) -> Vec<u8> {
    encode(OID, &[kind.oid().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::ber::to_der;
    use crate::cms::stream::splitter::{Part, Splitter};

    fn written(kind: ContentKind, content: &[u8], is_definite: bool) -> Vec<u8> {
        let (fields, inner, behind) = ([2, 1, 0], encode(6, &[&[42, 3]]), [0x31, 0]);
        let mut out = Vec::new();
        let mut writer = if is_definite {
            let length = u64::try_from(content.len()).unwrap();
            ContentWriter::definite(kind, &fields, &inner, length, 2, &mut out)
        } else {
            ContentWriter::segmented(kind, &fields, &inner, &mut out)
        };
        content.chunks(1000).for_each(|piece| writer.content(piece, &mut out));
        writer.finish(&behind, &mut out);
        out
    }

    #[test]
    fn what_is_written_is_split_again() {
        for kind in [ContentKind::Signed, ContentKind::Enveloped, ContentKind::AuthEnveloped] {
            for length in [0, 1, 127, 128, SEGMENT_OCTETS - 1, SEGMENT_OCTETS, 3 * SEGMENT_OCTETS + 5] {
                let content: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0]).collect();
                for is_definite in [true, false] {
                    let whole = written(kind, &content, is_definite);
                    assert_eq!(matches!(to_der(&whole), Ok(std::borrow::Cow::Borrowed(_))), is_definite);
                    let (mut input, mut splitter, mut found) = (&whole[..], Splitter::default(), Vec::new());
                    while let Some(part) = splitter.next(&mut input).unwrap() {
                        match part {
                            Part::Before(before) => assert_eq!((before.kind, before.has_content), (kind, true)),
                            Part::Content(octets) => found.extend_from_slice(octets),
                            Part::Behind(behind) => assert_eq!(behind.as_der(), [0x30, 2, 0x31, 0]),
                        }
                    }
                    splitter.finish().unwrap();
                    assert!(found == content, "{kind:?} {length} {is_definite}");
                }
            }
        }
    }
}
