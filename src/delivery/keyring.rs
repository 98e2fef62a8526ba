//! The keys that sign what leaves: those of the configuration, and those made by rotation, which sign once their record is
//! seen in the DNS.
//!
//! A key that was made lies in `data_dir/dkim`, locked to the vault's own identity as the identities of epochs are; its row says
//! what it is used for. File first, then row: a file that no row names is left over from a crash. A row whose file is gone or
//! damaged signs nothing and takes nobody's place: mail that leaves without a signature is better than mail that does not leave.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::mail::Domain;
use crate::net::{Clock, Dns, DnsFault, DnsSettings, Shutdown, Time};
use crate::records::{Event, EventKind, Journal};
use crate::sender_auth::{
    Algorithm, KeyState, KeyUse, Keys, KeysFault, RecordSeen, Ring, Rotation, Signer, Signers, SigningKey, publishes,
};
use crate::store::{RowsHandle, StoreError, Table, Transaction, pages};
use crate::vault::{Identity, Vault, VaultError, open_with};

/// Name of the record → what the key is used for.
const KEYS: Table = Table("delivery.dkim");
/// Between selector and domain (RFC 6376 §3.6.2.1).
const LABEL: &str = "._domainkey.";
/// How often records are looked up.
const LOOKS: Duration = Duration::from_secs(3_600);
/// How long the record of a key must stay that signs no longer: as long as mail may be on its way (RFC 5321 §4.5.4.1), and
/// a little longer.
const KEPT_PUBLISHED: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How often it is said that a record must stay, or can be removed.
const SAID: Duration = Duration::from_secs(24 * 3_600);
/// Keys made here that are kept at the same time.
const MADE: usize = 1_000;
/// How long a look at a record may take, asked again and all: an operator waits for it.
const PATIENCE: Duration = Duration::from_secs(15);
/// Records looked up at the same time: each may take its time.
const TOGETHER: usize = 32;
/// Octets of a record that is not this key's which are told.
const TOLD: usize = 100;
/// Octets of a locked key.
const KEY_FILE_OCTETS: u64 = 64 * 1024;

/// A key of the configuration.
#[derive(Debug, Clone)]
pub struct ConfiguredKey {
    /// The domain it signs for.
    pub domain: Domain,
    /// Its selector.
    pub selector: String,
    /// The key, or why it cannot be read here.
    pub key: Result<Arc<SigningKey>, String>,
}

/// What the keys are told by the configuration.
#[derive(Debug, Clone, Default)]
pub struct KeySettings {
    /// Domains whose authors we sign for.
    pub ours: Vec<Domain>,
    /// The keys of the configuration.
    pub configured: Vec<ConfiguredKey>,
    /// Who is asked for records.
    pub dns: DnsSettings,
}

/// Where the keys made here are kept.
#[derive(Clone)]
pub struct KeyKeeping {
    /// `data_dir/dkim`.
    pub folder: PathBuf,
    /// Rows.
    pub rows: RowsHandle,
    /// The lock.
    pub vault: Vault,
    /// What happened.
    pub journal: Journal,
    /// What time it is.
    pub clock: Clock,
}

/// The keys that sign. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Keyring(Arc<Inside>);

struct Inside {
    keeping: KeyKeeping,
    signers: Signers,
    state: Mutex<State>,
    /// Who changes what keys are used for.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    settings: KeySettings,
    made: BTreeMap<String, Made>,
    /// By the names of records: what was found there, and what is wrong with it.
    seen: BTreeMap<String, (RecordSeen, Option<String>)>,
}

/// A key made here.
#[derive(Clone)]
struct Made {
    row: MadeRow,
    /// The key, or why its file cannot be read.
    key: Result<Arc<SigningKey>, String>,
}

/// What its row says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MadeRow {
    domain: Domain,
    selector: String,
    algorithm: Algorithm,
    /// When it began to sign, in milliseconds since 1970.
    signs_since: Option<i64>,
    /// Selectors of the domain whose keys it signs in place of.
    replaces: Vec<String>,
}

