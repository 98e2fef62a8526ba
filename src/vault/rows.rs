//! Rows: many small values under one key, which lies in an age file in front of each of them.
//!
//! A locked row is: length of the age file (two octets), the age file with the row key, a nonce of 12 octets, and the
//! value under ChaCha20-Poly1305 (RFC 8439) with its tag. `docs/decisions/0007-row-keys.md` says why.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use zeroize::Zeroizing;

use crate::vault::error::VaultError;
use crate::vault::key::Identity;
use crate::vault::locker::{Epoch, LockedBlob, Locker};
use crate::vault::open::{Plain, open_with};
use crate::vault::payload::TAG;
use crate::vault::random::random_octets;
use crate::vault::wrapped::{KEY, aead};

/// Values under one key. So few that a random nonce never comes twice (a chance of 2^-73), so many that the key costs nothing.
const VALUES: u32 = 4_096;
/// Row keys that are kept open for reading.
const KEYS: usize = 1_024;
/// Octets of a row's nonce.
const NONCE: usize = 12;

/// Locks rows to one epoch. Cheap to clone; clones share the key. Like a [`Locker`], it needs public recipients only.
#[derive(Clone)]
pub struct RowLocker {
    locker: Locker,
    key: Arc<Mutex<Option<RowKey>>>,
}

/// A row key in use.
struct RowKey {
    key: LessSafeKey,
    /// What stands in front of each value: length and age file.
    front: Vec<u8>,
    left: u32,
}

/// Row keys that were opened, by the age files they lie in.
#[derive(Default)]
pub(crate) struct RowKeys {
    open: HashMap<Vec<u8>, (Epoch, LessSafeKey)>,
    oldest: VecDeque<Vec<u8>>,
}

impl RowLocker {
    /// Locks with keys that `locker` locks.
    #[must_use]
    pub fn new(locker: Locker) -> Self {
        Self { locker, key: Arc::default() }
    }

    /// The epoch whose identity unlocks what this locks.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.locker.epoch()
    }

    /// Locks one value.
    ///
    /// # Errors
    /// [`VaultError::CryptographyFailed`].
    pub fn lock(&self, plain: &[u8]) -> Result<LockedBlob, VaultError> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = match key.take().filter(|key| key.left > 0) {
            Some(now) => now,
            None => RowKey::new(&self.locker)?,
        };
        let locked = now.lock(plain)?;
        *key = Some(now);
        Ok(locked)
    }
}

impl RowKey {
    fn new(locker: &Locker) -> Result<Self, VaultError> {
        let octets: Zeroizing<[u8; KEY]> = Zeroizing::new(random_octets()?);
        let file = locker.lock(octets.as_ref())?;
        let length = u16::try_from(file.as_bytes().len()).map_err(|_| VaultError::CryptographyFailed)?;
        let front = [&length.to_be_bytes()[..], file.as_bytes()].concat();
        Ok(Self { key: aead(&octets)?, front, left: VALUES })
    }

    fn lock(&mut self, plain: &[u8]) -> Result<LockedBlob, VaultError> {
        self.left -= 1;
        let nonce: [u8; NONCE] = random_octets()?;
        let mut out = Vec::with_capacity(self.front.len() + NONCE + plain.len() + TAG);
        out.extend_from_slice(&self.front);
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plain);
        let value = out.get_mut(start..).unwrap_or_default();
        let tag = self.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), value)?;
        out.extend_from_slice(tag.as_ref());
        Ok(LockedBlob::from_stored(out))
    }
}

impl RowKeys {
    /// Unlocks a row of this epoch; its key is opened with `identity` unless it is known.
    pub(crate) fn unlock(&mut self, epoch: Epoch, identity: &Identity, locked: &[u8]) -> Result<Plain, VaultError> {
        let broken = || VaultError::NotAnAgeFile("a row breaks off");
        let (length, rest) = locked.split_first_chunk::<2>().ok_or_else(broken)?;
        let (file, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or_else(broken)?;
        let (nonce, value) = rest.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        let mut value = Zeroizing::new(value.to_vec());
        let key = self.key(epoch, identity, file)?;
        let plain = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut value)
            .map_err(|_| VaultError::TagIsWrong("a row"))?;
        let length = plain.len();
        value.truncate(length);
        Ok(Plain::from(value))
    }

