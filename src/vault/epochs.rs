//! Epochs: each has an identity of its own in a small locked file, and ends when that is destroyed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::net::Time;
use crate::vault::error::VaultError;
use crate::vault::index::IndexKey;
use crate::vault::key::{Identity, Recipient};
use crate::vault::key_file::{erase, file_fault, make_folder, write_new, write_over};
use crate::vault::locker::{Epoch, Locker};
use crate::vault::open::{Plain, UnlockingStream, open_with};
use crate::vault::random::random_octets;
use crate::vault::rows::{RowKeys, RowLocker};

const INDEX_FILE: &str = "index.age";
const CREATED: &str = "# created: ";

/// What locks and unlocks. Clones share everything.
#[derive(Clone)]
pub struct Vault {
    inside: Arc<Inside>,
}

struct Inside {
    folder: PathBuf,
    /// Who can open epoch identities: the vault's own identity and the recovery recipients.
    keepers: Vec<Recipient>,
    index: IndexKey,
    epochs: RwLock<Epochs>,
    row_keys: Mutex<RowKeys>,
}

struct Epochs {
    known: BTreeMap<u32, Known>,
    locker: Locker,
    row_locker: RowLocker,
}

struct Known {
    identity: Option<Identity>,
    created: Time,
}

/// What `sealgate key list` shows of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochState {
    /// Which.
    pub epoch: Epoch,
    /// When it began.
    pub created: Time,
    /// Its identity is destroyed, and what was locked to it erased.
    pub destroyed: bool,
    /// What is locked now is locked to it.
    pub current: bool,
}

impl Vault {
    /// Opens the vault in a folder, or founds it there. `own` opens what is there; what is made anew can be opened by
    /// `own` and by `recovery`.
    ///
    /// # Errors
    /// [`VaultError`] if a file cannot be read or written, or none of `own` opens it.
    pub fn open(folder: &Path, own: &[Identity], recovery: &[Recipient], now: Time) -> Result<Self, VaultError> {
        make_folder(folder)?;
        let keepers: Vec<Recipient> = own.iter().map(Identity::recipient).chain(recovery.iter().cloned()).collect();
        let index = read_index(&folder.join(INDEX_FILE), own, &keepers)?;
        let mut known = read_epochs(folder, own)?;
        if !known.values().any(|epoch| epoch.identity.is_some()) {
            let number = known.keys().next_back().map_or(1, |last| last + 1);
            known.insert(number, found_epoch(folder, number, &keepers, now)?);
        }
        let locker = newest(&known)?;
        let epochs = RwLock::new(Epochs { known, row_locker: RowLocker::new(locker.clone()), locker });
        let row_keys = Mutex::default();
        Ok(Self { inside: Arc::new(Inside { folder: folder.to_owned(), keepers, index, epochs, row_keys }) })
    }

    /// Whether the folder has what these epochs need: each its identity, or the word that it was destroyed. Asked before
    /// [`Vault::open`], which makes what is not there.
    ///
    /// # Errors
    /// [`VaultError::KeyFileIsMissing`] for the first file that is not there.
    pub fn check(folder: &Path, relied_on: &[Epoch]) -> Result<(), VaultError> {
        let is_gone = |epoch: &&Epoch| {
            !epoch_path(folder, epoch.number()).exists() && !tombstone_path(folder, epoch.number()).exists()
        };
        let epoch = relied_on.iter().find(is_gone).map(|epoch| epoch_path(folder, epoch.number()));
        let index = Some(folder.join(INDEX_FILE)).filter(|path| !relied_on.is_empty() && !path.exists());
        index.or(epoch).map_or(Ok(()), |path| Err(VaultError::KeyFileIsMissing(path)))
    }

    /// Whether every key file that is needed at the next start is still there: what is locked while one is gone would
    /// be lost with this process.
    ///
    /// # Errors
    /// [`VaultError::KeyFileIsMissing`].
    pub fn files_are_there(&self) -> Result<(), VaultError> {
        let epochs = self.read();
        let alive = epochs.known.iter().filter(|(_, known)| known.identity.is_some());
        Self::check(&self.inside.folder, &alive.map(|(number, _)| Epoch::from_number(*number)).collect::<Vec<_>>())
    }

    /// Locks to the newest epoch.
    #[must_use]
    pub fn locker(&self) -> Locker {
        self.read().locker.clone()
    }

