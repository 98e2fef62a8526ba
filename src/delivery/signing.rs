//! The last thing done to a message before it leaves us: the signatures of its author's domain, over the octets as they are
//! then.

use std::collections::VecDeque;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::delivery::octets::{Contents, Octets, Unreadable};
use crate::mail::{Header, limits};
use crate::net::Clock;
use crate::sender_auth::{RelaxedBody, Signers};

/// Octets that are held between signing and sending: longer messages are read twice.
const HELD: usize = 256 * 1024;

/// Signs one message, however often it leaves in this attempt.
///
/// Whoever changes the message for a peer does so before and signs what came of it by a `Signing` of its own: see
/// [`Signing::anew`].
pub struct Signing {
    signers: Signers,
    clock: Clock,
    fields: OnceCell<Bytes>,
}

/// A message on its way out.
pub struct Leaving {
    /// All of it, signatures first.
    pub octets: Box<dyn Octets>,
    /// Octets of the signatures.
    pub added: u64,
}

/// The signatures, and the message behind them.
struct Signed {
    held: VecDeque<Bytes>,
    behind: Option<Box<dyn Octets>>,
}

/// A message read once: what was needed to sign it, and its octets if they are few.
#[derive(Default)]
struct Read {
    header: Vec<u8>,
    held: VecDeque<Bytes>,
    held_octets: usize,
    /// All of it is held.
    is_whole: bool,
    /// What is held goes on here.
    behind: Option<Box<dyn Octets>>,
}

impl Signing {
    /// By the keys that are in use when it leaves.
    #[must_use]
    pub fn new(signers: Signers, clock: Clock) -> Self {
        Self { signers, clock, fields: OnceCell::new() }
    }

    /// For the same message in other octets.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(self.signers.clone(), self.clock.clone())
    }

    /// Begins to read a message as it leaves. It is signed the first time.
    ///
    /// # Errors
    /// [`Unreadable`]; so also if it cannot be signed: it waits, and never leaves without what its domain promises.
    pub async fn open(&self, contents: &dyn Contents) -> Result<Leaving, Unreadable> {
        let mut read = Read::default();
        let fields = self.fields.get_or_try_init(|| self.sign(contents, &mut read)).await?.clone();
        let added = fields.len() as u64;
        let (mut held, behind) = match read.behind.take() {
            None if read.is_whole => (read.held, None),
            None => (VecDeque::new(), Some(contents.open().await?)),
            Some(behind) => (read.held, Some(behind)),
        };
        if !fields.is_empty() {
            held.push_front(fields);
        }
        Ok(Leaving { octets: Box::new(Signed { held, behind }), added })
    }

    /// The signature fields; none if nobody of ours wrote it. What was read meanwhile stays in `read`.
    async fn sign(&self, contents: &dyn Contents, read: &mut Read) -> Result<Bytes, Unreadable> {
        let ring = self.signers.now();
        if ring.signers.is_empty() {
            return Ok(Bytes::new());
        }
        let mut octets = contents.open().await?;
        let body = read.header(octets.as_mut()).await?;
        let header = Header::new(std::mem::take(&mut read.header));
        let signers = ring.of(&header);
        if signers.is_empty() {
            read.behind = read.is_held().then_some(octets);
            return Ok(Bytes::new());
        }
        let mut hash = RelaxedBody::default();
        hash.write(&body);
        while let Some(chunk) = octets.next().await? {
            hash.write(&chunk);
            read.hold(&chunk);
        }
        read.is_whole = read.is_held();
        let (body, now) = (hash.finish(), self.clock.now());
        let mut fields = Vec::new();
        for signer in signers {
            fields.extend(signer.dkim(&header, body, now).map_err(|fault| Unreadable(fault.to_string()))?);
        }
        Ok(Bytes::from(fields))
    }
}

impl Read {
    /// Reads the header; the octets of the body that came with its end are the answer.
    async fn header(&mut self, octets: &mut dyn Octets) -> Result<Bytes, Unreadable> {
        let mut searched = 0_usize;
        while let Some(chunk) = octets.next().await? {
            self.header.extend_from_slice(&chunk);
            self.hold(&chunk);
            // A header without fields begins with the empty line.
            let end = if self.header.starts_with(b"\r\n") {
                Some(2)
            } else {
                let from = self.header.get(searched..).unwrap_or_default();
                memchr::memmem::find(from, b"\r\n\r\n").map(|at| searched + at + 4)
            };
            if let Some(end) = end {
                let body = chunk.slice(chunk.len() - (self.header.len() - end).min(chunk.len())..);
                self.header.truncate(end - 2);
                return Ok(body);
            }
            if self.header.len() > limits::HEADER_OCTETS + HELD {
                return Err(Unreadable("its header is too long to be signed".to_owned()));
            }
            searched = self.header.len().saturating_sub(3);
        }
        Ok(Bytes::new())
    }

    /// Keeps a piece for sending, or nothing at all once it is too much.
    fn hold(&mut self, chunk: &Bytes) {
        self.held_octets = self.held_octets.saturating_add(chunk.len());
        if self.is_held() {
            self.held.push_back(chunk.clone());
        } else {
            self.held.clear();
        }
    }

    fn is_held(&self) -> bool {
        self.held_octets <= HELD
    }
}

#[async_trait]
impl Octets for Signed {
    async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        match (self.held.pop_front(), &mut self.behind) {
            (Some(octets), _) => Ok(Some(octets)),
            (None, Some(behind)) => behind.next().await,
            (None, None) => Ok(None),
        }
    }
}
