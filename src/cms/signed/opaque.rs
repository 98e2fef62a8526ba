//! Writes signed content in one pass, in segments: its length is known only when it has ended.

use crate::cms::signed::writer::{SignFault, Signing};
use crate::cms::stream::{ContentKind, ContentWriter};

/// Signs content and writes it with its signature around it, in BER.
pub struct OpaqueWriter<'a> {
    signing: Signing<'a>,
    writer: ContentWriter,
}

impl<'a> OpaqueWriter<'a> {
    /// Begins.
    ///
    /// # Errors
    /// What stands before the content cannot be written.
    pub fn new(signing: Signing<'a>, out: &mut Vec<u8>) -> Result<Self, SignFault> {
        let writer = ContentWriter::segmented(ContentKind::Signed, &signing.fields()?, &signing.inner(), out);
        Ok(Self { signing, writer })
    }

    /// The next octets of the content.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        self.signing.push(octets);
        self.writer.content(octets, out);
    }

    /// The content ends; it is signed.
    ///
    /// # Errors
    /// As [`Signing::sign`].
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), SignFault> {
        let signature = self.signing.sign()?;
        self.writer.finish(signature.behind(), out);
        Ok(())
    }
}