impl MadeRow {
    fn name(&self) -> String {
        record_name(&self.domain, &self.selector)
    }
}

fn record_name(domain: &Domain, selector: &str) -> String {
    format!("{selector}{LABEL}{domain}")
}

fn unavailable(fault: impl std::fmt::Display) -> KeysFault {
    KeysFault::Unavailable(fault.to_string())
}

impl State {
    /// Since when another key signs in the place of this one.
    fn replaced_since(&self, domain: &Domain, selector: &str) -> Option<Time> {
        let replaced = |made: &&Made| {
            made.key.is_ok() && made.row.domain == *domain && made.row.replaces.iter().any(|it| it == selector)
        };
        self.made.values().filter(replaced).filter_map(|made| made.row.signs_since).min().map(Time::from_unix_ms)
    }

    fn ring(&self) -> Ring {
        let configured = self.settings.configured.iter().filter_map(|it| {
            let key = Arc::clone(it.key.as_ref().ok()?);
            Some(Signer { domain: it.domain.clone(), selector: it.selector.clone(), key })
        });
        let made = self.made.values().filter(|made| made.row.signs_since.is_some()).filter_map(|made| {
            let key = Arc::clone(made.key.as_ref().ok()?);
            Some(Signer { domain: made.row.domain.clone(), selector: made.row.selector.clone(), key })
        });
        let is_replaced = |signer: &Signer| self.replaced_since(&signer.domain, &signer.selector).is_some();
        let signers = configured.chain(made).filter(|signer| !is_replaced(signer)).collect();
        Ring { ours: self.settings.ours.clone(), signers }
    }

    fn list(&self, now: Time) -> Vec<KeyState> {
        let configured = self.settings.configured.iter().map(|it| (&it.domain, &it.selector, &it.key, None));
        let made = self.made.values().map(|it| (&it.row.domain, &it.row.selector, &it.key, Some(&it.row)));
        type Read = Result<Arc<SigningKey>, String>;
        let state = |(domain, selector, read, row): (&Domain, &String, &Read, Option<&MadeRow>)| {
            let key = read.as_ref().ok();
            let until = self.replaced_since(domain, selector).map(|since| since.after(KEPT_PUBLISHED));
            let state = match until {
                Some(until) if now >= until => KeyUse::Removable,
                Some(_) => KeyUse::Replaced,
                None if key.is_none() => KeyUse::Unreadable,
                None if row.is_some_and(|row| row.signs_since.is_none()) => KeyUse::Pending,
                None => KeyUse::Signing,
            };
            let record_name = record_name(domain, selector);
            let found = self.seen.get(&record_name);
            let not_right = || found.and_then(|(_, why)| why.clone());
            KeyState {
                domain: domain.clone(),
                selector: selector.clone(),
                algorithm: key.map(|key| key.algorithm()).or(row.map(|row| row.algorithm)),
                bits: key.map(|key| key.bits()),
                state,
                why: read.as_ref().err().filter(|_| state == KeyUse::Unreadable).cloned().or_else(not_right),
                until: until.map(Time::rfc3339),
                record: key.and_then(|key| key.record().ok()),
                seen: found.map(|(seen, _)| *seen),
                record_name,
                configured: row.is_none(),
            }
        };
        configured.chain(made).map(state).collect()
    }

    /// The selectors of all other keys that a domain has for the same algorithm, whatever they are used for.
    fn others(&self, than: &MadeRow) -> Vec<String> {
        let is_other = |key: &KeyState| {
            key.domain == than.domain && key.algorithm == Some(than.algorithm) && key.selector != than.selector
        };
        self.list(Time::from_unix_ms(0)).into_iter().filter(is_other).map(|key| key.selector).collect()
    }

    fn pending(&self, domain: &Domain, algorithm: Algorithm) -> Option<Made> {
        let waits = |made: &&Made| {
            let is_it = made.row.domain == *domain && made.row.algorithm == algorithm;
            is_it && made.row.signs_since.is_none() && made.key.is_ok()
        };
        self.made.values().find(waits).cloned()
    }
}

