//! Takes a ContentInfo apart as it arrives: the content passes, what stands before and behind it is held.

use der::oid::ObjectIdentifier;

use crate::cms::ber::{Event, Heading, Walker, to_der};
use crate::cms::element::{Element, OID, SEQUENCE, encode};
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::stream::kind::ContentKind;

/// `OCTET STRING`, `SEQUENCE` and `OBJECT IDENTIFIER` as a heading has them.
const OCTET_STRING_NUMBER: u32 = 4;
const SEQUENCE_NUMBER: u32 = 16;
const OID_NUMBER: u32 = 6;

/// Elements that are open while fields of the structure pass: ContentInfo, `[0]`, the structure.
const FIELDS: usize = 3;
/// And while those of EncapsulatedContentInfo or EncryptedContentInfo pass.
const INNER: usize = 4;

/// A part of the whole, in the order in which they come.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// What stands before the content: once, first.
    Before(Before),
    /// Octets of the content: as often as they come, in pieces of any length but none.
    Content(&'a [u8]),
    /// What stands behind the content: once, last.
    Behind(Around),
}

/// What stands before the content.
#[derive(Debug, PartialEq, Eq)]
pub struct Before {
    /// What the ContentInfo holds.
    pub kind: ContentKind,
    /// The fields of its structure that stand before the content's own structure.
    pub fields: Around,
    /// The fields of the content's own structure that stand before the content: its type, for sealed content the cipher.
    pub inner: Around,
    /// Whether there is a content, be it empty; a detached signature has none.
    pub has_content: bool,
}

/// Fields of a structure, put into a SEQUENCE in DER. Octets that came as DER are as they came.
#[derive(Debug, PartialEq, Eq)]
pub struct Around(Vec<u8>);

impl Around {
    fn of(held: &[u8]) -> Result<Self, CmsError> {
        let whole = encode(SEQUENCE, &[held]);
        let der = to_der(&whole)?.into_owned();
        Ok(Self(der))
    }

    /// The SEQUENCE with its heading.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }
}

/// Takes one ContentInfo apart: BER or DER, in pieces of any length. It holds [`limits::HELD_OCTETS`] at most.
#[derive(Debug)]
pub struct Splitter {
    walker: Walker,
    stage: Stage,
    kind: ContentKind,
    /// Octets of the fields that are being held, as they came.
    held: Vec<u8>,
    /// How many of them belong to events that are past: what follows are octets of an unfinished heading.
    settled: usize,
    held_before: usize,
    sequences: usize,
    fields: Vec<u8>,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The ContentInfo.
    Outermost,
    /// Its type.
    Type,
    /// `[0]` around the structure.
    Tag,
    /// The structure.
    Structure,
    /// Fields before the content's own structure.
    Fields,
    /// Fields before the content, or the end of its structure.
    Inner,
    /// The octet string within an explicit tag.
    Explicit,
    /// The content.
    Content,
    /// The ends of what is around the content.
    Closing,
    /// Fields behind.
    Behind,
    /// The ends of the structure and what is around it.
    Ending,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            walker: Walker::default(),
            stage: Stage::Outermost,
            kind: ContentKind::Signed,
            held: Vec::new(),
            settled: 0,
            held_before: 0,
            sequences: 0,
            fields: Vec::new(),
        }
    }
}

