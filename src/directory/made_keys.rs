//! Keys of ours that lie here: made for a request, made with a certificate of our own authority, or brought in a file.
//!
//! Each lies in `data_dir/certificates`, locked to the vault's own identity as the identities of epochs are; its row says whom
//! it is for, and has its certificate once there is one. File first, then row: a file that no row names is left over from a
//! crash. None is ever removed by itself, for it opens what was sealed to it years ago.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SanType, SerialNumber, date_time_ymd,
};
use serde::{Deserialize, Serialize};

use crate::cms::{Certificate, ImportedKey};
use crate::directory::error::DirectoryError;
use crate::directory::own_keys::OwnKey;
use crate::directory::scope::Scope;
use crate::net::{Clock, Time};
use crate::records::{Event, EventKind, Journal};
use crate::store::{RowsHandle, StoreError, Table, Transaction, pages};
use crate::vault::{Identity, Vault, open_with};

/// Number → [`MadeRow`].
const MADE: Table = Table("directory.made");
/// Keys that lie here at the same time.
const KEYS: usize = 10_000;
/// Octets of a locked key.
const KEY_FILE_OCTETS: u64 = 64 * 1024;
/// For how long our own authority vouches: for itself, and for others.
const AUTHORITY_DAYS: u64 = 3_650;
const ISSUED_DAYS: u64 = 730;
const DAY_MS: i64 = 86_400_000;
/// What a request and a certificate of a domain names (RFC 3183 §3.1.1 and §4.1).
const AUTHORITIES: [&str; 2] = ["domain-confidentiality-authority", "domain-signing-authority"];

/// What a key is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// RSA of 3,072 bits: everybody can seal to it.
    #[default]
    Rsa,
    /// The curve P-256: small and fast, and not known to every old program.
    P256,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct MadeRow {
    /// Whom it is for; our own authority is for nobody.
    scope: Option<Scope>,
    /// When it was made or brought, in milliseconds since 1970.
    created: i64,
    /// Its certificate and the chain, in base64; empty as long as it waits.
    chain: Vec<String>,
    /// The authority's name.
    #[serde(default)]
    name: String,
}

#[derive(Clone)]
struct Made {
    number: u32,
    row: MadeRow,
    /// The key, or why it cannot be read.
    key: Result<Arc<ImportedKey>, String>,
}

/// A key that waits for its certificate, or that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it is called until it has a certificate: `key-` and its number.
    pub id: String,
    /// Whom it is for.
    pub scope: Option<Scope>,
    /// Since when.
    pub since: Time,
    /// Why it cannot be read, if so.
    pub why: Option<String>,
}

/// A certificate of ours that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Whom it is for.
    pub scope: Scope,
    /// It was not there before.
    pub is_new: bool,
}

/// Where they are kept.
#[derive(Clone)]
pub struct MadeKeeping {
    /// `data_dir/certificates`.
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

/// Keys of ours that lie here. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct MadeKeys {
    keeping: MadeKeeping,
    made: Arc<Mutex<Vec<Made>>>,
    /// Who adds to them.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Rings when ours are others than before.
    bell: Arc<tokio::sync::Notify>,
}

impl MadeKeys {
    /// Those that are kept, opened by one of these identities.
    ///
    /// # Errors
    /// [`DirectoryError`]: rows cannot be read. A key whose file cannot be is told of as [`Waiting`].
    pub fn open(keeping: MadeKeeping, own: &[Identity]) -> Result<Self, DirectoryError> {
        let mut made = Vec::new();
        for page in pages(&*keeping.rows, MADE) {
            for (number, row) in page? {
                let damaged = || StoreError::Damaged("the row of a key".into());
                let number = u32::from_be_bytes(number.try_into().map_err(|_| damaged())?);
                let row: MadeRow = serde_json::from_slice(&row).map_err(|_| damaged())?;
                let path = path_of(&keeping.folder, number);
                let key = read_key(&path, own).map(Arc::new).map_err(|why| format!("{}: {why}", path.display()));
                made.push(Made { number, row, key });
            }
        }
        Ok(Self { keeping, made: Arc::new(Mutex::new(made)), turn: Arc::default(), bell: Arc::default() })
    }

    fn made(&self) -> MutexGuard<'_, Vec<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that ours may be others than before.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits until ours are others than before.
    pub(crate) async fn changed(&self) {
        self.bell.notified().await;
    }

    /// Those that have a certificate.
    #[must_use]
    pub fn own(&self) -> Vec<OwnKey> {
        let usable = |made: &Made| {
            Some(OwnKey {
                scope: made.row.scope.clone()?,
                chain: made.row.chain.iter().filter_map(|text| decoded(text)).collect(),
                key: made.key.as_ref().ok()?.key(),
                told_by: "kept here".to_owned(),
            })
        };
        self.made().iter().filter_map(usable).filter(|own| !own.chain.is_empty()).collect()
    }

