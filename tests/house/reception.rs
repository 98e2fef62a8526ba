//! A house that keeps messages in memory, for tests of the doors. Some local parts bring trouble by their name.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sealgate::mail::{Address, Envelope, QueueId, ReversePath};
use sealgate::queue::{Origin, Peer, Receiving, Reception, ReceptionError};

/// A message that was promised.
#[derive(Clone)]
pub struct Kept {
    pub peer: Peer,
    pub envelope: Envelope,
    pub octets: Vec<u8>,
}

/// The house. Clones are the same house.
#[derive(Clone, Default)]
pub struct House {
    pub kept: Arc<Mutex<Vec<Kept>>>,
    /// Senders asked about, so that a smuggled MAIL FROM shows.
    pub senders: Arc<Mutex<Vec<String>>>,
    /// Octets handed over, and the largest block of them.
    pub octets: Arc<AtomicU64>,
    pub largest_block: Arc<AtomicUsize>,
    /// Octets are counted and thrown away.
    pub is_forgetful: bool,
}

impl House {
    pub fn kept(&self) -> Vec<Kept> {
        self.kept.lock().unwrap().clone()
    }
}

struct Message {
    house: House,
    kept: Kept,
}

fn refused(status: &'static str, text: &str) -> ReceptionError {
    ReceptionError::Refused { status, text: text.to_owned() }
}

#[async_trait]
impl Reception for House {
    async fn admit_sender(&self, origin: Origin, sender: &ReversePath) -> Result<(), ReceptionError> {
        self.senders.lock().unwrap().push(sender.to_string());
        let Some(address) = sender.mailbox() else { return Ok(()) };
        match address.local().as_str() {
            "unavailable" => Err(ReceptionError::Unavailable("secret: the disk at /dev/sda is on fire".to_owned())),
            _ if origin == Origin::Outbound && address.domain().as_str() != "sundby.example" => {
                Err(refused("5.7.1", "the sender is none of ours"))
            }
            _ => Ok(()),
        }
    }

    async fn admit_recipient(&self, _: Origin, _: &ReversePath, recipient: &Address) -> Result<(), ReceptionError> {
        match recipient.local().as_str() {
            "nobody" => Err(refused("5.1.1", "no such recipient")),
            "later" => Err(refused("4.2.1", "not now")),
            _ => Ok(()),
        }
    }

    async fn receive(
        &self,
        _: Origin,
        peer: &Peer,
        envelope: Envelope,
        _: Option<u64>,
    ) -> Result<Box<dyn Receiving>, ReceptionError> {
        if is_to(&envelope, "noroom") {
            return Err(ReceptionError::DiskIsFull);
        }
        let kept = Kept { peer: peer.clone(), envelope, octets: Vec::new() };
        Ok(Box::new(Message { house: self.clone(), kept }))
    }
}

#[async_trait]
impl Receiving for Message {
    async fn write(&mut self, octets: &[u8]) -> Result<(), ReceptionError> {
        if is_to(&self.kept.envelope, "full") {
            return Err(ReceptionError::DiskIsFull);
        }
        if is_to(&self.kept.envelope, "deep") {
            return Err(ReceptionError::PassesLimit("MIME depth"));
        }
        self.house.octets.fetch_add(octets.len() as u64, Ordering::SeqCst);
        self.house.largest_block.fetch_max(octets.len(), Ordering::SeqCst);
        if !self.house.is_forgetful {
            self.kept.octets.extend_from_slice(octets);
        }
        Ok(())
    }

    async fn promise(self: Box<Self>) -> Result<QueueId, ReceptionError> {
        if is_to(&self.kept.envelope, "forbidden") {
            return Err(refused("5.7.1", "a rule says no"));
        }
        let mut kept = self.house.kept.lock().unwrap();
        kept.push(self.kept);
        Ok(QueueId::from_parts(kept.len() as u64, [0; 10]))
    }
}

fn is_to(envelope: &Envelope, local: &str) -> bool {
    envelope.recipients.iter().any(|recipient| recipient.address.local().as_str() == local)
}