    /// Forgets every key of an epoch.
    pub(crate) fn forget(&mut self, epoch: Epoch) {
        self.open.retain(|_, (of, _)| *of != epoch);
        self.oldest.retain(|file| self.open.contains_key(file));
    }

    fn key(&mut self, epoch: Epoch, identity: &Identity, file: &[u8]) -> Result<&LessSafeKey, VaultError> {
        if self.open.get(file).is_none_or(|(of, _)| *of != epoch) {
            let octets = open_with(std::slice::from_ref(identity), file)?;
            let key: &[u8; KEY] = (&*octets).try_into().map_err(|_| VaultError::NotAnAgeFile("it holds no row key"))?;
            self.remember(epoch, file, aead(key)?);
        }
        self.open.get(file).map(|(_, key)| key).ok_or(VaultError::CryptographyFailed)
    }

    fn remember(&mut self, epoch: Epoch, file: &[u8], key: LessSafeKey) {
        if self.oldest.len() >= KEYS
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.open.remove(&oldest);
        }
        if self.open.insert(file.to_vec(), (epoch, key)).is_none() {
            self.oldest.push_back(file.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::vault::rows::*;

    fn pair() -> (Identity, RowLocker) {
        let identity = Identity::generate().unwrap();
        let locker = Locker::new(Epoch::from_number(1), vec![identity.recipient()]);
        (identity, RowLocker::new(locker))
    }

    #[test]
    fn rows_share_a_key_for_a_while_and_none_shares_a_nonce() {
        let (identity, locker) = pair();
        let (mut keys, mut fronts, mut seen) = (RowKeys::default(), std::collections::HashSet::new(), 0);
        let mut rests = std::collections::HashSet::new();
        for place in 0..VALUES + 2 {
            let locked = locker.lock(format!("hemligt {place}").as_bytes()).unwrap().into_bytes();
            let plain = keys.unlock(locker.epoch(), &identity, &locked).unwrap();
            assert_eq!(&*plain, format!("hemligt {place}").as_bytes());
            let file = usize::from(u16::from_be_bytes([locked[0], locked[1]])) + 2;
            fronts.insert(locked[..file].to_vec());
            rests.insert(locked[file..file + NONCE].to_vec());
            seen += 1;
        }
        assert_eq!((fronts.len(), rests.len()), (2, seen));
        assert_eq!(keys.open.len(), 2);
        // The key lies in a file that the age format describes.
        let front = fronts.into_iter().next().unwrap();
        assert_eq!(open_with(&[identity], &front[2..]).unwrap().len(), KEY);
    }

    #[test]
    fn what_was_changed_or_cut_is_refused_and_an_epoch_is_forgotten() {
        let (identity, locker) = pair();
        let locked = locker.lock(b"hemligt").unwrap().into_bytes();
        let mut keys = RowKeys::default();
        for place in 0..locked.len() {
            let mut changed = locked.clone();
            changed[place] ^= 1;
            assert!(keys.unlock(locker.epoch(), &identity, &changed).is_err(), "{place}");
            assert!(keys.unlock(locker.epoch(), &identity, &locked[..place]).is_err(), "{place}");
        }
        keys.unlock(locker.epoch(), &identity, &locked).unwrap();
        keys.forget(locker.epoch());
        assert!(keys.open.is_empty() && keys.oldest.is_empty());
        let (stranger, _) = pair();
        assert!(keys.unlock(locker.epoch(), &stranger, &locked).is_err());
    }

    #[test]
    fn open_keys_are_bounded() {
        let (identity, _) = pair();
        let mut keys = RowKeys::default();
        for _ in 0..KEYS + 10 {
            let locker = Locker::new(Epoch::from_number(1), vec![identity.recipient()]);
            let locked = RowLocker::new(locker.clone()).lock(b"x").unwrap().into_bytes();
            keys.unlock(locker.epoch(), &identity, &locked).unwrap();
        }
        assert_eq!((keys.open.len(), keys.oldest.len()), (KEYS, KEYS));
    }
}
