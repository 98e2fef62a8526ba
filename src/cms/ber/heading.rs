//! Identifier and length of an element, X.690 §8.1.2 and 8.1.3.

use crate::cms::error::CmsError;

/// Octets of the longest heading we read: an identifier of five, a length of nine.
pub(crate) const LONGEST: usize = 14;

/// The class of a tag, X.690 table 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Types of ASN.1 itself.
    Universal,
    /// Types of an application.
    Application,
    /// Fields of a structure, `[0]` and its like.
    Context,
    /// Types of a house.
    Private,
}

/// What stands before an element's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading {
    /// The tag's class.
    pub class: Class,
    /// The tag's number.
    pub number: u32,
    /// Whether the contents are elements.
    pub constructed: bool,
    /// Octets of the contents; `None` if their end is marked (the indefinite form).
    pub length: Option<u64>,
    /// Octets of the heading itself.
    pub octets: usize,
}

impl Heading {
    /// A heading of definite length, in the fewest octets.
    pub(crate) fn new(class: Class, number: u32, constructed: bool, length: u64) -> Self {
        let mut heading = Self { class, number, constructed, length: Some(length), octets: 0 };
        let mut written = Vec::with_capacity(LONGEST);
        heading.write(&mut written);
        heading.octets = written.len();
        heading
    }

    /// Reads from the front of `octets`; `None` if they end before the heading does. `at` counts what came before, for
    /// the fault.
    pub(crate) fn read(octets: &[u8], at: u64) -> Result<Option<Self>, CmsError> {
        let broken = |what| Err(CmsError::Broken { at, what });
        let mut rest = octets.iter().copied();
        let Some(first) = rest.next() else { return Ok(None) };
        let mut number = u32::from(first & 0x1f);
        if number == 0x1f {
            number = 0;
            loop {
                let Some(octet) = rest.next() else { return Ok(None) };
                if number == 0 && octet == 0x80 || number >= 1 << 21 {
                    return broken("a tag has no number that we read");
                }
                number = number << 7 | u32::from(octet & 0x7f);
                if octet & 0x80 == 0 {
                    break;
                }
            }
            if number < 0x1f {
                return broken("a small tag number is written in the long form");
            }
        }
        let Some(length) = rest.next() else { return Ok(None) };
        let length = match length {
            0x80 => None,
            0xff => return broken("a length begins with the octet that is reserved"),
            short if short < 0x80 => Some(u64::from(short)),
            long => {
                let mut length = 0_u64;
                for _ in 0..long & 0x7f {
                    let Some(octet) = rest.next() else {
                        return if octets.len() < LONGEST { Ok(None) } else { broken("a length is too long") };
                    };
                    if length >> 55 != 0 {
                        return broken("a length is too long");
                    }
                    length = length << 8 | u64::from(octet);
                }
                Some(length)
            }
        };
        let constructed = first & 0x20 != 0;
        if length.is_none() && !constructed {
            return broken("a primitive element has no length");
        }
        let class = match first >> 6 {
            0 => Class::Universal,
            1 => Class::Application,
            2 => Class::Context,
            _ => Class::Private,
        };
        Ok(Some(Self { class, number, constructed, length, octets: octets.len() - rest.len() }))
    }

    /// Two zero octets, which end what has no length (X.690 §8.1.5).
    pub(crate) fn is_end_of_contents(&self) -> bool {
        self.is_universal(0) && !self.constructed && self.length == Some(0)
    }

    /// Whether it is this universal type's.
    #[must_use]
    pub fn is_universal(&self, number: u32) -> bool {
        self.class == Class::Universal && self.number == number
    }

    /// Whether it is this field's.
    #[must_use]
    pub fn is_context(&self, number: u32) -> bool {
        self.class == Class::Context && self.number == number
    }

    /// Whether the length is written as DER wants it: definite, in the fewest octets.
    pub(crate) fn is_der(&self) -> bool {
        self.length
            .is_some_and(|length| Self::new(self.class, self.number, self.constructed, length).octets == self.octets)
    }

    /// Writes identifier and length, in the fewest octets.
    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        let class = match self.class {
            Class::Universal => 0,
            Class::Application => 0x40,
            Class::Context => 0x80,
            Class::Private => 0xc0,
        };
        let form = class | if self.constructed { 0x20 } else { 0 };
        if self.number < 0x1f {
            into.push(form | self.number.to_le_bytes()[0]);
        } else {
            into.push(form | 0x1f);
            let groups = (32 - self.number.leading_zeros()).div_ceil(7);
            for group in (0..groups).rev() {
                let more = if group == 0 { 0 } else { 0x80 };
                into.push(more | (self.number >> (7 * group)).to_le_bytes()[0] & 0x7f);
            }
        }
        match self.length {
            None => into.push(0x80),
            Some(short) if short < 0x80 => into.push(short.to_le_bytes()[0]),
            Some(length) => {
                let octets = length.to_be_bytes();
                let significant = octets.iter().skip_while(|octet| **octet == 0);
                into.push(0x80 | significant.clone().count().to_le_bytes()[0]);
                into.extend(significant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_go_there_and_back() {
        for number in [0, 4, 30, 31, 127, 128, 16_383, 16_384, (1 << 28) - 1] {
            for length in [0, 127, 128, 255, 256, 65_535, 65_536, 1 << 32, (1 << 63) - 1] {
                let heading = Heading::new(Class::Context, number, true, length);
                let mut octets = Vec::new();
                heading.write(&mut octets);
                assert_eq!(Heading::read(&octets, 0), Ok(Some(heading)), "{number} {length}");
                assert!(heading.is_der());
                for cut in 0..octets.len() {
                    assert_eq!(Heading::read(&octets[..cut], 0), Ok(None));
                }
            }
        }
    }

    #[test]
    fn what_x_690_forbids_is_refused() {
        for octets in [
            &[0x04, 0x80][..],                                             // primitive without length
            &[0x30, 0xff],                                                 // reserved
            &[0x1f, 0x80, 0x01, 0x00],                                     // a tag number with a leading zero
            &[0x1f, 0x1e, 0x00],                                           // 30 in the long form
            &[0x1f, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x00],                   // a tag number beyond 28 bits
            &[0x30, 0x88, 0xff, 0, 0, 0, 0, 0, 0, 0],                      // a length beyond 63 bits
            &[0x30, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // zeros without end
        ] {
            let fault = Heading::read(&octets[..octets.len().min(LONGEST)], 7);
            assert!(matches!(fault, Err(CmsError::Broken { at: 7, .. })), "{octets:x?} {fault:?}");
        }
    }

    #[test]
    fn a_length_with_leading_zeros_is_read_and_is_not_der() {
        let heading = Heading::read(&[0x30, 0x82, 0x00, 0x03], 0).unwrap().unwrap();
        assert_eq!((heading.length, heading.octets, heading.is_der()), (Some(3), 4, false));
    }
}