impl Splitter {
    /// The next part, taken off the front of `input`; `None` if all of it is taken.
    ///
    /// # Errors
    /// The octets are no ContentInfo of a known kind, break X.690, follow where it has ended, or pass a bound of
    /// [`limits`].
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Part<'a>>, CmsError> {
        loop {
            let there = *input;
            let event = self.walker.next(input)?;
            let taken = there.get(..there.len() - input.len()).unwrap_or_default();
            if self.stage != Stage::Content {
                self.hold(taken)?;
            }
            let Some(event) = event else {
                if !input.is_empty() {
                    let at = self.walker.position();
                    return Err(CmsError::Broken { at, what: "something follows where all has ended" });
                }
                return Ok(None);
            };
            let part = self.step(event)?;
            self.settled = self.held.len();
            if part.is_some() {
                return Ok(part);
            }
        }
    }

    /// Says that the input has ended.
    ///
    /// # Errors
    /// The ContentInfo has not.
    pub fn finish(&self) -> Result<(), CmsError> {
        self.walker.finish()
    }

    fn hold(&mut self, octets: &[u8]) -> Result<(), CmsError> {
        if self.held_before + self.held.len() + octets.len() > limits::HELD_OCTETS {
            return Err(CmsError::TooMany { what: "octets in one structure", limit: limits::HELD_OCTETS });
        }
        self.held.extend_from_slice(octets);
        Ok(())
    }

    /// The heading, or end, that came last is of the frame, and not held.
    fn drop_last(&mut self) {
        self.held.truncate(self.settled);
    }

    /// What was held, without what came last.
    fn take_held(&mut self) -> Vec<u8> {
        self.drop_last();
        self.held_before += self.held.len();
        std::mem::take(&mut self.held)
    }

    fn step<'a>(&mut self, event: Event<'a>) -> Result<Option<Part<'a>>, CmsError> {
        let depth = self.walker.depth();
        match (self.stage, event) {
            (Stage::Outermost, Event::Begin(heading)) => self.enter(heading, Stage::Type),
            (Stage::Type, Event::Begin(heading)) if !heading.is_universal(OID_NUMBER) || heading.constructed => {
                unexpected("a ContentInfo does not begin with its type")
            }
            (Stage::Type, Event::End) => self.content_type(),
            (Stage::Tag, Event::Begin(heading)) if heading.is_context(0) && heading.constructed => {
                self.drop_last();
                self.stage = Stage::Structure;
                Ok(None)
            }
            (Stage::Structure, Event::Begin(heading)) => self.enter(heading, Stage::Fields),
            (Stage::Fields, Event::Begin(heading)) if depth == INNER && is_sequence(&heading) => {
                if self.sequences < self.kind.sequences_before() {
                    self.sequences += 1;
                    return Ok(None);
                }
                self.fields = self.take_held();
                self.stage = Stage::Inner;
                Ok(None)
            }
            (Stage::Inner, Event::Begin(heading)) if depth == INNER + 1 && heading.is_context(0) => {
                self.stage = if self.kind.is_explicit() { Stage::Explicit } else { Stage::Content };
                if self.kind.is_explicit() && !heading.constructed {
                    return unexpected("the content is not within its tag");
                }
                self.before(true).map(Some)
            }
            (Stage::Inner, Event::End) if depth == FIELDS => {
                self.stage = Stage::Behind;
                self.before(false).map(Some)
            }
            (Stage::Explicit, Event::Begin(heading)) if heading.is_universal(OCTET_STRING_NUMBER) => {
                self.drop_last();
                self.stage = Stage::Content;
                Ok(None)
            }
            (Stage::Content, Event::Begin(heading)) if heading.is_universal(OCTET_STRING_NUMBER) => Ok(None),
            (Stage::Content, Event::Octets(octets)) => Ok(Some(Part::Content(octets))),
            (Stage::Content, Event::End) => {
                if depth == if self.kind.is_explicit() { INNER + 1 } else { INNER } {
                    self.stage = Stage::Closing;
                }
                Ok(None)
            }
            (Stage::Closing, Event::End) => {
                self.drop_last();
                if depth == FIELDS {
                    self.stage = Stage::Behind;
                }
                Ok(None)
            }
            (Stage::Behind, Event::End) if depth < FIELDS => {
                self.fields = self.take_held();
                self.stage = Stage::Ending;
                Ok(None)
            }
            (Stage::Ending, Event::End) => {
                self.drop_last();
                if depth > 0 {
                    return Ok(None);
                }
                Around::of(&std::mem::take(&mut self.fields)).map(|behind| Some(Part::Behind(behind)))
            }
            (Stage::Type, _) | (Stage::Behind, _) => Ok(None),
            (Stage::Fields, _) if depth >= FIELDS => Ok(None),
            (Stage::Inner, _) => Ok(None),
            (Stage::Content, Event::Begin(_)) => unexpected("a content has a segment of another type"),
            (
                Stage::Outermost
                | Stage::Tag
                | Stage::Structure
                | Stage::Fields
                | Stage::Explicit
                | Stage::Closing
                | Stage::Ending,
                _,
            ) => unexpected("a ContentInfo has another form than its kind's"),
        }
    }

    fn enter<'a>(&mut self, heading: Heading, stage: Stage) -> Result<Option<Part<'a>>, CmsError> {
        if !is_sequence(&heading) {
            return unexpected("a ContentInfo has another form than its kind's");
        }
        self.drop_last();
        self.stage = stage;
        Ok(None)
    }

    fn content_type<'a>(&mut self) -> Result<Option<Part<'a>>, CmsError> {
        let der = to_der(&self.held)?;
        let identifier = ObjectIdentifier::from_bytes(Element::only(&der, OID)?.content());
        self.kind = ContentKind::of(identifier.map_err(|_| CmsError::Unexpected("a type is no object identifier"))?)?;
        self.held.clear();
        self.stage = Stage::Tag;
        Ok(None)
    }

    fn before<'a>(&mut self, has_content: bool) -> Result<Part<'a>, CmsError> {
        let inner = self.take_held();
        let fields = std::mem::take(&mut self.fields);
        Ok(Part::Before(Before {
            kind: self.kind,
            fields: Around::of(&fields)?,
            inner: Around::of(&inner)?,
            has_content,
        }))
    }
}

