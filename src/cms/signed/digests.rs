//! Digests of content that passes.

use aws_lc_rs::digest::{Context, Digest};

use crate::cms::algorithm::DigestAlgorithm;
use crate::cms::element::{Fields, OID, SEQUENCE, SET};

/// Octets of the content's beginning that are looked at: the headings of a set, of its first attribute and of its type.
const BEGINNING: usize = 24;

/// Takes digests of content that passes.
pub struct ContentDigests {
    taken: Vec<(DigestAlgorithm, Context)>,
    beginning: Vec<u8>,
    octets: u64,
}

/// Content that has passed.
#[derive(Debug, Clone)]
pub struct Digested {
    taken: Vec<(DigestAlgorithm, Digest)>,
    is_like_attributes: bool,
}

impl ContentDigests {
    /// These digests, or all that we know if none is named: content may pass before anybody has told how it was signed.
    #[must_use]
    pub fn new(digests: &[DigestAlgorithm]) -> Self {
        let mut digests = if digests.is_empty() { DigestAlgorithm::ALL.to_vec() } else { digests.to_vec() };
        digests.sort_unstable();
        digests.dedup();
        let taken = digests.into_iter().map(|digest| (digest, Context::new(digest.hash()))).collect();
        Self { taken, beginning: Vec::with_capacity(BEGINNING), octets: 0 }
    }

    /// The digests that a `micalg` announces, all of them named; or all that we know, where one of the names is not known
    /// (RFC 8551 §3.5.3.2).
    #[must_use]
    pub fn announced(micalg: &str) -> Self {
        let named = micalg.split(',').map(|name| match name.trim().to_ascii_lowercase().as_str() {
            "sha1" | "sha-1" | "rsa-sha1" => Some(DigestAlgorithm::Sha1),
            "sha224" | "sha-224" => Some(DigestAlgorithm::Sha224),
            "sha256" | "sha-256" => Some(DigestAlgorithm::Sha256),
            "sha384" | "sha-384" => Some(DigestAlgorithm::Sha384),
            "sha512" | "sha-512" => Some(DigestAlgorithm::Sha512),
            _ => None,
        });
        Self::new(&named.collect::<Option<Vec<_>>>().unwrap_or_default())
    }

    /// The next octets.
    pub fn push(&mut self, octets: &[u8]) {
        let room = BEGINNING - self.beginning.len();
        self.beginning.extend(octets.iter().take(room));
        self.octets = self.octets.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        self.taken.iter_mut().for_each(|(_, context)| context.update(octets));
    }

    /// The content ends.
    #[must_use]
    pub fn finish(self) -> Digested {
        Digested {
            is_like_attributes: is_like_attributes(&self.beginning, self.octets),
            taken: self.taken.into_iter().map(|(digest, context)| (digest, context.finish())).collect(),
        }
    }

    /// Digests of content that is at hand.
    #[must_use]
    pub fn of(content: &[u8], digests: &[DigestAlgorithm]) -> Digested {
        let mut taken = Self::new(digests);
        taken.push(content);
        taken.finish()
    }
}

impl Digested {
    /// The digest, if it was taken.
    pub(crate) fn digest(&self, algorithm: DigestAlgorithm) -> Option<&Digest> {
        self.taken.iter().find(|(taken, _)| *taken == algorithm).map(|(_, digest)| digest)
    }

    /// Whether the content has the form of signed attributes. What signs attributes signs such a content too, which its
    /// signer never saw.
    #[must_use]
    pub fn is_like_attributes(&self) -> bool {
        self.is_like_attributes
    }
}

/// A SET in DER that is the whole content, and begins with a SEQUENCE that begins with an object identifier. Text cannot
/// be: an object identifier's tag is a control character.
fn is_like_attributes(beginning: &[u8], octets: u64) -> bool {
    let Some((set, inside)) = heading(beginning) else { return false };
    let whole = u64::try_from(beginning.len() - inside.len()).unwrap_or(u64::MAX).saturating_add(set.1);
    if set.0 != SET || whole != octets {
        return false;
    }
    let Some((sequence, inside)) = heading(inside) else { return false };
    sequence.0 == SEQUENCE && Fields::of(inside).peek() == Some(OID)
}

/// Tag and length, however long the length is written, and what follows.
fn heading(octets: &[u8]) -> Option<((u8, u64), &[u8])> {
    let (tag, rest) = octets.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *first < 0x80 {
        return Some(((*tag, u64::from(*first)), rest));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if length.len() > 8 {
        return None;
    }
    Some(((*tag, length.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet))), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::attribute::SignedAttributes;
    use crate::cms::element::encode;
    use crate::cms::oid;

    #[test]
    fn attributes_are_told_from_other_content() {
        for digest in [vec![7; 32], vec![7; 300]] {
            let attributes = encode(SET, &[&SignedAttributes::new(oid::DATA, digest).to_content().unwrap()]);
            assert!(ContentDigests::of(&attributes, &[]).is_like_attributes());
            assert!(!ContentDigests::of(&attributes[..attributes.len() - 1], &[]).is_like_attributes());
        }
        for other in [&b""[..], b"1", b"1.0", b"1000 kr.", b"Content-Type: text/plain\r\n\r\n"] {
            assert!(!ContentDigests::of(other, &[]).is_like_attributes());
        }
    }

    #[test]
    fn a_micalg_nobody_knows_has_all_digests_taken() {
        let taken = |micalg| ContentDigests::announced(micalg).finish().taken.len();
        assert_eq!((taken("sha-256"), taken("SHA1, sha512"), taken("sha-256,sm3"), taken("")), (1, 2, 5, 5));
    }
}
