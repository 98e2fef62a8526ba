//! Reads one layer of CMS that arrives in pieces, whatever its kind: what its octets are tells, not what is said of them.

use zeroize::Zeroizing;

use crate::cms::{
    CmsError, ContentKind, Decompressor, Opened, Part, Progress, SignedData, SignedReader, Splitter, Unsealer,
};

/// One layer being read.
pub(crate) struct LayerReader {
    kind: Kind,
    /// Octets that came and are not read yet.
    pending: Zeroizing<Vec<u8>>,
    limit: u64,
}

enum Kind {
    Unknown(Box<Splitter>),
    Sealed(Box<Unsealer>),
    Signed(Box<SignedReader>),
    Compressed(Box<Decompressor>),
    /// The unsealer is with whoever unlocks it.
    Lent,
}

/// How far the layer was read.
pub(crate) enum Step {
    /// All that came is read.
    More,
    /// It is sealed, and waits for its key: [`LayerReader::resume`] comes next.
    Recipients(Box<Unsealer>),
}

/// What the layer was, when it has ended well.
pub(crate) enum Layer {
    Sealed(Opened),
    Signed(Box<SignedData>),
    Compressed,
}

impl LayerReader {
    /// A layer that may give so many octets if it is compressed.
    pub fn new(limit: u64) -> Self {
        Self { kind: Kind::Unknown(Box::default()), pending: Zeroizing::default(), limit }
    }

    /// The next octets. What they stand for is appended to `out`, and is not to be used before [`Self::finish`] has said so.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<Step, CmsError> {
        if let Kind::Unknown(splitter) = &mut self.kind {
            self.pending.extend_from_slice(octets);
            let mut probe = octets;
            let Some(part) = splitter.next(&mut probe)? else { return Ok(Step::More) };
            let Part::Before(before) = part else { return Err(CmsError::Unexpected("content before its kind")) };
            self.kind = match before.kind {
                ContentKind::Enveloped | ContentKind::AuthEnveloped => Kind::Sealed(Box::default()),
                ContentKind::Signed => Kind::Signed(Box::default()),
                ContentKind::Compressed => Kind::Compressed(Box::new(Decompressor::new(self.limit))),
            };
        } else {
            self.pending.extend_from_slice(octets);
        }
        self.read(out)
    }

    /// Goes on with the key.
    pub fn resume(&mut self, unsealer: Box<Unsealer>, out: &mut Vec<u8>) -> Result<Step, CmsError> {
        self.kind = Kind::Sealed(unsealer);
        self.read(out)
    }

    fn read(&mut self, out: &mut Vec<u8>) -> Result<Step, CmsError> {
        let mut input = self.pending.as_slice();
        match &mut self.kind {
            Kind::Unknown(_) | Kind::Lent => return Ok(Step::More),
            Kind::Signed(reader) => reader.push(input, &mut |octets| out.extend_from_slice(octets))?,
            Kind::Compressed(reader) => reader.push(input, &mut |octets| out.extend_from_slice(octets))?,
            Kind::Sealed(unsealer) => {
                if unsealer.read(&mut input, out)? == Progress::Recipients {
                    let read = self.pending.len() - input.len();
                    self.pending.drain(..read);
                    let Kind::Sealed(unsealer) = std::mem::replace(&mut self.kind, Kind::Lent) else {
                        return Ok(Step::More);
                    };
                    return Ok(Step::Recipients(unsealer));
                }
            }
        }
        self.pending.clear();
        Ok(Step::More)
    }

    /// The end: what was given may be used, or not.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<Layer, CmsError> {
        match self.kind {
            Kind::Unknown(_) | Kind::Lent => Err(CmsError::CutOff(0)),
            Kind::Sealed(unsealer) => unsealer.finish(out).map(Layer::Sealed),
            Kind::Signed(reader) => reader.finish().map(|data| Layer::Signed(Box::new(data))),
            Kind::Compressed(reader) => reader.finish().map(|()| Layer::Compressed),
        }
    }
}
