//! A kept message as delivery reads it: as it is still in memory when it was just promised, else unlocked as it goes out.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::delivery::octets::{Contents, Octets, Unreadable};
use crate::queue::{Warm, WarmReading};
use crate::sealing::Content;
use crate::store::{Bodies, BodyReader};
use crate::vault::{UnlockingStream, Vault};

/// A message in the store.
pub struct Kept {
    content: Content,
    bodies: Arc<Bodies>,
    vault: Vault,
    warm: Warm,
}

/// One reading of it.
struct KeptOctets {
    head: Option<Bytes>,
    from: From,
    /// Octets still to be passed over.
    skip: u64,
}

enum From {
    Memory(WarmReading),
    Store { reader: Box<BodyReader>, unlocking: Option<UnlockingStream> },
}

impl Kept {
    /// The message that this content is.
    #[must_use]
    pub fn new(content: Content, bodies: Arc<Bodies>, vault: Vault, warm: Warm) -> Self {
        Self { content, bodies, vault, warm }
    }
}

#[async_trait]
impl Contents for Kept {
    async fn open(&self) -> Result<Box<dyn Octets>, Unreadable> {
        let body = &self.content.body;
        let from = match self.warm.take(body.id) {
            Some(reading) => From::Memory(reading),
            None => From::Store {
                reader: Box::new(self.bodies.read(body).await.map_err(unreadable)?),
                unlocking: Some(self.vault.unlocking(body.epoch).map_err(unreadable)?),
            },
        };
        let head = (!self.content.head.is_empty()).then(|| Bytes::from(self.content.head.clone()));
        Ok(Box::new(KeptOctets { head, from, skip: self.content.skip }))
    }
}

#[async_trait]
impl Octets for KeptOctets {
    async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        while let Some(mut plain) = self.from.next().await? {
            let passed = usize::try_from(self.skip).unwrap_or(usize::MAX).min(plain.len());
            self.skip -= passed as u64;
            if passed < plain.len() {
                return Ok(Some(plain.split_off(passed)));
            }
        }
        Ok(None)
    }
}

impl From {
    /// The next octets, perhaps none yet; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        let (reader, unlocking) = match self {
            Self::Memory(reading) => return Ok(reading.next_piece()),
            Self::Store { reader, unlocking } => (reader, unlocking),
        };
        let Some(mut stream) = unlocking.take() else { return Ok(None) };
        let mut plain = Vec::new();
        match reader.next().await.map_err(unreadable)? {
            Some(locked) => {
                stream.write(&locked, &mut plain).map_err(unreadable)?;
                *unlocking = Some(stream);
            }
            None => stream.finish(&mut plain).map_err(unreadable)?,
        }
        Ok(Some(Bytes::from(plain)))
    }
}

fn unreadable(fault: impl std::fmt::Display) -> Unreadable {
    Unreadable(fault.to_string())
}
