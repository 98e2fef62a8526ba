//! What stands beside the items so that nobody has to read all of them: how many there are, which are set apart, and which
//! go to a domain.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::mail::{Domain, Envelope, QueueId};
use crate::queue::table::{ITEMS, ItemRow, Stage};
use crate::store::{Rows, StoreError, Table, Transaction, decode_row};
use crate::vault::Vault;

/// One row: how many items stand at each stage, as JSON.
const COUNTS: Table = Table("queue.counts");
const STAGES: &[u8] = b"stages";
/// Stage and id → nothing: what is held or set aside. Few are, and an operator looks for them among a million.
pub(crate) const APART: Table = Table("queue.apart");
/// Keyed hash of a recipient's domain and id → nothing.
pub(crate) const BY_DOMAIN: Table = Table("queue.by_domain");

/// Items counted at a time.
const AT_A_TIME: usize = 1_000;

/// What stands for a domain in the clear: eight octets of its keyed hash. Two domains that share them are listed apart all
/// the same, for a listing looks at the addresses.
pub(crate) fn domain_hash(vault: &Vault, domain: &Domain) -> u64 {
    let hash = vault.index().hash("queue-domain", domain.as_str().as_bytes());
    hash.first_chunk::<8>().map_or(0, |octets| u64::from_be_bytes(*octets))
}

/// The domains of an envelope's recipients, each once.
pub(crate) fn domains_of(vault: &Vault, envelope: &Envelope) -> Vec<u64> {
    let mut hashes: Vec<u64> =
        envelope.recipients.iter().map(|recipient| domain_hash(vault, recipient.address.domain())).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

fn domain_key(domain: u64, id: QueueId) -> Vec<u8> {
    [&domain.to_be_bytes()[..], id.as_bytes()].concat()
}

fn apart_key(stage: Stage, id: QueueId) -> Vec<u8> {
    [&[place(stage)][..], id.as_bytes()].concat()
}

/// An item comes into the queue.
pub(crate) fn enter(tx: &mut dyn Transaction, id: QueueId, row: &ItemRow) -> Result<(), StoreError> {
    for domain in &row.domains {
        tx.put(BY_DOMAIN, &domain_key(*domain, id), &[])?;
    }
    moved(tx, id, None, Some(row.stage))
}

/// An item leaves the queue, from this stage.
pub(crate) fn leave(tx: &mut dyn Transaction, id: QueueId, row: &ItemRow, from: Stage) -> Result<(), StoreError> {
    for domain in &row.domains {
        tx.delete(BY_DOMAIN, &domain_key(*domain, id))?;
    }
    moved(tx, id, Some(from), None)
}

/// An item goes from one stage to another.
pub(crate) fn moved(
    tx: &mut dyn Transaction,
    id: QueueId,
    from: Option<Stage>,
    to: Option<Stage>,
) -> Result<(), StoreError> {
    if from == to {
        return Ok(());
    }
    let mut counts = parse(tx.get(COUNTS, STAGES)?)?;
    if let Some(from) = from {
        let count = counts.entry(from).or_default();
        *count = count.saturating_sub(1);
        if is_apart(from) {
            tx.delete(APART, &apart_key(from, id))?;
        }
    }
    if let Some(to) = to {
        *counts.entry(to).or_default() += 1;
        if is_apart(to) {
            tx.put(APART, &apart_key(to, id), &[])?;
        }
    }
    put_counts(tx, &counts)
}

/// Writes how many items stand at each stage.
pub(crate) fn put_counts(tx: &mut dyn Transaction, counts: &BTreeMap<Stage, u64>) -> Result<(), StoreError> {
    tx.put(COUNTS, STAGES, &serde_json::to_vec(counts).unwrap_or_default())
}

/// How many items stand at each stage, counted one by one without this one: where it stood cannot be read. What else cannot
/// be read counts as soon as it is set apart.
pub(crate) fn counted_anew(tx: &dyn Transaction, without: QueueId) -> Result<BTreeMap<Stage, u64>, StoreError> {
    let mut counts = BTreeMap::new();
    let mut start = Bound::Unbounded;
    loop {
        let page = tx.range(ITEMS, start.as_ref().map(Vec::as_slice), Bound::Unbounded, AT_A_TIME)?;
        for (key, row) in page.iter().filter(|(key, _)| key != without.as_bytes()) {
            let set_apart = [&[place(Stage::Corrupt)][..], key].concat();
            let stage = match decode_row::<ItemRow>(row) {
                Ok((row, _)) => row.stage,
                Err(_) if tx.get(APART, &set_apart)?.is_some() => Stage::Corrupt,
                Err(_) => continue,
            };
            *counts.entry(stage).or_default() += 1;
        }
        let Some((last, _)) = page.into_iter().next_back() else { return Ok(counts) };
        start = Bound::Excluded(last);
    }
}

/// An item is set aside whose row cannot even be counted any more: it is found by its stage from now on.
pub(crate) fn set_apart(tx: &mut dyn Transaction, id: QueueId) -> Result<(), StoreError> {
    match tx.get(APART, &apart_key(Stage::Corrupt, id))? {
        Some(_) => Ok(()),
        None => moved(tx, id, None, Some(Stage::Corrupt)),
    }
}

/// How many items stand at each stage.
pub(crate) fn counts(rows: &dyn Rows) -> Result<BTreeMap<Stage, u64>, StoreError> {
    parse(rows.get(COUNTS, STAGES)?)
}

/// Whether items of this stage have an index of their own.
pub(crate) fn is_apart(stage: Stage) -> bool {
    matches!(stage, Stage::Held | Stage::Corrupt)
}

fn parse(row: Option<Vec<u8>>) -> Result<BTreeMap<Stage, u64>, StoreError> {
    match row {
        None => Ok(BTreeMap::new()),
        Some(row) => serde_json::from_slice(&row).map_err(|_| StoreError::Damaged("the queue's counts".into())),
    }
}

/// The first octet of its keys in [`APART`].
pub(crate) fn place(stage: Stage) -> u8 {
    match stage {
        Stage::Incoming => 0,
        Stage::Active => 1,
        Stage::Deferred => 2,
        Stage::Held => 3,
        Stage::Corrupt => 4,
    }
}
