//! The hash of a message's body in both canonical forms (RFC 6376 §3.4), taken while the message streams by: no signature
//! ever needs the whole message in memory.

use mail_auth::common::crypto::{HashContext, HashImpl, Sha256};
use mail_auth::dkim::Canonicalization;
use mail_auth::dkim::canonicalize::BodyHasher;

use crate::sender_auth::canonical::{BodyDigest, RelaxedBody};

type Hasher = BodyHasher<<Sha256 as HashImpl>::Context>;

/// SHA-256 of a message's body. There is no other hash: SHA-1 proves nothing any more (RFC 8301 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyHash {
    simple: Vec<u8>,
    relaxed: BodyDigest,
}

impl BodyHash {
    /// The hash in one canonical form.
    #[must_use]
    pub fn of(&self, form: Canonicalization) -> &[u8] {
        match form {
            Canonicalization::Simple => &self.simple,
            Canonicalization::Relaxed => &self.relaxed.0,
        }
    }

    /// The hash in the relaxed form, for a signature of our own.
    #[must_use]
    pub fn relaxed(&self) -> BodyDigest {
        self.relaxed
    }
}

/// A body being hashed.
pub struct BodyHashes {
    place: Place,
    simple: Hasher,
    relaxed: RelaxedBody,
}

/// Where in the message we are: its body begins behind the first empty line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    LoneCr,
    Line,
    Body,
}

impl Default for BodyHashes {
    fn default() -> Self {
        Self::new()
    }
}

impl BodyHashes {
    /// A message about to begin.
    #[must_use]
    pub fn new() -> Self {
        let simple = BodyHasher::new(Sha256::hasher(), Canonicalization::Simple, 0);
        Self { place: Place::LineStart, simple, relaxed: RelaxedBody::default() }
    }

    /// The next octets of the message, header first.
    pub fn write(&mut self, octets: &[u8]) {
        let body = if self.place == Place::Body { octets } else { self.skip_header(octets) };
        if !body.is_empty() {
            self.simple.write(body);
            self.relaxed.write(body);
        }
    }

    fn skip_header<'o>(&mut self, octets: &'o [u8]) -> &'o [u8] {
        for (count, octet) in octets.iter().enumerate() {
            self.place = match (self.place, octet) {
                (Place::LineStart, b'\r') => Place::LoneCr,
                (Place::LoneCr | Place::LineStart, b'\n') => Place::Body,
                (_, b'\n') => Place::LineStart,
                _ => Place::Line,
            };
            if self.place == Place::Body {
                return octets.get(count + 1..).unwrap_or_default();
            }
        }
        &[]
    }

    /// The hashes of all that came.
    #[must_use]
    pub fn finish(self) -> BodyHash {
        BodyHash { simple: self.simple.finish().0.complete().as_ref().to_vec(), relaxed: self.relaxed.finish() }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};

    use crate::sender_auth::body_hash::*;

    #[test]
    fn only_the_body_is_hashed_however_it_is_cut() {
        let sha = |octets: &[u8]| digest(&SHA256, octets).as_ref().to_vec();
        for (message, simple, relaxed) in [
            (&b"A: b\r\n\r\nhej  du \r\n\r\n\r\n"[..], &b"hej  du \r\n"[..], &b"hej du\r\n"[..]),
            (b"\r\nbody\r\n", b"body\r\n", b"body\r\n"),
            (b"A: b\r\n", b"\r\n", b""),
            (b"A: b\r\n \r\n\r\nx", b"x\r\n", b"x\r\n"),
            (b"A: b\r\n\r\n\r\nx\r\n", b"\r\nx\r\n", b"\r\nx\r\n"),
        ] {
            for size in [1, 2, 3, 7, 100] {
                let mut hashes = BodyHashes::new();
                message.chunks(size).for_each(|octets| hashes.write(octets));
                let hash = hashes.finish();
                assert_eq!(hash.of(Canonicalization::Simple), sha(simple), "{message:?} {size}");
                assert_eq!(hash.of(Canonicalization::Relaxed), sha(relaxed), "{message:?} {size}");
            }
        }
    }
}
