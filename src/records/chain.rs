//! The chain: each event carries the hash of the one before it, so that none can be changed, taken out or moved unseen.

use std::ops::Bound;

use aws_lc_rs::digest;

use crate::records::event::Record;
use crate::store::{Rows, StoreError, Table, Transaction};

/// Sequence number, eight octets big-endian → previous hash, own hash, length of the clear part, clear part, locked part.
pub(crate) const EVENTS: Table = Table("records.events");
/// Message id and sequence number → nothing: what `trace` follows.
pub(crate) const BY_MESSAGE: Table = Table("records.by_message");
/// `head` → sequence number and hash of the newest event.
const CHAIN: Table = Table("records.chain");
const HEAD: &[u8] = b"head";
const HASH: usize = 32;
/// Events read at a time when the chain is walked.
const STRIDE: usize = 1_000;
/// Separates these hashes from all others.
const CONTEXT: &[u8] = b"sealgate event v1\0";

/// The newest event's place and hash. Published in the log, it pins all that came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many events the chain has.
    pub events: u64,
    /// The newest event's hash; zeros for an empty chain.
    pub hash: [u8; HASH],
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// Every event is where it was and as it was, and the asked-for head is among them.
    pub sound: bool,
    /// How many events were read.
    pub events: u64,
    /// The head as it is.
    pub head: Head,
    /// The first event that is not what it should be, counted from zero.
    pub first_fault: Option<u64>,
}

/// One row of the chain, taken apart.
pub(crate) struct Link<'row> {
    pub previous: &'row [u8],
    pub hash: &'row [u8],
    pub clear: &'row [u8],
    pub locked: &'row [u8],
}

impl Head {
    /// The head of a chain without events.
    pub const EMPTY: Self = Self { events: 0, hash: [0; HASH] };

    /// The hash in lower-case hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        self.hash.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn to_bytes(self) -> Vec<u8> {
        [&self.events.to_be_bytes()[..], &self.hash].concat()
    }

    fn from_bytes(row: &[u8]) -> Option<Self> {
        let (events, hash) = row.split_first_chunk::<8>()?;
        Some(Self { events: u64::from_be_bytes(*events), hash: hash.try_into().ok()? })
    }
}

/// Writes the next event behind the newest one.
pub(crate) fn append(
    tx: &mut dyn Transaction,
    clear: &[u8],
    locked: &[u8],
    message: Option<[u8; 16]>,
) -> Result<(), StoreError> {
    let head = match tx.get(CHAIN, HEAD)? {
        Some(row) => Head::from_bytes(&row).ok_or_else(|| StoreError::Damaged("the head of the event chain".into()))?,
        None => Head::EMPTY,
    };
    let hash = hash_of(head.events, &head.hash, clear, locked);
    let length = u32::try_from(clear.len()).map_err(|_| StoreError::Conflict("an event is too long"))?;
    let row = [&head.hash[..], &hash, &length.to_be_bytes(), clear, locked].concat();
    let key = head.events.to_be_bytes();
    tx.put(EVENTS, &key, &row)?;
    if let Some(message) = message {
        tx.put(BY_MESSAGE, &[&message[..], &key].concat(), &[])?;
    }
    tx.put(CHAIN, HEAD, &Head { events: head.events + 1, hash }.to_bytes())
}

/// The newest event's place and hash.
pub(crate) fn head(rows: &dyn Rows) -> Result<Head, StoreError> {
    match rows.get(CHAIN, HEAD)? {
        Some(row) => Head::from_bytes(&row).ok_or_else(|| StoreError::Damaged("the head of the event chain".into())),
        None => Ok(Head::EMPTY),
    }
}

/// Walks the whole chain. With `known`, a hash that was published earlier must be among the events: a chain that was
/// cut off behind it or rewritten before it does not have it.
///
/// # Errors
/// [`StoreError`] if the medium fails. Damage is not an error but the answer.
pub fn verify(rows: &dyn Rows, known: Option<&[u8; 32]>) -> Result<ChainReport, StoreError> {
    let mut walk = Walk { next: 0, previous: [0; HASH], known_seen: known.is_none(), fault: None };
    // Events may be written meanwhile: the head from before must stand at its place, and the one from behind not be passed.
    let head = self::head(rows)?;
    let mut head_seen = head.events == 0 && head.hash == walk.previous;
    let mut from: Option<Vec<u8>> = None;
    loop {
        let lower = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let page = rows.range(EVENTS, lower, Bound::Unbounded, STRIDE)?;
        let Some((last, _)) = page.last() else { break };
        from = Some(last.clone());
        for (key, row) in &page {
            walk.step(key, row, known);
            head_seen |= head.events == walk.next && head.hash == walk.previous;
        }
    }
    let behind = self::head(rows)?;
    let is_passed = behind.events < walk.next || (behind.events == walk.next && behind.hash != walk.previous);
    if walk.fault.is_none() && (!head_seen || is_passed) {
        walk.fault = Some(walk.next.min(head.events));
    }
    if walk.fault.is_none() && !walk.known_seen {
        walk.fault = Some(walk.next);
    }
    Ok(ChainReport { sound: walk.fault.is_none(), events: walk.next, head, first_fault: walk.fault })
}

struct Walk {
    next: u64,
    previous: [u8; HASH],
    known_seen: bool,
    fault: Option<u64>,
}

impl Walk {
    fn step(&mut self, key: &[u8], row: &[u8], known: Option<&[u8; 32]>) {
        let sound = Link::of(row).is_some_and(|link| {
            key == self.next.to_be_bytes()
                && link.previous == self.previous
                && link.hash == hash_of(self.next, &self.previous, link.clear, link.locked)
        });
        if !sound && self.fault.is_none() {
            self.fault = Some(self.next);
        }
        if let Some(hash) = Link::of(row).and_then(|link| <[u8; HASH]>::try_from(link.hash).ok()) {
            self.known_seen |= known == Some(&hash);
            self.previous = hash;
        }
        self.next += 1;
    }
}

impl<'row> Link<'row> {
    pub(crate) fn of(row: &'row [u8]) -> Option<Self> {
        let (previous, rest) = row.split_at_checked(HASH)?;
        let (hash, rest) = rest.split_at_checked(HASH)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (clear, locked) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        Some(Self { previous, hash, clear, locked })
    }

    pub(crate) fn record(&self) -> Option<Record> {
        serde_json::from_slice(self.clear).ok()
    }
}

fn hash_of(number: u64, previous: &[u8], clear: &[u8], locked: &[u8]) -> [u8; HASH] {
    let mut sum = digest::Context::new(&digest::SHA256);
    sum.update(CONTEXT);
    sum.update(&number.to_be_bytes());
    sum.update(previous);
    sum.update(&(clear.len() as u64).to_be_bytes());
    sum.update(clear);
    sum.update(locked);
    let mut hash = [0; HASH];
    hash.copy_from_slice(sum.finish().as_ref());
    hash
}
