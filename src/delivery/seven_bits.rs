//! An eight-bit message for a peer that takes seven (RFC 6152 §3): read once to see whether it can be written so, and how
//! long it is then, and once more as it goes out.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::delivery::octets::{Contents, Octets, Unreadable};
use crate::mail::Downgrade;

/// The message in seven bits.
struct SevenBits(Arc<dyn Contents>);

/// One reading of it.
struct SevenBitOctets {
    eight: Box<dyn Octets>,
    downgrade: Option<Downgrade>,
}

/// The message in seven bits, and its octets; `None` if it cannot or must not be written so.
///
/// # Errors
/// The message cannot be read.
pub async fn in_seven_bits(eight: &Arc<dyn Contents>) -> Result<Option<(Arc<dyn Contents>, u64)>, Unreadable> {
    let mut octets = eight.open().await?;
    let (mut downgrade, mut out, mut size) = (Downgrade::default(), BytesMut::new(), 0_u64);
    while let Some(chunk) = octets.next().await? {
        if downgrade.push(&chunk, &mut out).is_err() {
            return Ok(None);
        }
        size += out.len() as u64;
        out.clear();
    }
    if downgrade.finish(&mut out).is_err() {
        return Ok(None);
    }
    Ok(Some((Arc::new(SevenBits(Arc::clone(eight))), size + out.len() as u64)))
}

#[async_trait]
impl Contents for SevenBits {
    async fn open(&self) -> Result<Box<dyn Octets>, Unreadable> {
        Ok(Box::new(SevenBitOctets { eight: self.0.open().await?, downgrade: Some(Downgrade::default()) }))
    }
}

#[async_trait]
impl Octets for SevenBitOctets {
    async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        let mut out = BytesMut::new();
        while out.is_empty() {
            let Some(mut downgrade) = self.downgrade.take() else { return Ok(None) };
            match self.eight.next().await? {
                Some(chunk) => {
                    downgrade.push(&chunk, &mut out).map_err(|fault| Unreadable(fault.to_string()))?;
                    self.downgrade = Some(downgrade);
                }
                None => downgrade.finish(&mut out).map_err(|fault| Unreadable(fault.to_string()))?,
            }
        }
        Ok(Some(out.freeze()))
    }
}
