//! Reads a signed message that arrives in pieces: its content passes, digests of it are taken.

use der::Decode;
use der::oid::ObjectIdentifier;
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::cms::algorithm::DigestAlgorithm;
use crate::cms::attribute::identifier;
use crate::cms::element::{Element, INTEGER, SEQUENCE, SET};
use crate::cms::error::CmsError;
use crate::cms::limits;
use crate::cms::signed::data::SignedData;
use crate::cms::signed::digests::ContentDigests;
use crate::cms::stream::{Around, Before, ContentKind, Part, Splitter};

/// Reads SignedData, in BER or DER.
#[derive(Default)]
pub struct SignedReader {
    splitter: Splitter,
    before: Option<(ObjectIdentifier, Option<ContentDigests>)>,
    behind: Option<Around>,
}

impl SignedReader {
    /// The next octets. Those of the content are given to `content` as they pass: nobody has vouched for them yet.
    ///
    /// # Errors
    /// They are no SignedData, or pass a bound of [`limits`].
    pub fn push(&mut self, octets: &[u8], content: &mut dyn FnMut(&[u8])) -> Result<(), CmsError> {
        let mut input = octets;
        while let Some(part) = self.splitter.next(&mut input)? {
            match part {
                Part::Before(before) => self.before = Some(read_before(&before)?),
                Part::Content(octets) => {
                    if let Some((_, Some(digests))) = &mut self.before {
                        digests.push(octets);
                    }
                    content(octets);
                }
                Part::Behind(behind) => self.behind = Some(behind),
            }
        }
        Ok(())
    }

    /// The end.
    ///
    /// # Errors
    /// It was cut off, or what stands behind the content is malformed.
    pub fn finish(self) -> Result<SignedData, CmsError> {
        self.splitter.finish()?;
        let (Some((content_type, digests)), Some(behind)) = (self.before, self.behind) else {
            return Err(CmsError::CutOff(0));
        };
        SignedData::read(content_type, digests.map(ContentDigests::finish), Element::only(behind.as_der(), SEQUENCE)?)
    }

    /// Reads a whole one, and drops its content, if there is any.
    ///
    /// # Errors
    /// As [`Self::push`] and [`Self::finish`].
    pub fn read(octets: &[u8]) -> Result<SignedData, CmsError> {
        let mut reader = Self::default();
        reader.push(octets, &mut |_| {})?;
        reader.finish()
    }
}

fn read_before(before: &Before) -> Result<(ObjectIdentifier, Option<ContentDigests>), CmsError> {
    if before.kind != ContentKind::Signed {
        return Err(CmsError::Unexpected("content that is protected in another way than by a signature"));
    }
    let mut fields = Element::only(before.fields.as_der(), SEQUENCE)?.fields();
    fields.take(INTEGER)?;
    let announced = fields.take(SET)?.fields().all(limits::DIGESTS)?;
    fields.end()?;
    let mut inner = Element::only(before.inner.as_der(), SEQUENCE)?.fields();
    let content_type = identifier(inner.any()?)?;
    inner.end()?;
    // Some announce none; some, others than ours beside them.
    let digests = announced
        .iter()
        .filter_map(|digest| DigestAlgorithm::parse(AlgorithmIdentifierRef::from_der(digest.whole()).ok()?).ok());
    let digests: Vec<DigestAlgorithm> = digests.collect();
    Ok((content_type, before.has_content.then(|| ContentDigests::new(&digests))))
}
