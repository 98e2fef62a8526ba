//! DER (X.690 §10) read in place: one element after another, each as the octets it stands in, so that a signature is
//! checked over what was signed and a name is compared as it was written.

use crate::cms::error::CmsError;

/// Whole seconds since 1970, UTC.
pub type Seconds = i64;

/// `BOOLEAN`.
pub const BOOLEAN: u8 = 0x01;
/// `INTEGER`.
pub const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`.
pub const OCTET_STRING: u8 = 0x04;
/// `NULL`.
pub const NULL: u8 = 0x05;
/// `OBJECT IDENTIFIER`.
pub const OID: u8 = 0x06;
/// `ENUMERATED`.
pub const ENUMERATED: u8 = 0x0a;
/// `UTF8String`.
pub const UTF8_STRING: u8 = 0x0c;
/// `PrintableString`.
pub const PRINTABLE_STRING: u8 = 0x13;
/// `TeletexString`, which everybody reads as Latin-1.
pub const TELETEX_STRING: u8 = 0x14;
/// `IA5String`.
pub const IA5_STRING: u8 = 0x16;
/// `UTCTime`.
pub const UTC_TIME: u8 = 0x17;
/// `GeneralizedTime`.
pub const GENERALIZED_TIME: u8 = 0x18;
/// `UniversalString`.
pub const UNIVERSAL_STRING: u8 = 0x1c;
/// `BMPString`.
pub const BMP_STRING: u8 = 0x1e;
/// `SEQUENCE` and `SEQUENCE OF`.
pub const SEQUENCE: u8 = 0x30;
/// `SET` and `SET OF`.
pub const SET: u8 = 0x31;

/// `[number]`, primitive: an implicit tag over something primitive.
pub const fn context(number: u8) -> u8 {
    0x80 | number
}

/// `[number]`, constructed: an explicit tag, or an implicit one over a sequence.
pub const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// One element: tag, length, content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// Where it begins in what was read from.
    pub offset: usize,
    header: usize,
    whole: &'a [u8],
}

/// Elements one after another.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    octets: &'a [u8],
    offset: usize,
}

impl<'a> Element<'a> {
    /// The one element that these octets are, with nothing behind it.
    pub fn only(octets: &'a [u8], tag: u8) -> Result<Self, CmsError> {
        let mut fields = Fields::of(octets);
        let element = fields.take(tag)?;
        fields.end()?;
        Ok(element)
    }

    /// Tag, length and content.
    pub fn whole(&self) -> &'a [u8] {
        self.whole
    }

    /// What is inside.
    pub fn content(&self) -> &'a [u8] {
        self.whole.get(self.header..).unwrap_or_default()
    }

    /// The elements inside.
    pub fn fields(&self) -> Fields<'a> {
        Fields { octets: self.content(), offset: self.offset.saturating_add(self.header) }
    }

    /// Where it stands in what was read from.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset.saturating_add(self.whole.len())
    }

    /// The one element inside an explicit tag.
    pub fn inner(&self, tag: u8) -> Result<Element<'a>, CmsError> {
        let mut fields = self.fields();
        let element = fields.take(tag)?;
        fields.end()?;
        Ok(element)
    }

    /// A truth. Other octets than FF are read as true, too, since some encoders write them.
    pub fn boolean(&self) -> Result<bool, CmsError> {
        match self.content() {
            [octet] => Ok(*octet != 0),
            _ => Err(CmsError::Unexpected("a boolean of another length than one")),
        }
    }

    /// A number that is not negative and fits into 64 bits.
    pub fn unsigned(&self) -> Result<u64, CmsError> {
        let octets = match self.content() {
            [] => return Err(CmsError::Unexpected("a number without octets")),
            [first, ..] if *first >= 0x80 => return Err(CmsError::Unexpected("a negative number")),
            [0, rest @ ..] => rest,
            all => all,
        };
        if octets.len() > 8 {
            return Err(CmsError::Unexpected("a number beyond 64 bits"));
        }
        Ok(octets.iter().fold(0, |sum, octet| (sum << 8) | u64::from(*octet)))
    }

    /// The octets of a bit string whose bits fill them.
    pub fn octets_of_bits(&self) -> Result<&'a [u8], CmsError> {
        match self.content() {
            [0, octets @ ..] => Ok(octets),
            _ => Err(CmsError::Unexpected("a bit string that does not end with an octet")),
        }
    }

    /// The first sixteen bits of a bit string, bit 0 of the standard as the lowest here.
    pub fn flags(&self) -> Result<u16, CmsError> {
        let [unused @ 0..=7, octets @ ..] = self.content() else {
            return Err(CmsError::Unexpected("a bit string without form"));
        };
        if octets.is_empty() && *unused != 0 {
            return Err(CmsError::Unexpected("a bit string without form"));
        }
        let octet = |at: usize| u16::from(octets.get(at).copied().unwrap_or(0).reverse_bits());
        Ok(octet(0) | (octet(1) << 8))
    }

    /// A text in any of the string types of X.520, or none if it is no text.
    pub fn text(&self) -> Option<String> {
        let octets = self.content();
        match self.tag {
            UTF8_STRING => std::str::from_utf8(octets).ok().map(str::to_owned),
            PRINTABLE_STRING | IA5_STRING => {
                octets.is_ascii().then(|| octets.iter().copied().map(char::from).collect())
            }
            TELETEX_STRING => Some(octets.iter().copied().map(char::from).collect()),
            BMP_STRING => {
                let (pairs, []) = octets.as_chunks::<2>() else { return None };
                String::from_utf16(&pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect::<Vec<_>>()).ok()
            }
            UNIVERSAL_STRING => {
                let (quads, []) = octets.as_chunks::<4>() else { return None };
                quads.iter().map(|quad| char::from_u32(u32::from_be_bytes(*quad))).collect()
            }
            _ => None,
        }
    }

    /// `UTCTime` or `GeneralizedTime`, as RFC 5280 §4.1.2.5 wants them: with seconds, in UTC.
    pub fn time(&self) -> Result<Seconds, CmsError> {
        let (year, rest) = match (self.tag, self.content()) {
            (UTC_TIME, [year @ .., b'Z']) if year.len() == 12 => {
                let (year, rest) = year.split_at(2);
                let year = digits(year)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            (GENERALIZED_TIME, [year @ .., b'Z']) if year.len() == 14 => {
                let (year, rest) = year.split_at(4);
                (digits(year)?, rest)
            }
            _ => return Err(CmsError::Unexpected("a time in another form than the standard's")),
        };
        let (pairs, _) = rest.as_chunks::<2>();
        let [month, day, hour, minute, second] = pairs else {
            return Err(CmsError::Unexpected("a time that is too short"));
        };
        let (month, day) = (digits(month)?, digits(day)?);
        let (hour, minute, second) = (digits(hour)?, digits(minute)?, digits(second)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return Err(CmsError::Unexpected("a time that is none"));
        }
        Ok(days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
    }
}

fn digits(octets: &[u8]) -> Result<i64, CmsError> {
    octets.iter().try_fold(0, |sum, octet| match octet {
        b'0'..=b'9' => Ok(sum * 10 + i64::from(octet - b'0')),
        _ => Err(CmsError::Unexpected("a time with a character that is no digit")),
    })
}

/// Counts from 1 March, so that the leap day ends the year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day
        - 1
        - 719_468
}

impl<'a> Fields<'a> {
    /// The elements that these octets are.
    pub fn of(octets: &'a [u8]) -> Self {
        Self { octets, offset: 0 }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// The identifier octet of what comes next.
    pub fn peek(&self) -> Option<u8> {
        self.octets.first().copied()
    }

    /// The next element, whatever it is.
    pub fn any(&mut self) -> Result<Element<'a>, CmsError> {
        let (tag, header, length) = header(self.octets)?;
        let end = header.checked_add(length).ok_or(CmsError::Unexpected("a length beyond all"))?;
        let (whole, rest) =
            self.octets.split_at_checked(end).ok_or(CmsError::Unexpected("an element that is cut off"))?;
        let element = Element { tag, offset: self.offset, header, whole };
        self.octets = rest;
        self.offset = self.offset.saturating_add(end);
        Ok(element)
    }

    /// The next element, which must be of this tag.
    pub fn take(&mut self, tag: u8) -> Result<Element<'a>, CmsError> {
        self.take_if(tag)?.ok_or(CmsError::Unexpected("an element of another kind than the standard's"))
    }

    /// The next element if it is of this tag.
    pub fn take_if(&mut self, tag: u8) -> Result<Option<Element<'a>>, CmsError> {
        if self.peek() == Some(tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// Nothing must be left.
    pub fn end(self) -> Result<(), CmsError> {
        if self.is_empty() { Ok(()) } else { Err(CmsError::Unexpected("more than should be there")) }
    }

    /// All that is left, at most `limit` elements.
    pub fn all(mut self, limit: usize) -> Result<Vec<Element<'a>>, CmsError> {
        let mut elements = Vec::new();
        while !self.is_empty() {
            if elements.len() == limit {
                return Err(CmsError::Unexpected("more elements than anybody needs"));
            }
            elements.push(self.any()?);
        }
        Ok(elements)
    }
}

/// Writes one element whose content is these octets, one after another.
pub fn encode(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|part| part.len()).sum();
    let mut written = Vec::with_capacity(length.saturating_add(6));
    written.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => written.push(short),
        _ => {
            let octets = length.to_be_bytes();
            let significant = octets.iter().skip_while(|octet| **octet == 0);
            written.push(0x80 | significant.clone().count().to_le_bytes().first().copied().unwrap_or(0));
            written.extend(significant);
        }
    }
    contents.iter().for_each(|part| written.extend_from_slice(part));
    written
}

/// Tag, octets of tag and length, and the content's length (X.690 §8.1.2, §8.1.3, §10.1).
fn header(octets: &[u8]) -> Result<(u8, usize, usize), CmsError> {
    let (tag, first, rest) = match octets {
        [tag, ..] if tag & 0x1f == 0x1f => return Err(CmsError::Unexpected("a tag of many octets")),
        [tag, first, rest @ ..] => (*tag, *first, rest),
        _ => return Err(CmsError::Unexpected("an element that is cut off")),
    };
    if first < 0x80 {
        return Ok((tag, 2, usize::from(first)));
    }
    let count = usize::from(first & 0x7f);
    let length = match rest.get(..count) {
        Some(octets @ [lead, ..]) if count <= 4 && *lead != 0 => {
            octets.iter().fold(0, |sum, octet| (sum << 8) | usize::from(*octet))
        }
        _ => return Err(CmsError::Unexpected("a length in another form than the shortest")),
    };
    if length < 0x80 {
        return Err(CmsError::Unexpected("a length in another form than the shortest"));
    }
    Ok((tag, 2 + count, length))
}

#[cfg(test)]
mod tests {
    use crate::cms::element::{Element, Fields, SEQUENCE, UTC_TIME};
    use crate::cms::error::CmsError;

    #[test]
    fn a_sequence_gives_its_elements_and_where_they_stand() {
        let octets = [0x30, 0x06, 0x02, 0x01, 0x05, 0x01, 0x01, 0xff];
        let mut fields = Element::only(&octets, SEQUENCE).unwrap().fields();
        let number = fields.any().unwrap();
        assert_eq!((number.unsigned(), number.range()), (Ok(5), 2..5));
        assert_eq!(fields.any().unwrap().boolean(), Ok(true));
        assert!(fields.end().is_ok());
    }

    #[test]
    fn what_is_not_in_its_shortest_form_or_cut_off_is_refused() {
        for octets in [
            &[0x30, 0x81, 0x01, 0x00][..],
            &[0x30, 0x80, 0x00, 0x00],
            &[0x30, 0x02, 0x00],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            &[0x3f, 0x81, 0x01, 0x00],
            &[0x30],
            &[],
        ] {
            assert!(Fields::of(octets).any().is_err(), "{octets:02x?}");
        }
    }

    #[test]
    fn times_are_read_over_leap_days_and_the_change_of_century() {
        let time = |text: &str| {
            let mut octets = vec![if text.len() == 13 { UTC_TIME } else { 0x18 }, u8::try_from(text.len()).unwrap()];
            octets.extend_from_slice(text.as_bytes());
            Fields::of(&octets).any().unwrap().time()
        };
        assert_eq!(time("700101000000Z"), Ok(0));
        assert_eq!(time("20000229120000Z"), Ok(951_825_600));
        assert_eq!(time("500101000000Z"), Ok(-631_152_000));
        assert_eq!(time("491231235959Z"), Ok(2_524_607_999));
        assert!(time("20001329120000Z").is_err());
        assert!(time("200002291200+0100").is_err());
        assert_eq!(time("20000229120x00Z"), Err(CmsError::Unexpected("a time with a character that is no digit")));
    }
}
