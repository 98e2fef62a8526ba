//! From BER to DER: lengths become definite and short, strings in segments become whole.
//!
//! What a structure's definition alone can tell stays as it is: the order of a SET OF, implicitly tagged strings in
//! segments, defaults that are written out. Strict DER is for whoever reads the result.

use std::borrow::Cow;
use std::ops::Range;

use crate::cms::ber::heading::{Class, Heading};
use crate::cms::ber::walker::{Event, Walker};
use crate::cms::error::CmsError;
use crate::cms::limits;

const BIT_STRING: u32 = 3;
const OCTET_STRING: u32 = 4;
/// The count of unused bits that a bit string in segments begins with when it is whole.
const UNUSED_BITS: [[u8; 1]; 8] = [[0], [1], [2], [3], [4], [5], [6], [7]];

/// The element that `octets` are, in DER; borrowed where it is DER already.
///
/// # Errors
/// The octets are not one whole element of BER, or pass a bound of [`limits`].
pub fn to_der(octets: &[u8]) -> Result<Cow<'_, [u8]>, CmsError> {
    let mut walker = Walker::default();
    let mut rewrite = Rewrite::default();
    let mut rest = octets;
    while let Some(event) = walker.next(&mut rest)? {
        let start = octets.len() - rest.len();
        rewrite.take(event, |contents| start - contents.len())?;
    }
    walker.finish()?;
    if !rest.is_empty() {
        return Err(CmsError::Broken { at: walker.position(), what: "something follows where all has ended" });
    }
    if rewrite.is_changed { Ok(Cow::Owned(rewrite.write(octets)?)) } else { Ok(Cow::Borrowed(octets)) }
}

/// Takes what a [`Walker`] passes and writes it again as DER. The contents of primitive elements lie where the caller
/// keeps them.
#[derive(Debug, Default)]
struct Rewrite {
    elements: Vec<Element>,
    /// Contents of the primitive elements, in order: whose, and where.
    contents: Vec<(usize, Contents)>,
    /// The elements that have not ended; segments of strings are not among them.
    open: Vec<usize>,
    string: Option<Segmented>,
    octets: usize,
    is_changed: bool,
}

#[derive(Debug)]
struct Element {
    heading: Heading,
    around: Option<usize>,
    /// Octets of its contents in DER.
    length: usize,
}

#[derive(Debug)]
enum Contents {
    Kept(Range<usize>),
    Unused(u8),
}

/// A string that comes in segments.
#[derive(Debug)]
struct Segmented {
    /// The universal type of its segments.
    of: u32,
    /// Segments that are open within it.
    depth: usize,
    /// Bits unused in the last segment, once one has begun.
    unused: u8,
    at_start: bool,
    /// Where in `contents` the count of unused bits belongs.
    place: usize,
}

impl Rewrite {
    /// Takes one event. `keep` says where the octets begin in what [`Self::write`] will be given.
    fn take(&mut self, event: Event<'_>, keep: impl FnOnce(&[u8]) -> usize) -> Result<(), CmsError> {
        match event {
            Event::Begin(heading) => self.begin(heading),
            Event::Octets(octets) => {
                let start = keep(octets);
                self.contents(octets, start)
            }
            Event::End => self.end(),
        }
    }

