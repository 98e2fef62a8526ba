//! Kept octets read and written piece by piece: in between they are in memory alone.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::mail::{Header, limits};
use crate::sealing::content::Content;
use crate::sealing::fault::SealFault;
use crate::store::{Bodies, BodyReader, BodyWriter, PreparedBody};
use crate::vault::{Epoch, LockingStream, UnlockingStream, Vault};

/// One reading of a message.
pub(crate) struct Reading {
    head: Option<Zeroizing<Vec<u8>>>,
    /// Octets still to be passed over.
    skip: u64,
    reader: BodyReader,
    unlocking: Option<UnlockingStream>,
}

/// A body that is being written.
pub(crate) struct Writing {
    epoch: Epoch,
    lock: LockingStream,
    writer: BodyWriter,
    length: u64,
}

impl Reading {
    /// Begins at the first octet.
    pub async fn of(content: &Content, bodies: &Bodies, vault: &Vault) -> Result<Self, SealFault> {
        Ok(Self {
            head: (!content.head.is_empty()).then(|| Zeroizing::new(content.head.clone())),
            skip: content.skip,
            reader: bodies.read(&content.body).await?,
            unlocking: Some(vault.unlocking(content.body.epoch)?),
        })
    }

    /// The next octets; `None` at the end, when all has been found as it was locked.
    pub async fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, SealFault> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        while let Some(mut stream) = self.unlocking.take() {
            let mut plain = Zeroizing::new(Vec::new());
            match self.reader.next().await? {
                Some(locked) => {
                    stream.write(&locked, &mut plain)?;
                    self.unlocking = Some(stream);
                }
                None => stream.finish(&mut plain)?,
            }
            let passed = usize::try_from(self.skip).unwrap_or(usize::MAX).min(plain.len());
            self.skip -= passed as u64;
            if passed < plain.len() {
                plain.drain(..passed);
                return Ok(Some(plain));
            }
        }
        Ok(None)
    }

    /// Reads the header; the octets of the body that came with its end are the other answer.
    pub async fn header(&mut self) -> Result<(Header, Zeroizing<Vec<u8>>), SealFault> {
        let mut read = Zeroizing::new(Vec::new());
        let mut searched = 0_usize;
        while let Some(piece) = self.next().await? {
            read.extend_from_slice(&piece);
            let end = if read.starts_with(b"\r\n") {
                Some((0, 2))
            } else {
                let from = read.get(searched..).unwrap_or_default();
                memchr::memmem::find(from, b"\r\n\r\n").map(|at| (searched + at + 2, searched + at + 4))
            };
            if let Some((end, body)) = end {
                let rest = Zeroizing::new(read.get(body..).unwrap_or_default().to_vec());
                read.truncate(end);
                return Ok((Header::new(read.to_vec()), rest));
            }
            if read.len() > 2 * limits::HEADER_OCTETS {
                return Err(SealFault::HeaderTooLong);
            }
            searched = read.len().saturating_sub(3);
        }
        Ok((Header::new(read.to_vec()), Zeroizing::default()))
    }
}

impl Writing {
    /// Begins.
    pub fn begin(bodies: &Arc<Bodies>, vault: &Vault) -> Result<Self, SealFault> {
        vault.files_are_there()?;
        let locker = vault.locker();
        Ok(Self { epoch: locker.epoch(), lock: locker.stream()?, writer: bodies.writer(), length: 0 })
    }

    /// Locks and keeps the next octets.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), SealFault> {
        let chunk = self.lock.write(octets)?;
        self.length += octets.len() as u64;
        Ok(self.writer.write(chunk).await?)
    }

    /// Ends.
    pub async fn finish(mut self) -> Result<PreparedBody, SealFault> {
        let (chunk, digest) = self.lock.finish()?;
        self.writer.write(chunk).await?;
        Ok(self.writer.finish(self.epoch, digest, self.length).await?)
    }
}
