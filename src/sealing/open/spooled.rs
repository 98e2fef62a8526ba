//! Octets between two layers: locked as they are written, unlocked as they are read.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::mail::Header;
use crate::sealing::open::head::Head;
use crate::store::{Bodies, BodyReader, BodyRef, BodyWriter, PreparedBody, StoreError};
use crate::vault::{Epoch, LockingStream, UnlockingStream, Vault, VaultError};

/// Why the spool did not take or give octets.
#[derive(Debug, thiserror::Error)]
pub enum SpoolFault {
    /// The store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock did not.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Where spools are begun and read.
#[derive(Clone)]
pub(crate) struct Spools {
    pub bodies: Arc<Bodies>,
    pub vault: Vault,
}

/// An entity that is kept, its header known.
pub(crate) struct Spooled {
    pub body: PreparedBody,
    pub header: Header,
    /// Octets of the header with its empty line.
    pub header_length: u64,
    pub has_eight_bit: bool,
    /// A CR or LF stands alone in it: it cannot be sent so.
    pub has_bare_ends: bool,
}

/// An entity being written. Dropped, it leaves nothing behind.
pub(crate) struct SpoolWriter {
    epoch: Epoch,
    lock: LockingStream,
    writer: BodyWriter,
    head: Head,
    length: u64,
    limit: u64,
    ends: LineEnds,
    has_eight_bit: bool,
}

/// Whether lines end by CRLF alone.
#[derive(Default)]
struct LineEnds {
    after_return: bool,
    is_bare: bool,
}

/// What came of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// There may be more.
    Left,
    /// It is longer than allowed.
    None,
}

/// Reads octets that are kept, from the front.
pub(crate) struct SpoolReader {
    reader: BodyReader,
    unlocking: Option<UnlockingStream>,
    skip: u64,
}

impl Spools {
    /// Begins an entity of at most `limit` octets.
    pub fn begin(&self, limit: u64) -> Result<SpoolWriter, SpoolFault> {
        let locker = self.vault.locker();
        Ok(SpoolWriter {
            epoch: locker.epoch(),
            lock: locker.stream()?,
            writer: self.bodies.writer(),
            head: Head::default(),
            length: 0,
            limit,
            ends: LineEnds::default(),
            has_eight_bit: false,
        })
    }

    /// Reads what rows name, without the first octets.
    pub async fn read(&self, body: &BodyRef, skip: u64) -> Result<SpoolReader, SpoolFault> {
        let unlocking = Some(self.vault.unlocking(body.epoch)?);
        Ok(SpoolReader { reader: self.bodies.read(body).await?, unlocking, skip })
    }

    /// Reads what nothing names yet, without the first octets.
    pub async fn read_prepared(&self, body: &PreparedBody, skip: u64) -> Result<SpoolReader, SpoolFault> {
        let unlocking = Some(self.vault.unlocking(body.body_ref().epoch)?);
        Ok(SpoolReader { reader: self.bodies.read_prepared(body).await?, unlocking, skip })
    }
}

impl SpoolReader {
    /// The next octets; none at the end, when all of it has been found as it was written.
    pub async fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, SpoolFault> {
        loop {
            let mut plain = Zeroizing::new(Vec::new());
            let Some(unlocking) = &mut self.unlocking else { return Ok(None) };
            match self.reader.next().await? {
                Some(locked) => unlocking.write(&locked, &mut plain)?,
                None => {
                    if let Some(unlocking) = self.unlocking.take() {
                        unlocking.finish(&mut plain)?;
                    }
                }
            }
            let passed = usize::try_from(self.skip).unwrap_or(usize::MAX).min(plain.len());
            self.skip -= u64::try_from(passed).unwrap_or(0);
            plain.drain(..passed);
            if !plain.is_empty() {
                return Ok(Some(plain));
            }
        }
    }
}

impl SpoolWriter {
    /// Keeps the next octets, as far as there is room.
    pub async fn write(&mut self, octets: &[u8]) -> Result<Room, SpoolFault> {
        self.length = self.length.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        if self.length > self.limit {
            return Ok(Room::None);
        }
        self.head.push(octets);
        self.ends.look_at(octets);
        self.has_eight_bit |= !octets.is_ascii();
        let chunk = self.lock.write(octets)?;
        self.writer.write(chunk).await?;
        Ok(Room::Left)
    }

    /// Ends the entity; none if its header is longer than anybody's.
    pub async fn finish(self) -> Result<Option<Spooled>, SpoolFault> {
        let (has_bare_ends, has_eight_bit) = (self.ends.is_bare || self.ends.after_return, self.has_eight_bit);
        let (body, head) = self.end().await?;
        let Some((header, header_length)) = head.finish() else { return Ok(None) };
        Ok(Some(Spooled { body, header, header_length, has_eight_bit, has_bare_ends }))
    }

    /// Ends what has no header.
    pub async fn finish_text(self) -> Result<PreparedBody, SpoolFault> {
        self.end().await.map(|(body, _)| body)
    }

    async fn end(self) -> Result<(PreparedBody, Head), SpoolFault> {
        let Self { epoch, lock, mut writer, head, length, .. } = self;
        let (chunk, digest) = lock.finish()?;
        writer.write(chunk).await?;
        Ok((writer.finish(epoch, digest, length).await?, head))
    }
}

impl LineEnds {
    fn look_at(&mut self, octets: &[u8]) {
        for at in memchr::memchr2_iter(b'\r', b'\n', octets) {
            let is_return = octets.get(at) == Some(&b'\r');
            let before = if at == 0 { self.after_return } else { octets.get(at - 1) == Some(&b'\r') };
            let follows = octets.get(at + 1);
            self.is_bare |= if is_return { follows.is_some_and(|next| *next != b'\n') } else { !before };
        }
        // A CR at the end of the piece before this one, and no LF here.
        self.is_bare |= self.after_return && octets.first().is_some_and(|first| *first != b'\n');
        if let Some(last) = octets.last() {
            self.after_return = *last == b'\r';
        }
    }
}

/// Writes line ends as CRLF, whatever they were.
#[derive(Default)]
pub(crate) struct Canonical {
    after_return: bool,
}

impl Canonical {
    /// The next octets, their line ends made CRLF, appended to `out`.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        for octet in octets {
            match octet {
                b'\n' if self.after_return => {}
                b'\r' | b'\n' => out.extend_from_slice(b"\r\n"),
                other => out.push(*other),
            }
            self.after_return = *octet == b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sealing::open::spooled::{Canonical, LineEnds};

    #[test]
    fn bare_line_ends_are_seen_and_made_whole_however_they_arrive() {
        for (text, whole) in [
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\nb\r\n", "a\r\nb\r\n"),
            ("a\rb", "a\r\nb"),
            ("\n", "\r\n"),
            ("a\r", "a\r\n"),
            ("\r\r\n", "\r\n\r\n"),
            ("a", "a"),
        ] {
            for piece in 1..=text.len() {
                let (mut ends, mut canonical, mut out) = (LineEnds::default(), Canonical::default(), Vec::new());
                for octets in text.as_bytes().chunks(piece) {
                    ends.look_at(octets);
                    canonical.push(octets, &mut out);
                }
                assert_eq!(String::from_utf8(out).unwrap(), whole, "{text:?}");
                assert_eq!(ends.is_bare || ends.after_return, text != whole, "{text:?} {piece}");
            }
        }
    }
}