    /// Those that wait for a certificate, and those that cannot be read.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        let waits = |made: &&Made| made.row.chain.is_empty() || made.key.is_err();
        let told = |made: &Made| Waiting {
            id: id_of_waiting(made.number),
            scope: made.row.scope.clone(),
            since: Time::from_unix_ms(made.row.created),
            why: made.key.as_ref().err().cloned(),
        };
        self.made().iter().filter(waits).map(told).collect()
    }

    /// The certificate of our own authority, if there is one.
    #[must_use]
    pub fn authority(&self) -> Option<Certificate> {
        self.made().iter().find(|made| made.row.scope.is_none()).and_then(|made| decoded(made.row.chain.first()?))
    }

    /// Makes a key, and a request for a certificate (PKCS #10, RFC 2986) in PEM.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub async fn request(&self, scope: Scope, algorithm: KeyAlgorithm) -> Result<String, DirectoryError> {
        let pair = generate(algorithm).await?;
        let request = params_of(&scope, algorithm)?.serialize_request(&pair).and_then(|request| request.pem());
        let request = request.map_err(|_| DirectoryError::NotMade)?;
        let key = ImportedKey::read(pair.serialized_der()).map_err(|_| DirectoryError::NotMade)?;
        self.keep(Some(scope), key, Vec::new(), String::new()).await?;
        Ok(request)
    }

    /// Founds our own authority, for organisations without one: a root that partners are given.
    ///
    /// # Errors
    /// [`DirectoryError`]; so also if there is one.
    pub async fn found(&self, name: String) -> Result<Certificate, DirectoryError> {
        if self.authority().is_some() {
            return Err(DirectoryError::Asked(
                "there is an authority already: `sealgate certificate list` shows it".into(),
            ));
        }
        let pair = generate(KeyAlgorithm::Rsa).await?;
        let mut params = authority_params(&name)?;
        dated(&mut params, self.keeping.clock.now(), AUTHORITY_DAYS)?;
        let root = params.self_signed(&pair).map_err(|_| DirectoryError::NotMade)?;
        let root = Certificate::read(root.der()).map_err(|_| DirectoryError::NotMade)?;
        let key = ImportedKey::read(pair.serialized_der()).map_err(|_| DirectoryError::NotMade)?;
        self.keep(None, key, vec![root.clone()], name).await?;
        Ok(root)
    }

    /// Makes a key and a certificate by our own authority.
    ///
    /// # Errors
    /// [`DirectoryError`]; so also if there is no authority.
    pub async fn issue(&self, scope: Scope, algorithm: KeyAlgorithm) -> Result<Certificate, DirectoryError> {
        let authority = self.made().iter().find(|made| made.row.scope.is_none()).cloned();
        let authority = authority.ok_or_else(|| {
            DirectoryError::Asked(
                "there is no authority of our own: `sealgate certificate authority` founds one".into(),
            )
        })?;
        let root = self.authority().ok_or(DirectoryError::NotMade)?;
        let its_key = authority.key.map_err(DirectoryError::Asked)?;
        let its_pair = KeyPair::try_from(its_key.as_der()).map_err(|_| DirectoryError::NotMade)?;
        let issuer = Issuer::new(authority_params(&authority.row.name)?, its_pair);
        let pair = generate(algorithm).await?;
        let mut params = params_of(&scope, algorithm)?;
        params.use_authority_key_identifier_extension = true;
        dated(&mut params, self.keeping.clock.now(), ISSUED_DAYS)?;
        let issued = params.signed_by(&pair, &issuer).map_err(|_| DirectoryError::NotMade)?;
        let issued = Certificate::read(issued.der()).map_err(|_| DirectoryError::NotMade)?;
        let key = ImportedKey::read(pair.serialized_der()).map_err(|_| DirectoryError::NotMade)?;
        self.keep(Some(scope), key, vec![issued.clone(), root], String::new()).await?;
        Ok(issued)
    }

    /// Keeps a key that is brought with its certificate, leaf first.
    ///
    /// # Errors
    /// [`DirectoryError`]; so also if it is none of them, or kept for somebody else.
    pub async fn bring(
        &self,
        scope: Scope,
        key: ImportedKey,
        chain: Vec<Certificate>,
    ) -> Result<Brought, DirectoryError> {
        if !chain.first().is_some_and(|leaf| key.belongs_to(leaf)) {
            return Err(DirectoryError::Asked("the key belongs to none of the certificates".into()));
        }
        let leaf = chain.first().map(|leaf| STANDARD.encode(leaf.as_der()));
        let known = self.made().iter().find(|made| made.row.chain.first() == leaf.as_ref()).cloned();
        match known.and_then(|known| known.row.scope) {
            Some(other) if other.key() != scope.key() => Err(DirectoryError::Asked(format!(
                "this certificate is kept for {other} already, and is taken for {scope} no second time: nothing was changed"
            ))),
            Some(scope) => Ok(Brought { scope, is_new: false }),
            None => {
                self.keep(Some(scope.clone()), key, chain, String::new()).await?;
                Ok(Brought { scope, is_new: true })
            }
        }
    }

    /// Gives a key that waits its certificate, if this is it. A key that has one already keeps that beside the new one: what
    /// was sealed to it names its serial number.
    ///
    /// # Errors
    /// [`DirectoryError`] if the store fails.
    pub async fn attach(&self, chain: &[Certificate]) -> Result<Option<Brought>, DirectoryError> {
        let turn = self.turn.lock().await;
        let Some(leaf) = chain.first() else { return Ok(None) };
        let is_its = |made: &Made| made.row.scope.is_some() && made.key.as_ref().is_ok_and(|key| key.belongs_to(leaf));
        let all: Vec<Made> = self.made().iter().filter(|made| is_its(made)).cloned().collect();
        let text = STANDARD.encode(leaf.as_der());
        let has_it = |made: &&Made| made.row.chain.first() == Some(&text);
        let first = all.iter().find(has_it).or_else(|| all.iter().find(|made| made.row.chain.is_empty()));
        let Some(Made { number, row, key }) = first.or(all.first()).cloned() else { return Ok(None) };
        let (Some(scope), Ok(key)) = (row.scope.clone(), key) else { return Ok(None) };
        if row.chain.first() == Some(&text) {
            return Ok(Some(Brought { scope, is_new: false }));
        }
        if !row.chain.is_empty() {
            drop(turn);
            let key = ImportedKey::read(key.as_der()).map_err(|_| DirectoryError::NotMade)?;
            self.keep(Some(scope.clone()), key, chain.to_vec(), String::new()).await?;
            return Ok(Some(Brought { scope, is_new: true }));
        }
        let mut row = row;
        row.chain = chain.iter().map(|certificate| STANDARD.encode(certificate.as_der())).collect();
        let event = Event::new(EventKind::TrustChanged).detail("a key of ours has its certificate".to_owned());
        self.write(number, row.clone(), event).await?;
        if let Some(made) = self.made().iter_mut().find(|made| made.number == number) {
            made.row = row;
        }
        self.ring();
        Ok(Some(Brought { scope, is_new: true }))
    }

    /// Destroys a key that waits for a certificate: one that still comes cannot be taken up. Of whom it was.
    ///
    /// # Errors
    /// [`DirectoryError`]; so also if none is called so.
    pub async fn withdraw(&self, id: &str) -> Result<Option<Scope>, DirectoryError> {
        let _turn = self.turn.lock().await;
        let found = self.made().iter().find(|made| id_of_waiting(made.number) == id).cloned();
        let Made { number, row, .. } = found
            .ok_or_else(|| DirectoryError::Asked(format!("no key that waits for a certificate is called {id}")))?;
        if !row.chain.is_empty() {
            let why = "it has its certificate, and stays: what was sealed to it is opened by nothing else";
            return Err(DirectoryError::Asked(format!("{id}: {why}")));
        }
        let event = Event::new(EventKind::KeyDestroyed).detail("an S/MIME key that waited for its certificate");
        let event = match &row.scope {
            Some(scope) if !scope.is_domain() => event.recipient(scope.to_string()),
            Some(_) | None => event,
        };
        let entry = self.keeping.journal.entry(event)?;
        let change = move |tx: &mut dyn Transaction| {
            tx.delete(MADE, &number.to_be_bytes())?;
            entry.write(tx)
        };
        self.keeping.rows.commit(Box::new(change)).await?;
        self.made().retain(|made| made.number != number);
        // A file that no row names is left over from a crash.
        self.keeping.vault.erase_key(&path_of(&self.keeping.folder, number))?;
        Ok(row.scope)
    }

    async fn keep(
        &self,
        scope: Option<Scope>,
        key: ImportedKey,
        chain: Vec<Certificate>,
        name: String,
    ) -> Result<(), DirectoryError> {
        let _turn = self.turn.lock().await;
        let number = {
            let made = self.made();
            if made.len() >= KEYS {
                return Err(DirectoryError::Asked("there are too many keys".into()));
            }
            made.iter().map(|made| made.number).max().unwrap_or(0).saturating_add(1)
        };
        let path = path_of(&self.keeping.folder, number);
        // What no row names is left over from a crash.
        if path.exists() {
            self.keeping.vault.erase_key(&path)?;
        }
        self.keeping.vault.keep_key(&path, key.as_der())?;
        let chain = chain.iter().map(|certificate| STANDARD.encode(certificate.as_der())).collect();
        let event = Event::new(EventKind::KeyCreated);
        let event = match &scope {
            None => event.detail(format!("the key of our own authority, {name}")),
            Some(Scope::Domain(domain)) => event.detail(format!("S/MIME key for {domain}")),
            Some(Scope::Mailbox(address)) => event.detail("S/MIME key").recipient(address.to_string()),
        };
        let row = MadeRow { scope, created: self.keeping.clock.now().unix_ms(), chain, name };
        self.write(number, row.clone(), event).await?;
        self.made().push(Made { number, row, key: Ok(Arc::new(key)) });
        self.ring();
        Ok(())
    }

    async fn write(&self, number: u32, row: MadeRow, event: Event) -> Result<(), DirectoryError> {
        let entry = self.keeping.journal.entry(event)?;
        let value = serde_json::to_vec(&row).map_err(|fault| StoreError::Damaged(fault.to_string()))?;
        let change = move |tx: &mut dyn Transaction| {
            tx.put(MADE, &number.to_be_bytes(), &value)?;
            entry.write(tx)
        };
        Ok(self.keeping.rows.commit(Box::new(change)).await?)
    }
}

