//! Walks over BER that arrives piece by piece.

use crate::cms::ber::heading::{Heading, LONGEST};
use crate::cms::error::CmsError;
use crate::cms::limits;

/// What a [`Walker`] passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// An element begins.
    Begin(Heading),
    /// Contents of the primitive element that began last; one element's may come in several.
    Octets(&'a [u8]),
    /// The element that began last, and has not ended, ends.
    End,
}

/// Walks over one element and all within it. It holds nothing but the headings of what is open, so that its memory does
/// not grow with the input. Depth is bounded by [`limits::DEPTH`]; whoever keeps what it passes bounds the rest.
#[derive(Debug, Default)]
pub struct Walker {
    open: Vec<Open>,
    heading: [u8; LONGEST],
    heading_octets: usize,
    /// Octets taken so far, those of an unfinished heading included.
    position: u64,
    has_begun: bool,
}

/// An element that has begun and not ended.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Where it, or the innermost element around it that has a length, ends.
    limit: u64,
    is_indefinite: bool,
    is_primitive: bool,
}

impl Walker {
    /// Octets taken so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether the element has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.has_begun && self.open.is_empty()
    }

    /// How many elements are open.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The next event, taken off the front of `input`; `None` if all of it is taken, or the element has ended.
    ///
    /// # Errors
    /// The octets break X.690, an element reaches beyond the one around it, or nesting is too deep.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, CmsError> {
        if self.is_done() {
            return Ok(None);
        }
        if let Some(open) = self.open.last().copied() {
            if !open.is_indefinite && self.position == open.limit {
                self.open.pop();
                return Ok(Some(Event::End));
            }
            if open.is_primitive {
                return Ok(self.octets(open.limit, input));
            }
        }
        let Some(heading) = self.heading(input)? else { return Ok(None) };
        if heading.is_end_of_contents() {
            return match self.open.pop() {
                Some(open) if open.is_indefinite => Ok(Some(Event::End)),
                _ => Err(self.broken("contents end that have a length")),
            };
        }
        self.begin(heading).map(Some)
    }

    /// Says that the input has ended.
    ///
    /// # Errors
    /// The element has not.
    pub fn finish(&self) -> Result<(), CmsError> {
        if self.is_done() { Ok(()) } else { Err(CmsError::CutOff(self.position)) }
    }

    fn octets<'a>(&mut self, limit: u64, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let left = usize::try_from(limit - self.position).unwrap_or(usize::MAX);
        let (taken, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        self.position += u64::try_from(taken.len()).unwrap_or(u64::MAX);
        (!taken.is_empty()).then_some(Event::Octets(taken))
    }

    fn heading(&mut self, input: &mut &[u8]) -> Result<Option<Heading>, CmsError> {
        let limit = self.open.last().map_or(u64::MAX, |open| open.limit);
        while let Some((octet, rest)) = input.split_first() {
            if self.position >= limit {
                return Err(self.broken("an element reaches beyond the one around it"));
            }
            let Some(place) = self.heading.get_mut(self.heading_octets) else {
                return Err(self.broken("a length is too long"));
            };
            *place = *octet;
            *input = rest;
            self.heading_octets += 1;
            self.position += 1;
            let octets = self.heading.get(..self.heading_octets).unwrap_or_default();
            if let Some(heading) = Heading::read(octets, self.position)? {
                self.heading_octets = 0;
                return Ok(Some(heading));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, heading: Heading) -> Result<Event<'static>, CmsError> {
        if self.open.len() >= limits::DEPTH {
            return Err(CmsError::TooMany { what: "levels of ASN.1", limit: limits::DEPTH });
        }
        let around = self.open.last().map_or(u64::MAX, |open| open.limit);
        let limit = match heading.length {
            None => around,
            Some(length) => self.position.saturating_add(length),
        };
        if limit > around {
            return Err(self.broken("an element reaches beyond the one around it"));
        }
        self.has_begun = true;
        self.open.push(Open { limit, is_indefinite: heading.length.is_none(), is_primitive: !heading.constructed });
        Ok(Event::Begin(heading))
    }

    fn broken(&self, what: &'static str) -> CmsError {
        CmsError::Broken { at: self.position, what }
    }
}