    /// Locks rows to the newest epoch.
    #[must_use]
    pub fn row_locker(&self) -> RowLocker {
        self.read().row_locker.clone()
    }

    /// The key of all keyed hashes.
    #[must_use]
    pub fn index(&self) -> &IndexKey {
        &self.inside.index
    }

    /// Unlocks octets that are at hand.
    ///
    /// # Errors
    /// [`VaultError`]: the epoch is destroyed or unknown, or the octets were changed.
    pub fn unlock(&self, epoch: Epoch, locked: &[u8]) -> Result<Plain, VaultError> {
        open_with(&[self.identity(epoch)?], locked)
    }

    /// Unlocks a row.
    ///
    /// # Errors
    /// [`VaultError`]: the epoch is destroyed or unknown, or the row was changed.
    pub fn unlock_row(&self, epoch: Epoch, locked: &[u8]) -> Result<Plain, VaultError> {
        let mut keys = self.inside.row_keys.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked under the lock: a key that is opened while its epoch is destroyed would stay behind.
        keys.unlock(epoch, &self.identity(epoch)?, locked)
    }

    /// Begins to unlock octets that come bit by bit.
    ///
    /// # Errors
    /// [`VaultError`]: the epoch is destroyed or unknown.
    pub fn unlocking(&self, epoch: Epoch) -> Result<UnlockingStream, VaultError> {
        Ok(UnlockingStream::new(vec![self.identity(epoch)?]))
    }

    /// Every epoch, oldest first.
    #[must_use]
    pub fn epochs(&self) -> Vec<EpochState> {
        let epochs = self.read();
        let current = epochs.locker.epoch();
        let state = |(number, known): (&u32, &Known)| EpochState {
            epoch: Epoch::from_number(*number),
            created: known.created,
            destroyed: known.identity.is_none(),
            current: current.number() == *number,
        };
        epochs.known.iter().map(state).collect()
    }

    /// Whether the newest epoch has lasted for `every`.
    #[must_use]
    pub fn is_due_for_rotation(&self, now: Time, every: Duration) -> bool {
        let epochs = self.read();
        epochs.known.get(&epochs.locker.epoch().number()).is_some_and(|known| now >= known.created.after(every))
    }

    /// Begins a new epoch.
    ///
    /// # Errors
    /// [`VaultError`] if its file cannot be written.
    pub fn rotate(&self, now: Time) -> Result<Epoch, VaultError> {
        let mut epochs = self.inside.epochs.write().unwrap_or_else(PoisonError::into_inner);
        let number = epochs.known.keys().next_back().map_or(1, |last| last + 1);
        let founded = found_epoch(&self.inside.folder, number, &self.inside.keepers, now)?;
        epochs.known.insert(number, founded);
        epochs.locker = newest(&epochs.known)?;
        epochs.row_locker = RowLocker::new(epochs.locker.clone());
        Ok(Epoch::from_number(number))
    }

    /// Destroys an epoch's identity: what was locked to it can never be opened again, wherever copies of it lie. Doing it
    /// again does no harm.
    ///
    /// # Errors
    /// [`VaultError`] if there is no such epoch, if it is the newest, or if its file cannot be removed.
    pub fn destroy(&self, epoch: Epoch) -> Result<(), VaultError> {
        let mut epochs = self.inside.epochs.write().unwrap_or_else(PoisonError::into_inner);
        if epochs.locker.epoch() == epoch {
            return Err(VaultError::EpochIsCurrent(epoch.number()));
        }
        let known = epochs.known.get_mut(&epoch.number()).ok_or(VaultError::NoSuchEpoch(epoch.number()))?;
        let gone = tombstone_path(&self.inside.folder, epoch.number());
        // The tombstone comes first: after a crash between the two, the next start removes the identity again.
        write_over(&gone, format!("{CREATED}{}\n", known.created.unix_ms()).as_bytes())?;
        known.identity = None;
        drop(epochs);
        self.inside.row_keys.lock().unwrap_or_else(PoisonError::into_inner).forget(epoch);
        erase(&epoch_path(&self.inside.folder, epoch.number()))
    }