fn id_of_waiting(number: u32) -> String {
    format!("key-{number}")
}

fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number}.key"))
}

fn read_key(path: &Path, own: &[Identity]) -> Result<ImportedKey, String> {
    let octets = std::fs::metadata(path).map_err(|fault| crate::fault::why(&fault))?.len();
    if octets > KEY_FILE_OCTETS {
        return Err("this is no key".to_owned());
    }
    let locked = std::fs::read(path).map_err(|fault| crate::fault::why(&fault))?;
    let der = open_with(own, &locked).map_err(|fault| fault.to_string())?;
    ImportedKey::read(&der).map_err(|fault| fault.to_string())
}

fn decoded(text: &str) -> Option<Certificate> {
    STANDARD.decode(text).ok().and_then(|der| Certificate::read(&der).ok())
}

/// RSA takes a good part of a second.
async fn generate(algorithm: KeyAlgorithm) -> Result<KeyPair, DirectoryError> {
    let make = move || match algorithm {
        KeyAlgorithm::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072),
        KeyAlgorithm::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
    };
    let made = tokio::task::spawn_blocking(make).await.map_err(|_| DirectoryError::NotMade)?;
    made.map_err(|_| DirectoryError::NotMade)
}

/// What a certificate for mail says of itself.
fn params_of(scope: &Scope, algorithm: KeyAlgorithm) -> Result<CertificateParams, DirectoryError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&scope.to_string());
    let addresses = match scope {
        Scope::Domain(domain) => AUTHORITIES.iter().map(|local| format!("{local}@{domain}")).collect(),
        Scope::Mailbox(address) => vec![address.to_string()],
    };
    for address in addresses {
        let ascii = Ia5String::try_from(address);
        let why =
            "an address with letters beyond ASCII cannot be named in a request yet: ask for one with its domain alone";
        let ascii = ascii.map_err(|_| DirectoryError::Asked(why.into()))?;
        params.subject_alt_names.push(SanType::Rfc822Name(ascii));
    }
    let opens = match algorithm {
        KeyAlgorithm::Rsa => KeyUsagePurpose::KeyEncipherment,
        KeyAlgorithm::P256 => KeyUsagePurpose::KeyAgreement,
    };
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, opens];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    Ok(params)
}