    /// Writes what was taken, with the contents from `kept`.
    fn write(mut self, kept: &[u8]) -> Result<Vec<u8>, CmsError> {
        for index in (0..self.elements.len()).rev() {
            let Some(element) = self.elements.get_mut(index) else { break };
            let Heading { class, number, constructed, .. } = element.heading;
            let length = u64::try_from(element.length).unwrap_or(u64::MAX);
            element.heading = Heading::new(class, number, constructed, length);
            let whole = element.heading.octets.saturating_add(element.length);
            if let Some(around) = element.around.and_then(|around| self.elements.get_mut(around)) {
                around.length = around.length.saturating_add(whole);
            }
        }
        let mut written =
            Vec::with_capacity(self.elements.first().map_or(0, |first| first.length + first.heading.octets));
        let mut contents = self.contents.iter().peekable();
        for (index, element) in self.elements.iter().enumerate() {
            element.heading.write(&mut written);
            while let Some((_, piece)) = contents.next_if(|(whose, _)| *whose == index) {
                let piece = match piece {
                    Contents::Kept(range) => kept.get(range.clone()),
                    Contents::Unused(bits) => UNUSED_BITS.get(usize::from(*bits)).map(|octet| &octet[..]),
                };
                written.extend_from_slice(piece.ok_or(CmsError::Unexpected("contents are not where they were kept"))?);
            }
        }
        Ok(written)
    }

    fn begin(&mut self, heading: Heading) -> Result<(), CmsError> {
        self.is_changed |= !heading.is_der();
        if let Some(string) = &mut self.string {
            if !heading.is_universal(string.of) {
                return Err(CmsError::Unexpected("a string has a segment of another type"));
            }
            if !heading.constructed {
                if string.of == BIT_STRING && string.unused != 0 {
                    return Err(CmsError::Unexpected("a bit string goes on after unused bits"));
                }
                string.at_start = true;
            }
            string.depth += 1;
            return self.count();
        }
        let segments = if heading.constructed { segments_of(&heading) } else { None };
        let index = self.elements.len();
        let kept = Heading { constructed: heading.constructed && segments.is_none(), ..heading };
        self.elements.push(Element { heading: kept, around: self.open.last().copied(), length: 0 });
        self.open.push(index);
        if let Some(of) = segments {
            self.is_changed = true;
            self.string = Some(Segmented { of, depth: 0, unused: 0, at_start: false, place: self.contents.len() });
            if of == BIT_STRING {
                self.add(index, Contents::Unused(0), 1);
            }
        }
        self.count()
    }

    fn contents(&mut self, mut octets: &[u8], mut start: usize) -> Result<(), CmsError> {
        let Some(index) = self.open.last().copied() else { return Ok(()) };
        if let Some(string) = &mut self.string
            && string.of == BIT_STRING
            && string.at_start
            && let Some((unused, rest)) = octets.split_first()
        {
            if *unused > 7 {
                return Err(CmsError::Unexpected("a bit string has more than seven unused bits"));
            }
            (string.unused, string.at_start, octets, start) = (*unused, false, rest, start + 1);
        }
        self.octets = self.octets.saturating_add(octets.len());
        if self.octets > limits::HELD_OCTETS {
            return Err(CmsError::TooMany { what: "octets in one structure", limit: limits::HELD_OCTETS });
        }
        self.add(index, Contents::Kept(start..start + octets.len()), octets.len());
        Ok(())
    }

    fn end(&mut self) -> Result<(), CmsError> {
        if let Some(string) = &mut self.string {
            if string.of == BIT_STRING && string.at_start {
                return Err(CmsError::Unexpected("a bit string lacks the count of unused bits"));
            }
            if string.depth > 0 {
                string.depth -= 1;
                return Ok(());
            }
            if string.of == BIT_STRING
                && let Some((_, place)) = self.contents.get_mut(string.place)
            {
                *place = Contents::Unused(string.unused);
            }
            self.string = None;
        }
        self.open.pop();
        Ok(())
    }

    fn add(&mut self, index: usize, contents: Contents, octets: usize) {
        self.contents.push((index, contents));
        if let Some(element) = self.elements.get_mut(index) {
            element.length += octets;
        }
    }

    /// Bounds what is held: an element costs more here than on the wire.
    fn count(&self) -> Result<(), CmsError> {
        if self.elements.len() + self.contents.len() > limits::ELEMENTS {
            return Err(CmsError::TooMany { what: "elements in one structure", limit: limits::ELEMENTS });
        }
        Ok(())
    }
}