    /// Name and octets of every file that holds an epoch's identity or the index key, locked as they lie there.
    ///
    /// # Errors
    /// [`VaultError`] if one cannot be read.
    pub fn export(&self) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
        let alive = self.epochs().into_iter().filter(|epoch| !epoch.destroyed);
        let mut names: Vec<String> = alive.map(|epoch| format!("{:04}.age", epoch.epoch.number())).collect();
        names.push(INDEX_FILE.to_owned());
        let read = |name: String| {
            let path = self.inside.folder.join(&name);
            fs::read(&path).map(|octets| (name, octets)).map_err(|fault| file_fault(&path, &fault))
        };
        names.into_iter().map(read).collect()
    }

    /// Brings exported files back into a folder, before a vault is opened there. What lies there already stays.
    ///
    /// # Errors
    /// [`VaultError::EpochIsTaken`] if an epoch was destroyed in this folder, or another lies in a file's place;
    /// [`VaultError`] if a name is none that [`Vault::export`] gives, or a file cannot be written.
    pub fn import(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<(), VaultError> {
        make_folder(folder)?;
        for (name, octets) in files {
            let number = if name == INDEX_FILE { Some(0) } else { number_of(Path::new(name)) };
            let number = number.ok_or(VaultError::NotAnAgeFile("its name is none of a vault's"))?;
            let path = if name == INDEX_FILE { folder.join(INDEX_FILE) } else { epoch_path(folder, number) };
            match fs::read(&path) {
                Ok(there) if there == *octets => {}
                Ok(_) => return Err(VaultError::EpochIsTaken(number)),
                Err(_) if tombstone_path(folder, number).exists() => return Err(VaultError::EpochIsTaken(number)),
                Err(_) => write_new(&path, octets)?,
            }
        }
        Ok(())
    }

    /// Keeps a key that belongs to no epoch in a private file of its own, locked to the vault's identity and the recovery
    /// recipients: whoever opens the vault opens it with [`open_with`]. What lies there already stays.
    ///
    /// # Errors
    /// [`VaultError`] if the file is there, or cannot be written.
    pub fn keep_key(&self, path: &Path, plain: &[u8]) -> Result<(), VaultError> {
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let locked = Locker::new(Epoch::from_number(0), self.inside.keepers.clone()).lock(plain)?;
        write_new(path, locked.as_bytes())
    }

    /// Destroys a key that [`Vault::keep_key`] kept. Doing it again does no harm.
    ///
    /// # Errors
    /// [`VaultError`] if the file cannot be removed.
    pub fn erase_key(&self, path: &Path) -> Result<(), VaultError> {
        erase(path)
    }

    fn identity(&self, epoch: Epoch) -> Result<Identity, VaultError> {
        let epochs = self.read();
        let known = epochs.known.get(&epoch.number()).ok_or(VaultError::NoSuchEpoch(epoch.number()))?;
        known.identity.clone().ok_or(VaultError::EpochIsDestroyed(epoch.number()))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Epochs> {
        self.inside.epochs.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn newest(known: &BTreeMap<u32, Known>) -> Result<Locker, VaultError> {
    let newest =
        known.iter().rev().find_map(|(number, known)| known.identity.as_ref().map(|identity| (*number, identity)));
    let (number, identity) = newest.ok_or(VaultError::NoSuchEpoch(0))?;
    Ok(Locker::new(Epoch::from_number(number), vec![identity.recipient()]))
}

fn read_epochs(folder: &Path, own: &[Identity]) -> Result<BTreeMap<u32, Known>, VaultError> {
    let mut known = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|f| file_fault(folder, &f))? {
        let path = entry.map_err(|f| file_fault(folder, &f))?.path();
        let Some(number) = number_of(&path) else { continue };
        if tombstone_path(folder, number).exists() {
            let text = fs::read_to_string(tombstone_path(folder, number)).map_err(|f| file_fault(&path, &f))?;
            if epoch_path(folder, number).exists() {
                erase(&epoch_path(folder, number))?;
            }
            known.insert(number, Known { identity: None, created: created_in(&text) });
        } else if path == epoch_path(folder, number) {
            let locked = fs::read(&path).map_err(|f| file_fault(&path, &f))?;
            let plain = open_with(own, &locked).map_err(|fault| unopened(&path, fault))?;
            let text = Zeroizing::new(String::from_utf8_lossy(&plain).into_owned());
            let identity = text.lines().find_map(|line| line.parse::<Identity>().ok());
            let identity = identity.ok_or_else(|| VaultError::NoIdentityInFile(path.clone()))?;
            known.insert(number, Known { identity: Some(identity), created: created_in(&text) });
        }
    }
    Ok(known)
}

fn found_epoch(folder: &Path, number: u32, keepers: &[Recipient], now: Time) -> Result<Known, VaultError> {
    // X25519, not hybrid: see docs/decisions/0002-age-format.md.
    let identity = Identity::generate()?;
    let text =
        Zeroizing::new(format!("{CREATED}{}\n# epoch: {number}\n{}\n", now.unix_ms(), identity.to_text().as_str()));
    let locked = Locker::new(Epoch::from_number(number), keepers.to_vec()).lock(text.as_bytes())?;
    write_new(&epoch_path(folder, number), locked.as_bytes())?;
    Ok(Known { identity: Some(identity), created: now })
}

fn read_index(path: &Path, own: &[Identity], keepers: &[Recipient]) -> Result<IndexKey, VaultError> {
    if path.exists() {
        let locked = fs::read(path).map_err(|f| file_fault(path, &f))?;
        let plain = open_with(own, &locked).map_err(|fault| unopened(path, fault))?;
        let octets: [u8; 32] =
            (*plain).try_into().map_err(|_| VaultError::NotAnAgeFile("the index key has another length"))?;
        return Ok(IndexKey::new(&octets));
    }
    let octets: Zeroizing<[u8; 32]> = Zeroizing::new(random_octets()?);
    let locked = Locker::new(Epoch::from_number(0), keepers.to_vec()).lock(octets.as_ref())?;
    write_new(path, locked.as_bytes())?;
    Ok(IndexKey::new(&octets))
}

fn created_in(text: &str) -> Time {
    let created = text.lines().find_map(|line| line.strip_prefix(CREATED)).and_then(|ms| ms.trim().parse().ok());
    Time::from_unix_ms(created.unwrap_or(0))
}

fn unopened(path: &Path, fault: VaultError) -> VaultError {
    VaultError::KeyFileDoesNotOpen { path: path.to_owned(), fault: Box::new(fault) }
}

/// The epoch a file is of.
fn number_of(path: &Path) -> Option<u32> {
    path.file_stem()?.to_str()?.parse().ok()
}

fn epoch_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:04}.age"))
}