fn is_sequence(heading: &Heading) -> bool {
    heading.is_universal(SEQUENCE_NUMBER) && heading.constructed
}

fn unexpected<T>(what: &'static str) -> Result<T, CmsError> {
    Err(CmsError::Unexpected(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Indefinite lengths and a content in segments, one of them nested.
    const STREAMED: &str = "3080 06092a864886f70d010703 a080 3080 020100 3180 0000 \
        3080 06092a864886f70d010701 300d 06092a864886f70d0101010500 a080 0402 6162 2480 0401 63 0400 0000 0000 0000 \
        a103020100 0000 0000 0000";

    fn octets(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// What stands before, the content, what stands behind.
    type Parts = (Option<Before>, Vec<u8>, Option<Around>);

    fn split(whole: &[u8], piece: usize) -> Result<Parts, CmsError> {
        let mut splitter = Splitter::default();
        let (mut before, mut content, mut behind) = (None, Vec::new(), None);
        for mut input in whole.chunks(piece) {
            while let Some(part) = splitter.next(&mut input)? {
                match part {
                    Part::Before(found) => assert!(before.replace(found).is_none() && content.is_empty()),
                    Part::Content(octets) => content.extend_from_slice(octets),
                    Part::Behind(found) => assert!(behind.replace(found).is_none()),
                }
            }
        }
        splitter.finish()?;
        Ok((before, content, behind))
    }

    #[test]
    fn sealed_content_is_split_however_it_arrives() {
        let whole = octets(STREAMED);
        let at_once = split(&whole, whole.len()).unwrap();
        for piece in 1..whole.len() {
            assert_eq!(split(&whole, piece).unwrap(), at_once, "{piece}");
        }
        let (before, content, behind) = at_once;
        let before = before.unwrap();
        assert_eq!((before.kind, before.has_content), (ContentKind::Enveloped, true));
        assert_eq!(before.fields.as_der(), octets("3005 020100 3100"));
        assert_eq!(before.inner.as_der(), octets("301a 06092a864886f70d010701 300d06092a864886f70d0101010500"));
        assert_eq!(content, b"abc");
        assert_eq!(behind.unwrap().as_der(), octets("3005 a103020100"));
    }

    #[test]
    fn signed_and_compressed_content_stands_within_its_tag() {
        let signed =
            octets("3028 06092a864886f70d010702 a01b 3019 020101 3100 3010 06092a864886f70d010701 a003 0401 61 3100");
        let (before, content, behind) = split(&signed, 3).unwrap();
        assert_eq!(before.unwrap().inner.as_der(), octets("300b 06092a864886f70d010701"));
        assert_eq!((&content[..], behind.unwrap().as_der()), (&b"a"[..], &octets("3002 3100")[..]));
        let detached = octets("3023 06092a864886f70d010702 a016 3014 020101 3100 300b 06092a864886f70d010701 3100");
        let (before, content, _) = split(&detached, 3).unwrap();
        assert!(!before.unwrap().has_content && content.is_empty());
        let compressed = octets(
            "3037 060b2a864886f70d0109100109 a028 3026 020100 300d 060b2a864886f70d0109100308 \
             3012 06092a864886f70d010701 a005 0403 787978",
        );
        let (before, content, behind) = split(&compressed, 2).unwrap();
        assert_eq!(before.unwrap().fields.as_der().len(), 2 + 3 + 15);
        assert_eq!((&content[..], behind.unwrap().as_der()), (&b"xyx"[..], &[0x30, 0][..]));
    }

    #[test]
    fn what_is_damaged_or_goes_on_is_refused_without_panic() {
        let whole = octets(STREAMED);
        for cut in 0..whole.len() {
            assert!(split(&whole[..cut], 7).is_err(), "{cut}");
        }
        for at in 0..whole.len() {
            for change in [1, 0x20, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] ^= change;
                let _ = split(&damaged, 5);
            }
        }
        assert!(split(&[&whole[..], &[0]].concat(), 9).is_err());
    }

    #[test]
    fn what_is_held_is_bounded_and_the_content_is_not() {
        let long = encode(4, &[&vec![7; limits::HELD_OCTETS + 1]]);
        let of = |before: &[u8], content: &[u8]| {
            let inner = encode(SEQUENCE, &[&octets("06092a864886f70d010701"), &encode(0x80, &[content])]);
            let structure = encode(SEQUENCE, &[before, &inner]);
            encode(SEQUENCE, &[&octets("06092a864886f70d010703"), &encode(0xa0, &[&structure])])
        };
        assert!(matches!(split(&of(&long, b"a"), 1 << 16), Err(CmsError::TooMany { .. })));
        assert_eq!(split(&of(&[2, 1, 0], &long), 1 << 16).unwrap().1, long);
    }
}
