//! A kept message as delivery reads it: unlocked as it goes out, never whole in memory.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::delivery::octets::{Contents, Octets, Unreadable};
use crate::sealing::Content;
use crate::store::{Bodies, BodyReader};
use crate::vault::{UnlockingStream, Vault};

/// A message in the store.
pub struct Kept {
    content: Content,
    bodies: Arc<Bodies>,
    vault: Vault,
}

/// One reading of it.
struct KeptOctets {
    head: Option<Bytes>,
    reader: BodyReader,
    unlocking: Option<UnlockingStream>,
    /// Octets still to be passed over.
    skip: u64,
}

impl Kept {
    /// The message that this content is.
    #[must_use]
    pub fn new(content: Content, bodies: Arc<Bodies>, vault: Vault) -> Self {
        Self { content, bodies, vault }
    }
}

#[async_trait]
impl Contents for Kept {
    async fn open(&self) -> Result<Box<dyn Octets>, Unreadable> {
        let body = &self.content.body;
        let reader = self.bodies.read(body).await.map_err(unreadable)?;
        let unlocking = Some(self.vault.unlocking(body.epoch).map_err(unreadable)?);
        let head = (!self.content.head.is_empty()).then(|| Bytes::from(self.content.head.clone()));
        Ok(Box::new(KeptOctets { head, reader, unlocking, skip: self.content.skip }))
    }
}

#[async_trait]
impl Octets for KeptOctets {
    async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        while let Some(mut unlocking) = self.unlocking.take() {
            let mut plain = Vec::new();
            match self.reader.next().await.map_err(unreadable)? {
                Some(locked) => {
                    unlocking.write(&locked, &mut plain).map_err(unreadable)?;
                    self.unlocking = Some(unlocking);
                }
                None => unlocking.finish(&mut plain).map_err(unreadable)?,
            }
            let passed = usize::try_from(self.skip).unwrap_or(usize::MAX).min(plain.len());
            self.skip -= passed as u64;
            if passed < plain.len() {
                return Ok(Some(Bytes::from(plain).slice(passed..)));
            }
        }
        Ok(None)
    }
}

fn unreadable(fault: impl std::fmt::Display) -> Unreadable {
    Unreadable(fault.to_string())
}