fn tombstone_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:04}.destroyed"))
}

#[cfg(test)]
mod tests {
    use crate::vault::epochs::*;

    const NOW: Time = Time::from_unix_ms(1_000);

    #[test]
    fn an_epoch_opens_what_it_locked_until_it_is_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let own = [Identity::generate().unwrap()];
        let recovery = Identity::generate().unwrap();
        let vault = Vault::open(folder.path(), &own, &[recovery.recipient()], NOW).unwrap();
        let first = vault.locker().epoch();
        let locked = vault.locker().lock(b"hemligt").unwrap();
        assert_eq!(&*vault.unlock(first, locked.as_bytes()).unwrap(), b"hemligt");
        let hash = vault.index().hash("a", b"b");

        let second = vault.rotate(NOW.after(Duration::from_secs(60))).unwrap();
        assert_ne!(first, second);
        let vault = Vault::open(folder.path(), &own, &[], NOW).unwrap();
        assert_eq!(vault.locker().epoch(), second);
        assert_eq!(vault.index().hash("a", b"b"), hash);
        assert_eq!(&*vault.unlock(first, locked.as_bytes()).unwrap(), b"hemligt");

        let file = fs::read(epoch_path(folder.path(), first.number())).unwrap();
        let text = open_with(&[recovery], &file).unwrap();
        let identity = String::from_utf8_lossy(&text).lines().find_map(|line| line.parse::<Identity>().ok()).unwrap();
        assert_eq!(&*open_with(&[identity], locked.as_bytes()).unwrap(), b"hemligt");