impl Keyring {
    /// The keys that are kept here, opened by one of these identities, and those of the configuration. What cannot be
    /// read signs nothing, and is told of as [`KeyUse::Unreadable`].
    ///
    /// # Errors
    /// [`KeysFault::Unavailable`]: rows cannot be read.
    pub fn open(keeping: KeyKeeping, own: &[Identity], settings: KeySettings) -> Result<Self, KeysFault> {
        let mut made = BTreeMap::new();
        for page in pages(&*keeping.rows, KEYS) {
            for (name, row) in page.map_err(unavailable)? {
                let row: MadeRow = serde_json::from_slice(&row)
                    .map_err(|fault| unavailable(format!("the row of a DKIM key cannot be read: {fault}")))?;
                let path = keeping.path(&row);
                let key = read_key(&path, own).map(Arc::new).map_err(|why| format!("{}: {why}", path.display()));
                made.insert(String::from_utf8_lossy(&name).into_owned(), Made { row, key });
            }
        }
        keeping.clear(&made).map_err(unavailable)?;
        let state = State { settings, made, seen: BTreeMap::new() };
        let signers = Signers::default();
        signers.swap(state.ring());
        Ok(Self(Arc::new(Inside { keeping, signers, state: Mutex::new(state), turn: tokio::sync::Mutex::default() })))
    }

    /// The keys in use, as they are at any time.
    #[must_use]
    pub fn signers(&self) -> Signers {
        self.0.signers.clone()
    }