/// The type of the segments that a string of this type is made of, if it is a string (X.690 §8.6.4, 8.7.3, 8.23.6).
fn segments_of(heading: &Heading) -> Option<u32> {
    if heading.class != Class::Universal {
        return None;
    }
    match heading.number {
        BIT_STRING => Some(BIT_STRING),
        OCTET_STRING | 7 | 12 | 18..=28 | 30 => Some(OCTET_STRING),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn der(octets: &[u8]) -> Result<Vec<u8>, CmsError> {
        to_der(octets).map(Cow::into_owned)
    }

    #[test]
    fn der_is_left_as_it_is() {
        let octets = [0x30, 0x08, 0x04, 0x01, 7, 0xa0, 0x03, 0x02, 0x01, 5];
        assert!(matches!(to_der(&octets), Ok(Cow::Borrowed(same)) if same == octets));
    }

    #[test]
    fn lengths_become_definite_and_short() {
        let indefinite = [0x30, 0x80, 0x02, 0x01, 5, 0xa0, 0x80, 0x04, 0x81, 0x01, 9, 0, 0, 0, 0];
        assert_eq!(der(&indefinite), Ok(vec![0x30, 0x08, 0x02, 0x01, 5, 0xa0, 0x03, 0x04, 0x01, 9]));
    }

    #[test]
    fn strings_in_segments_become_whole_however_they_nest() {
        let nested =
            [0x24, 0x80, 0x04, 0x01, 1, 0x24, 0x05, 0x24, 0x03, 0x04, 0x01, 2, 0x24, 0x80, 0, 0, 0x04, 0, 0, 0];
        assert_eq!(der(&nested), Ok(vec![0x04, 0x02, 1, 2]));
        let bits = [0x23, 0x09, 0x03, 0x02, 0, 0xff, 0x03, 0x03, 4, 0xab, 0xc0];
        assert_eq!(der(&bits), Ok(vec![0x03, 0x04, 4, 0xff, 0xab, 0xc0]));
        let text = [0x2c, 0x80, 0x04, 0x01, b'a', 0x04, 0x01, b'b', 0, 0];
        assert_eq!(der(&text), Ok(vec![0x0c, 0x02, b'a', b'b']));
        assert_eq!(der(&[0x24, 0x00]), Ok(vec![0x04, 0x00]));
        assert_eq!(der(&[0x23, 0x00]), Ok(vec![0x03, 0x01, 0x00]));
    }

    #[test]
    fn what_cannot_be_joined_is_refused() {
        for octets in [
            &[0x24, 0x03, 0x02, 0x01, 5][..],                  // a number within a string
            &[0x23, 0x08, 0x03, 0x02, 1, 2, 0x03, 0x02, 0, 1], // bits after unused bits
            &[0x23, 0x02, 0x03, 0x00],                         // no count
            &[0x23, 0x04, 0x03, 0x02, 8, 1],                   // eight unused bits
            &[0x30, 0x03, 0x04, 0x02, 1],                      // beyond its parent
            &[0x30, 0x80, 0x04, 0x01, 1, 0],                   // half an end
            &[0x30, 0x02, 0x00, 0x00],                         // an end that nothing waits for
            &[0x00, 0x00],                                     // the same at the top
            &[0x30, 0x02, 0x30, 0x80, 0x00, 0x00],             // an end outside
            &[0x04, 0x01, 1, 0x04],                            // more follows
            &[],                                               // nothing
        ] {
            assert!(to_der(octets).is_err(), "{octets:x?}");
        }
    }

    #[test]
    fn bombs_are_bounded() {
        let deep = vec![0x30; 1 << 20];
        let deep: Vec<u8> = deep.into_iter().flat_map(|tag| [tag, 0x80]).collect();
        assert!(matches!(to_der(&deep), Err(CmsError::TooMany { .. })));
        let mut many = vec![0x30, 0x80];
        many.extend([0x05, 0x00].repeat(limits::ELEMENTS + 1));
        assert!(matches!(to_der(&many), Err(CmsError::TooMany { .. })));
        let mut segments = vec![0x24, 0x80];
        segments.extend([0x04, 0x01, 1].repeat(limits::ELEMENTS + 1));
        assert!(matches!(to_der(&segments), Err(CmsError::TooMany { .. })));
        let mut long = vec![0x04, 0x84, 0x7f, 0xff, 0xff, 0xff];
        long.extend(vec![0; limits::HELD_OCTETS + 1]);
        assert!(matches!(to_der(&long), Err(CmsError::TooMany { .. })));
    }

    #[test]
    fn every_cut_is_told_as_one() {
        let whole = [0x30, 0x80, 0x24, 0x80, 0x04, 0x82, 0x00, 0x02, 1, 2, 0, 0, 0x30, 0x03, 0x02, 0x01, 1, 0, 0];
        for cut in 0..whole.len() {
            assert_eq!(to_der(&whole[..cut]), Err(CmsError::CutOff(cut as u64)));
        }
    }

    /// An element in some BER, and the same in DER.
    fn element() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let leaf = (prop::collection::vec(any::<u8>(), 0..300), 0_usize..4).prop_map(|(octets, form)| {
            let whole = tlv(0x04, &octets);
            let (front, back) = octets.split_at(octets.len() / 2);
            let segments = [tlv(0x04, front), tlv(0x24, &tlv(0x04, back))].concat();
            let ber = match form {
                0 => whole.clone(),
                1 => tlv(0x24, &segments),
                2 => [&[0x24, 0x80], &segments[..], &[0, 0]].concat(),
                _ => [&[0x04, 0x84], &u32::try_from(octets.len()).unwrap().to_be_bytes()[..], &octets].concat(),
            };
            (ber, whole)
        });
        leaf.prop_recursive(5, 40, 5, |inner| {
            (prop::collection::vec(inner, 0..5), any::<bool>()).prop_map(|(inside, indefinite)| {
                let ber: Vec<u8> = inside.iter().flat_map(|(ber, _)| ber.clone()).collect();
                let der: Vec<u8> = inside.iter().flat_map(|(_, der)| der.clone()).collect();
                let ber = if indefinite { [&[0x30, 0x80], &ber[..], &[0, 0]].concat() } else { tlv(0x30, &ber) };
                (ber, tlv(0x30, &der))
            })
        })
    }

    fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
        let mut octets = vec![tag];
        match u16::try_from(contents.len()).unwrap() {
            short @ 0..0x80 => octets.push(short as u8),
            long @ 0x80..0x100 => octets.extend([0x81, long as u8]),
            long => octets.extend([&[0x82][..], &long.to_be_bytes()].concat()),
        }
        octets.extend(contents);
        octets
    }

    proptest! {
        #[test]
        fn any_ber_becomes_its_der((ber, expected) in element()) {
            prop_assert_eq!(der(&ber), Ok(expected.clone()));
            prop_assert_eq!(der(&expected), Ok(expected));
        }

        #[test]
        fn pieces_make_no_difference((ber, expected) in element(), size in 1_usize..20) {
            let (mut walker, mut rewrite, mut kept) = (Walker::default(), Rewrite::default(), Vec::new());
            for piece in ber.chunks(size) {
                let mut rest = piece;
                while let Some(event) = walker.next(&mut rest)? {
                    let start = kept.len();
                    rewrite.take(event, |octets| { kept.extend(octets); start })?;
                }
            }
            prop_assert!(walker.is_done());
            prop_assert_eq!(rewrite.write(&kept), Ok(expected));
        }

        #[test]
        fn noise_is_answered(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(written) = to_der(&octets) {
                let again = to_der(&written)?;
                prop_assert!(matches!(again, Cow::Borrowed(_)));
            }
        }
    }
}