        vault.destroy(first).unwrap();
        assert!(matches!(vault.unlock(first, locked.as_bytes()), Err(VaultError::EpochIsDestroyed(1))));
        vault.destroy(first).unwrap();
        assert!(matches!(vault.destroy(second), Err(VaultError::EpochIsCurrent(2))));
        assert!(!epoch_path(folder.path(), first.number()).exists());
        let vault = Vault::open(folder.path(), &own, &[], NOW).unwrap();
        assert!(matches!(vault.unlock(first, locked.as_bytes()), Err(VaultError::EpochIsDestroyed(1))));
        assert_eq!(vault.rotate(NOW).unwrap().number(), 3);
    }

    #[test]
    fn an_identity_that_outlived_its_tombstone_is_removed_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let own = [Identity::generate().unwrap()];
        let vault = Vault::open(folder.path(), &own, &[], NOW).unwrap();
        vault.rotate(NOW).unwrap();
        let first = fs::read(epoch_path(folder.path(), 1)).unwrap();
        vault.destroy(Epoch::from_number(1)).unwrap();
        fs::write(epoch_path(folder.path(), 1), first).unwrap();
        let vault = Vault::open(folder.path(), &own, &[], NOW).unwrap();
        assert!(!epoch_path(folder.path(), 1).exists());
        assert!(vault.epochs()[0].destroyed && vault.epochs()[1].current);
    }

    #[test]
    fn a_vault_moves_with_its_exported_files_and_brings_no_destroyed_epoch_back() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let own = [Identity::generate().unwrap(), Identity::generate_hybrid().unwrap()];
        let vault = Vault::open(here.path(), &own, &[], NOW).unwrap();
        let locked = vault.locker().lock(b"hemligt").unwrap();
        let first = vault.locker().epoch();
        vault.rotate(NOW).unwrap();
        let exported = vault.export().unwrap();
        Vault::import(there.path(), &exported).unwrap();
        Vault::import(there.path(), &exported).unwrap();
        // Either of the vault's identities is enough.
        for one in own.iter().map(std::slice::from_ref) {
            let moved = Vault::open(there.path(), one, &[], NOW).unwrap();
            assert_eq!(&*moved.unlock(first, locked.as_bytes()).unwrap(), b"hemligt");
            assert_eq!(moved.index().hash("a", b"b"), vault.index().hash("a", b"b"));
            assert_eq!(moved.epochs(), vault.epochs());
        }
        vault.destroy(first).unwrap();
        assert!(matches!(Vault::import(here.path(), &exported), Err(VaultError::EpochIsTaken(1))));
        let stranger = tempfile::tempdir().unwrap();
        Vault::open(stranger.path(), &own, &[], NOW).unwrap();
        assert!(matches!(Vault::import(stranger.path(), &exported), Err(VaultError::EpochIsTaken(_))));
        let outside = [("../0009.age".to_owned(), Vec::new()), ("x.age".to_owned(), Vec::new())];
        assert!(Vault::import(&here.path().join("new"), &outside[1..]).is_err());
        Vault::import(&here.path().join("new"), &outside[..1]).unwrap();
        assert!(here.path().join("new/0009.age").exists(), "a name cannot lead out of the folder");
    }

    #[test]
    fn a_vault_without_its_identity_does_not_open_and_founds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        Vault::open(folder.path(), &[Identity::generate().unwrap()], &[], NOW).unwrap();
        let before = fs::read_dir(folder.path()).unwrap().count();
        let opened = Vault::open(folder.path(), &[Identity::generate().unwrap()], &[], NOW);
        let Some(VaultError::KeyFileDoesNotOpen { fault, .. }) = opened.err() else { panic!("it opened") };
        assert!(matches!(*fault, VaultError::NoIdentityMatches));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
    }

    #[test]
    fn a_stream_and_a_whole_blob_open_alike_whatever_the_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let own = [Identity::generate().unwrap()];
        let vault = Vault::open(folder.path(), &own, &[], NOW).unwrap();
        for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
            let plain: Vec<u8> = (0..length).map(|n: u32| (n % 251) as u8).collect();
            let mut stream = vault.locker().stream().unwrap();
            let mut locked = Vec::new();
            for piece in plain.chunks(7_001) {
                locked.extend(stream.write(piece).unwrap().into_bytes());
            }
            let (last, digest) = stream.finish().unwrap();
            locked.extend(last.into_bytes());
            assert_eq!(digest.length, locked.len() as u64);
            assert_eq!(&*vault.unlock(vault.locker().epoch(), &locked).unwrap(), &plain[..], "{length}");
            for piece in [1, 100, 65_552, 100_000] {
                let mut reading = vault.unlocking(vault.locker().epoch()).unwrap();
                let mut out = Vec::new();
                for part in locked.chunks(piece) {
                    reading.write(part, &mut out).unwrap();
                }
                reading.finish(&mut out).unwrap();
                assert_eq!(out, plain);
            }
            let mut cut = vault.unlocking(vault.locker().epoch()).unwrap();
            let mut out = Vec::new();
            cut.write(&locked[..locked.len() - 1], &mut out).unwrap();
            assert!(cut.finish(&mut out).is_err());
        }
    }
}