    /// How many keys made here cannot be read: they sign nothing.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        let keys = self.state().list(self.0.keeping.clock.now());
        keys.iter().filter(|key| key.state == KeyUse::Unreadable && !key.configured).count()
    }

    /// Takes another configuration into use.
    pub fn configure(&self, settings: KeySettings) {
        let mut state = self.state();
        state.settings = settings;
        self.0.signers.swap(state.ring());
    }

    /// Looks records up, at once and hour by hour, until the end begins.
    pub async fn run(self, shutdown: Shutdown) {
        let mut said = None;
        loop {
            tokio::select! {
                looked = self.look(false) => if let Err(fault) = looked {
                    tracing::warn!(%fault, "the records of DKIM keys cannot be looked after");
                },
                () = shutdown.begun() => return,
            }
            let now = self.0.keeping.clock.now();
            if said.is_none_or(|before: Time| now >= before.after(SAID)) {
                said = Some(now);
                self.state().list(now).iter().for_each(say);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOKS) => {}
                () = shutdown.begun() => return,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up what waits, or all: a key whose record is there signs from now on; one whose record is gone, as it may, is
    /// forgotten.
    async fn look(&self, at_all: bool) -> Result<(), KeysFault> {
        let _turn = self.0.turn.lock().await;
        let now = self.0.keeping.clock.now();
        let (keys, dns) = {
            let state = self.state();
            (state.list(now), state.settings.dns.clone())
        };
        let waits = |key: &KeyState| {
            key.state == KeyUse::Pending || (key.state == KeyUse::Removable && !key.configured) || at_all
        };
        let keys: Vec<KeyState> = keys.into_iter().filter(waits).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let dns = Dns::new(&dns).map_err(unavailable)?;
        let mut found = Vec::with_capacity(keys.len());
        for together in keys.chunks(TOGETHER) {
            found.extend(join_all(together.iter().map(|key| seen(&dns, key))).await);
        }
        for (key, (seen, why)) in keys.into_iter().zip(found) {
            self.state().seen.insert(key.record_name.clone(), (seen, why));
            match (key.state, seen) {
                (KeyUse::Pending, RecordSeen::Right) => {
                    self.begin_to_sign(&key.record_name, "its record is seen").await?
                }
                (KeyUse::Removable, RecordSeen::Absent) if !key.configured => self.forget(&key.record_name).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A key that waited signs from now on, in place of those before.
    async fn begin_to_sign(&self, name: &str, why: &str) -> Result<(), KeysFault> {
        let Some(mut made) = self.state().made.get(name).cloned() else { return Ok(()) };
        made.row.signs_since = Some(self.0.keeping.clock.now().unix_ms());
        made.row.replaces = self.state().others(&made.row);
        let event = Event::new(EventKind::KeyUsed).detail(format!("DKIM key {name} signs: {why}"));
        self.write(&made.row, event).await?;
        let mut state = self.state();
        state.made.insert(name.to_owned(), made);
        self.0.signers.swap(state.ring());
        tracing::info!(record = name, why, "a new DKIM key signs");
        state.list(self.0.keeping.clock.now()).iter().filter(|key| key.state == KeyUse::Replaced).for_each(say);
        Ok(())
    }

    /// A key whose record is gone is destroyed: nobody can verify what it signed.
    async fn forget(&self, name: &str) -> Result<(), KeysFault> {
        let Some(made) = self.state().made.get(name).cloned() else { return Ok(()) };
        let KeyKeeping { rows, journal, .. } = &self.0.keeping;
        let event = Event::new(EventKind::KeyDestroyed).detail(format!("DKIM key {name}: its record is gone"));
        let (entry, key) = (journal.entry(event).map_err(unavailable)?, name.to_owned());
        let change = move |tx: &mut dyn Transaction| {
            tx.delete(KEYS, key.as_bytes())?;
            entry.write(tx)
        };
        rows.commit(Box::new(change)).await.map_err(unavailable)?;
        self.0.keeping.vault.erase_key(&self.0.keeping.path(&made.row)).map_err(unavailable)?;
        let mut state = self.state();
        state.made.remove(name);
        state.seen.remove(name);
        tracing::info!(record = name, "a DKIM key that signs no longer is destroyed: its record is gone");
        Ok(())
    }

    async fn write(&self, row: &MadeRow, event: Event) -> Result<(), KeysFault> {
        let KeyKeeping { rows, journal, .. } = &self.0.keeping;
        let entry = journal.entry(event).map_err(unavailable)?;
        let (name, value) = (row.name(), serde_json::to_vec(row).map_err(unavailable)?);
        let change = move |tx: &mut dyn Transaction| -> Result<(), StoreError> {
            tx.put(KEYS, name.as_bytes(), &value)?;
            entry.write(tx)
        };
        rows.commit(Box::new(change)).await.map_err(unavailable)
    }

    /// Makes a key that waits for its record.
    async fn make(&self, domain: &Domain, algorithm: Algorithm) -> Result<String, KeysFault> {
        let KeyKeeping { vault, clock, .. } = &self.0.keeping;
        let now = clock.now();
        let row = {
            let state = self.state();
            if state.made.len() >= MADE {
                return Err(KeysFault::Asked("there are too many keys: remove records of those no longer used".into()));
            }
            let taken = state.list(now).into_iter().filter(|key| key.domain == *domain).map(|key| key.selector);
            let selector = unused_selector(now, algorithm, &taken.collect());
            MadeRow { domain: domain.clone(), selector, algorithm, signs_since: None, replaces: Vec::new() }
        };
        let key = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
        let key = key.map_err(unavailable)?.map_err(unavailable)?;
        let path = self.0.keeping.path(&row);
        vault.keep_key(&path, key.to_pem().map_err(unavailable)?.as_bytes()).map_err(unavailable)?;
        let name = row.name();
        let event = Event::new(EventKind::KeyCreated).detail(format!("DKIM key {name}, by the operator"));
        self.write(&row, event).await?;
        self.state().made.insert(name.clone(), Made { row, key: Ok(Arc::new(key)) });
        Ok(name)
    }

    /// The domains and algorithms that are asked for, each at most once.
    fn asked(&self, asked: &Rotation) -> Result<BTreeSet<(Domain, Algorithm)>, KeysFault> {
        let state = self.state();
        let keys = state.list(self.0.keeping.clock.now());
        // One that cannot be read needs a successor more than any.
        let in_use =
            keys.iter().filter(|key| matches!(key.state, KeyUse::Signing | KeyUse::Pending | KeyUse::Unreadable));
        let in_use = in_use.filter_map(|key| Some((key.domain.clone(), key.algorithm?)));
        let is_asked = |(domain, algorithm): &(Domain, Algorithm)| {
            asked.domain.as_ref().is_none_or(|it| it == domain) && asked.algorithm.is_none_or(|it| it == *algorithm)
        };
        let found: BTreeSet<_> = in_use.filter(is_asked).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let Some(domain) = &asked.domain else {
            return Err(KeysFault::Asked("no key signs yet: name the domain with --domain".to_owned()));
        };
        let below = |ours: &Domain| ours == domain || ours.as_str().ends_with(&format!(".{domain}"));
        let is_ours = domain.as_str().contains('.') && state.settings.ours.iter().any(below);
        if !is_ours {
            return Err(KeysFault::Asked(format!("{domain} is no domain of the organisation, nor above one")));
        }
        Ok([(domain.clone(), asked.algorithm.unwrap_or(Algorithm::Rsa))].into_iter().collect())
    }
}

#[async_trait]
impl Keys for Keyring {
    async fn list(&self, looks_up: bool) -> Result<Vec<KeyState>, KeysFault> {
        if looks_up {
            self.look(true).await?;
        }
        Ok(self.state().list(self.0.keeping.clock.now()))
    }

    async fn rotate(&self, asked: &Rotation) -> Result<Vec<KeyState>, KeysFault> {
        let targets = self.asked(asked)?;
        let mut names = BTreeSet::new();
        let mut waiting = BTreeSet::new();
        for (domain, algorithm) in targets {
            let _turn = self.0.turn.lock().await;
            let pending = self.state().pending(&domain, algorithm);
            match pending {
                Some(made) if asked.is_published => {
                    self.begin_to_sign(&made.row.name(), "the operator says that its record is published").await?;
                    names.insert(made.row.name());
                }
                Some(made) => {
                    names.insert(made.row.name());
                    waiting.insert(made.row.name());
                }
                None if asked.is_published => {}
                None => {
                    names.insert(self.make(&domain, algorithm).await?);
                }
            }
        }
        if names.is_empty() {
            return Err(KeysFault::Asked("no key waits for its record: make one without --published".to_owned()));
        }
        if !waiting.is_empty() {
            self.look(false).await?;
        }
        let all = self.state().list(self.0.keeping.clock.now());
        let mut keys: Vec<KeyState> = all.into_iter().filter(|key| names.contains(&key.record_name)).collect();
        for key in &mut keys {
            if key.state == KeyUse::Pending && waiting.contains(&key.record_name) {
                let more = key.why.take().map(|why| format!(": {why}")).unwrap_or_default();
                key.why = Some(format!("it was made before and waits still, so no other was made{more}"));
            }
        }
        Ok(keys)
    }
}

impl KeyKeeping {
    fn path(&self, row: &MadeRow) -> PathBuf {
        self.folder.join(format!("{}.age", row.name()))
    }

    /// Removes what a crash left behind: files of ours that no row names. Others' files stay.
    fn clear(&self, made: &BTreeMap<String, Made>) -> Result<(), VaultError> {
        let Ok(files) = std::fs::read_dir(&self.folder) else { return Ok(()) };
        let named: BTreeSet<PathBuf> = made.values().map(|made| self.path(&made.row)).collect();
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.contains(LABEL) && (name.ends_with(".age") || name.ends_with(".draft"))
        };
        let left =
            files.filter_map(|file| Some(file.ok()?.path())).filter(|path| is_ours(path) && !named.contains(path));
        left.filter(|path| path.is_file()).try_for_each(|path| self.vault.erase_key(&path))
    }
}

/// A key as it lies there, locked.
fn read_key(path: &Path, own: &[Identity]) -> Result<SigningKey, String> {
    let octets = std::fs::metadata(path).map_err(|fault| crate::fault::why(&fault))?.len();
    if octets > KEY_FILE_OCTETS {
        return Err("this is no key".to_owned());
    }
    let locked = std::fs::read(path).map_err(|fault| crate::fault::why(&fault))?;
    let pem = open_with(own, &locked).map_err(|fault| fault.to_string())?;
    SigningKey::from_pem(&pem).map_err(|fault| fault.to_string())
}

/// What is wrong with a file that was kept as a key made here, if anything; `own` opens it.
#[must_use]
pub fn fault_of_kept_key(path: &Path, own: &[Identity]) -> Option<String> {
    read_key(path, own).err()
}

/// What stands at a key's name, and why it is not right.
async fn seen(dns: &Dns, key: &KeyState) -> (RecordSeen, Option<String>) {
    let told = match tokio::time::timeout(PATIENCE, dns.texts(&key.record_name)).await {
        Err(_) => {
            let why = format!("no answer within {} s", PATIENCE.as_secs());
            tracing::info!(record = key.record_name, fault = why, "the record of a DKIM key cannot be looked up");
            return (RecordSeen::Unknown, Some(why));
        }
        Ok(Ok(told)) => told.records,
        Ok(Err(fault)) => {
            tracing::info!(%fault, "the record of a DKIM key cannot be looked up");
            // Whose record it is stands before it.
            let why = match fault {
                DnsFault::Unavailable(_, why) => format!("cannot be looked up: {why}"),
                fault => fault.to_string(),
            };
            return (RecordSeen::Unknown, Some(why));
        }
    };
    let another = || {
        // Whoever serves that name writes to the operator's terminal.
        let there = told.join(" | ").replace(char::is_control, "?");
        let end = there.floor_char_boundary(TOLD);
        let cut = if end < there.len() { "…" } else { "" };
        format!("what stands there is not this key's record: {}{cut}", there.get(..end).unwrap_or_default())
    };
    let public = key.record.as_deref().and_then(|record| record.rsplit_once("p=")).map(|(_, public)| public);
    match (key.algorithm, public) {
        _ if told.is_empty() => (RecordSeen::Absent, Some("no TXT record stands there".to_owned())),
        (Some(algorithm), Some(public)) if told.iter().any(|record| publishes(record, algorithm, public)) => {
            (RecordSeen::Right, None)
        }
        (Some(_), Some(_)) => (RecordSeen::Wrong, Some(another())),
        _ => (RecordSeen::Unknown, Some("the key itself cannot be read, so its record cannot be judged".to_owned())),
    }
}

/// What an operator has to do about a key.
fn say(key: &KeyState) {
    let record = key.record_name.as_str();
    let until = key.until.as_deref().unwrap_or_default();
    match key.state {
        KeyUse::Pending => tracing::info!(record, "a new DKIM key waits until its record is seen in the DNS"),
        KeyUse::Replaced => tracing::info!(record, until, "the record of a DKIM key that signs no longer must stay"),
        KeyUse::Removable if key.configured => {
            tracing::info!(record, "a DKIM key signs no longer: its record and its [[dkim]] entry can be removed");
        }
        KeyUse::Removable => tracing::info!(record, "a DKIM key signs no longer: its record can be removed"),
        KeyUse::Unreadable => {
            let fault = key.why.as_deref().unwrap_or_default();
            tracing::error!(
                record,
                fault,
                "a DKIM key cannot be read and signs nothing: put its file back from a backup and restart, or make another \
                 with `sealgate key rotate dkim`"
            );
        }
        KeyUse::Signing => {}
    }
}

/// A selector of today that the domain does not have yet: `sg20261128r`, `sg20261128r2` and so on.
fn unused_selector(now: Time, algorithm: Algorithm, taken: &BTreeSet<String>) -> String {
    let day: String = now.rfc3339().chars().take(10).filter(char::is_ascii_digit).collect();
    let letter = algorithm.name().get(..1).unwrap_or_default();
    let first = format!("sg{day}{letter}");
    let more = (2_u32..).map(|number| format!("{first}{number}"));
    std::iter::once(first.clone()).chain(more).find(|name| !taken.contains(name)).unwrap_or_default()
}