fn authority_params(common_name: &str) -> Result<CertificateParams, DirectoryError> {
    if common_name.trim().is_empty() || common_name.chars().count() > 64 {
        return Err(DirectoryError::Asked("an authority has a name of 1 to 64 characters".into()));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn dated(params: &mut CertificateParams, now: Time, days: u64) -> Result<(), DirectoryError> {
    let mut serial = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| DirectoryError::NotMade)?;
    // Positive, and of whole length (RFC 5280 §4.1.2.2).
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let end = now.unix_ms().saturating_add(i64::try_from(days).unwrap_or(0).saturating_mul(DAY_MS));
    // Clocks of others may be behind ours.
    let (year, month, first) = day(now.unix_ms().saturating_sub(DAY_MS))?;
    params.not_before = date_time_ymd(year, month, first);
    let (year, month, last) = day(end)?;
    params.not_after = date_time_ymd(year, month, last);
    Ok(())
}

/// Year, month and day.
fn day(ms: i64) -> Result<(i32, u8, u8), DirectoryError> {
    let time = jiff::Timestamp::from_millisecond(ms).map_err(|_| DirectoryError::NotMade)?;
    let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
    let part = |number: i8| u8::try_from(number).map_err(|_| DirectoryError::NotMade);
    Ok((i32::from(date.year()), part(date.month())?, part(date.day())?))
}
