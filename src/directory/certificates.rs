//! Certificates of others: whom each is for, where it came from, and whether somebody said that it may be used.
//!
//! They lie in the clear, as they are published, each once under its fingerprint. Whether a path leads to a root is not
//! written down: it is judged when somebody asks.

use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cms::Certificate;
use crate::directory::error::DirectoryError;
use crate::directory::scope::Scope;
use crate::net::Time;
use crate::records::{Event, EventKind, Journal};
use crate::store::{RowsHandle, StoreError, Table, Transaction};

/// Fingerprint → the certificate in DER.
const CERTIFICATES: Table = Table("directory.certificates");
/// Key of a domain, zero and fingerprint → [`EntryRow`].
const TUNNELS: Table = Table("directory.tunnels");
/// Key of a mailbox, zero and fingerprint → [`EntryRow`].
const PERSONAL: Table = Table("directory.personal");
/// Fingerprint, and the key of the row that names it → nothing.
const NAMED: Table = Table("directory.named");
/// Hash of an authority's name, and fingerprint → its certificate in DER.
const ISSUERS: Table = Table("directory.issuers");
/// Key of a scope → when something sealed to it was last delivered, in milliseconds since 1970.
const SUCCESSES: Table = Table("directory.successes");
/// Certificates for one domain or mailbox.
const PER_SCOPE: usize = 100;
/// Certificates of authorities of one name.
const PER_ISSUER: usize = 50;
/// Characters of a fingerprint that are enough to name a certificate.
const SHORTEST_ID: usize = 8;

/// Where a certificate came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The configuration names it.
    Configuration,
    /// An operator brought it for this very domain or mailbox.
    Operator,
    /// A table of domains that an operator brought.
    Table,
    /// It came with signed mail.
    Mail,
    /// We issued it.
    Issued,
}

/// Whether it may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Somebody, or the policy, said so.
    Accepted,
    /// Nobody has said anything yet: a stranger's, or another than the one in use.
    Asked,
    /// Somebody said no.
    Refused,
}

/// What is known of a certificate for one domain or mailbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryRow {
    /// Whom it is for.
    pub scope: Scope,
    /// Where it came from.
    pub source: Source,
    /// The same in words: a file's name.
    pub told_by: String,
    /// When it came, in milliseconds since 1970.
    pub first_seen: i64,
    /// Whether it may be used.
    pub decision: Decision,
    /// When that was decided.
    pub decided: i64,
    /// When it expires, in seconds since 1970.
    pub not_after: i64,
    /// SHA-256 of its key, in hexadecimal.
    pub key: String,
    /// Who an organisation of OCES is, over renewals: CVR and key.
    pub identity: Option<String>,
    /// It came while another was in use, or names somebody else.
    pub is_conflict: bool,
}

/// A certificate for one domain or mailbox.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The certificate.
    pub certificate: Certificate,
    /// What is known of it.
    pub row: EntryRow,
}

/// A certificate that is brought.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Whom it is to be for.
    pub scope: Scope,
    /// The certificate.
    pub certificate: Certificate,
    /// Whether a path leads to a root; asked of what comes with mail alone.
    pub is_trusted: bool,
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// It is new, and may be used.
    New,
    /// It takes over from one with the same key, or of the same organisation's identity.
    Renewed,
    /// It was there.
    Known,
    /// Another is in use, or a table tells it for somebody whom it does not name: somebody must decide.
    Conflict,
    /// It is a stranger's: somebody must decide.
    Asked,
    /// There are too many for this domain or mailbox.
    TooMany,
}

/// The certificates of others. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Certificates {
    rows: RowsHandle,
    journal: Journal,
}

impl Certificates {
    /// Those in these rows. Nothing is read before somebody asks.
    #[must_use]
    pub fn new(rows: RowsHandle, journal: Journal) -> Self {
        Self { rows, journal }
    }

    /// What is kept for a domain or a mailbox, whether it may be used or not.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails or a row is damaged.
    pub fn of(&self, scope: &Scope) -> Result<Vec<Entry>, StoreError> {
        let (from, to) = range_of(scope);
        let rows = self.rows.range(table_of(scope), Bound::Included(&from), Bound::Excluded(&to), PER_SCOPE)?;
        rows.iter().map(|(key, row)| self.entry(key, row)).collect()
    }

    /// Up to `limit` entries of domains, or of mailboxes, behind this key, in order of their keys; and the last one's key.
    ///
    /// # Errors
    /// As [`Certificates::of`].
    pub fn page(
        &self,
        domains: bool,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<Vec<u8>>), StoreError> {
        let table = if domains { TUNNELS } else { PERSONAL };
        let rows = self.rows.range(table, after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded, limit)?;
        let last = rows.last().filter(|_| rows.len() == limit).map(|(key, _)| key.clone());
        let entries = rows.iter().map(|(key, row)| self.entry(key, row)).collect::<Result<_, _>>()?;
        Ok((entries, last))
    }

    fn entry(&self, key: &[u8], row: &[u8]) -> Result<Entry, StoreError> {
        let row = read(row)?;
        let fingerprint = key.last_chunk::<32>().ok_or_else(|| StoreError::Damaged("a certificate's row".into()))?;
        let der = self.rows.get(CERTIFICATES, fingerprint)?;
        let der = der.ok_or_else(|| StoreError::Damaged("a certificate is gone".into()))?;
        let certificate = Certificate::read(&der).map_err(|fault| StoreError::Damaged(fault.to_string()))?;
        Ok(Entry { certificate, row })
    }

    /// All entries of the certificate whose fingerprint begins so, in hexadecimal.
    ///
    /// # Errors
    /// [`DirectoryError::Asked`]: too short, of none, or of several certificates.
    pub fn by_id(&self, id: &str) -> Result<Vec<Entry>, DirectoryError> {
        let asked = |text: String| DirectoryError::Asked(text);
        let digits: String = id.chars().filter(|letter| *letter != ':').collect::<String>().to_lowercase();
        let is_hex = digits.bytes().all(|octet| octet.is_ascii_hexdigit());
        if !is_hex || !(SHORTEST_ID..=64).contains(&digits.len()) {
            return Err(asked(format!(
                "{id}: a certificate is named by the first {SHORTEST_ID} to 64 digits of its fingerprint"
            )));
        }
        let from = octets_of(&format!("{digits:0<64}"));
        let to = octets_of(&format!("{digits:f<64}"));
        // Behind the fingerprint stands the key of the entry: below all of them is the fingerprint alone.
        let end = [&to[..], &[0xff]].concat();
        let keys = self.rows.keys(NAMED, Bound::Included(&from), Bound::Included(&end), PER_SCOPE)?;
        let mut entries = Vec::new();
        for key in &keys {
            let (fingerprint, scope) = key.split_at_checked(32).unwrap_or((key, &[]));
            let scope = String::from_utf8_lossy(scope).into_owned();
            let table = if scope.starts_with('@') { TUNNELS } else { PERSONAL };
            let row_key = row_key(&scope, fingerprint);
            if let Some(row) = self.rows.get(table, &row_key)? {
                entries.push(self.entry(&row_key, &row)?);
            }
        }
        let first = entries.first().map(|entry: &Entry| entry.certificate.fingerprint());
        match first {
            None => Err(asked(format!("no certificate has the fingerprint {id}"))),
            Some(first) if entries.iter().any(|entry| entry.certificate.fingerprint() != first) => {
                Err(asked(format!("several certificates begin with {id}: give more digits")))
            }
            Some(_) => Ok(entries),
        }
    }

    /// Takes certificates that are brought, all of them in one step, and tells what became of each. What is in use stays in
    /// use: another one for the same domain or mailbox must be accepted by somebody, unless it is a renewal.
    ///
    /// # Errors
    /// [`DirectoryError`] if the store fails: none was taken.
    pub async fn take(
        &self,
        offers: Vec<Offer>,
        source: Source,
        told_by: &str,
        now: Time,
    ) -> Result<Vec<Taken>, DirectoryError> {
        self.bring(offers, source, false, told_by, now).await
    }

    /// Takes what an operator brings in place of all that is in use for the same domains and mailboxes: that is refused from
    /// now on.
    ///
    /// # Errors
    /// As [`Certificates::take`].
    pub async fn take_in_place(
        &self,
        offers: Vec<Offer>,
        told_by: &str,
        now: Time,
    ) -> Result<Vec<Taken>, DirectoryError> {
        self.bring(offers, Source::Operator, true, told_by, now).await
    }

    async fn bring(
        &self,
        offers: Vec<Offer>,
        source: Source,
        replaces: bool,
        told_by: &str,
        now: Time,
    ) -> Result<Vec<Taken>, DirectoryError> {
        let outcome: Arc<std::sync::Mutex<Vec<Taken>>> = Arc::default();
        let filled = Arc::clone(&outcome);
        let names: Vec<String> =
            offers.iter().filter(|it| !it.scope.is_domain()).map(|it| it.scope.to_string()).collect();
        let detail = match offers.as_slice() {
            [one] if one.scope.is_domain() => format!("certificate {} for {}", id_of(&one.certificate), one.scope),
            [one] => format!("certificate {}", id_of(&one.certificate)),
            many => format!("{} certificates", many.len()),
        };
        let how = if replaces { ", in place of those in use" } else { "" };
        let event = Event::new(EventKind::TrustChanged).detail(format!("{detail}, brought by {told_by}{how}"));
        let event = names.into_iter().fold(event, Event::recipient);
        let entry = self.journal.entry(event)?;
        let told_by = told_by.to_owned();
        let change = move |tx: &mut dyn Transaction| {
            let Decided { taken, writes, replaced } = decide(tx, &offers, source, replaces, &told_by, now)?;
            for (offer, row) in writes {
                put(tx, &offer.certificate, &row)?;
            }
            for (key, row) in replaced {
                tx.put(table_of(&row.scope), &key, &encoded(&row)?)?;
            }
            *filled.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = taken;
            entry.write(tx)
        };
        self.rows.commit(Box::new(change)).await?;
        let mut outcome = outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(std::mem::take(&mut *outcome))
    }

    /// Those of [`Certificates::by_id`] that are kept for this domain or mailbox.
    fn by_id_for(&self, id: &str, scope: Option<&Scope>) -> Result<Vec<Entry>, DirectoryError> {
        let mut entries = self.by_id(id)?;
        let Some(scope) = scope else { return Ok(entries) };
        let whom: Vec<String> = entries.iter().map(|entry| entry.row.scope.to_string()).collect();
        entries.retain(|entry| entry.row.scope.key() == scope.key());
        match entries.is_empty() {
            false => Ok(entries),
            true => Err(DirectoryError::Asked(format!("{id} is kept for {}, and not for {scope}", whom.join(", ")))),
        }
    }

    /// Says whether a certificate may be used, for this domain or mailbox, or for all it is kept for.
    ///
    /// # Errors
    /// As [`Certificates::by_id`]; so also if it is not kept for that.
    pub async fn decide(
        &self,
        id: &str,
        scope: Option<&Scope>,
        decision: Decision,
        now: Time,
    ) -> Result<Vec<Entry>, DirectoryError> {
        let mut entries = self.by_id_for(id, scope)?;
        for entry in &mut entries {
            entry.row.decision = decision;
            entry.row.decided = now.unix_ms();
        }
        let word = if decision == Decision::Accepted { "accepted" } else { "refused" };
        self.change(entries, word, |tx, entry| put(tx, &entry.certificate, &entry.row)).await
    }

    /// Forgets a certificate, for this domain or mailbox, or for all it is kept for.
    ///
    /// # Errors
    /// As [`Certificates::decide`].
    pub async fn remove(&self, id: &str, scope: Option<&Scope>) -> Result<Vec<Entry>, DirectoryError> {
        self.change(self.by_id_for(id, scope)?, "removed", drop_entry).await
    }

    /// Forgets all certificates of a domain or mailbox.
    ///
    /// # Errors
    /// [`DirectoryError`]; nothing is kept for it.
    pub async fn remove_all(&self, scope: &Scope) -> Result<Vec<Entry>, DirectoryError> {
        let entries = self.of(scope)?;
        if entries.is_empty() {
            return Err(DirectoryError::Asked(format!("nothing is kept for {scope}")));
        }
        self.change(entries, "removed", drop_entry).await
    }

    async fn change(
        &self,
        entries: Vec<Entry>,
        word: &str,
        each: impl Fn(&mut dyn Transaction, &Entry) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Vec<Entry>, DirectoryError> {
        let (first, rest) = (entries.first(), entries.len().saturating_sub(1));
        let id = first.map(|entry| id_of(&entry.certificate)).unwrap_or_default();
        let domains: Vec<String> = entries
            .iter()
            .filter(|entry| entry.row.scope.is_domain())
            .map(|entry| entry.row.scope.to_string())
            .collect();
        let people: Vec<String> = entries
            .iter()
            .filter(|entry| !entry.row.scope.is_domain())
            .map(|entry| entry.row.scope.to_string())
            .collect();
        let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
        let for_whom = if domains.is_empty() { String::new() } else { format!(" for {}", domains.join(", ")) };
        let event = Event::new(EventKind::TrustChanged)
            .detail(format!("certificate {id}{more}{for_whom} {word}, by the operator"));
        let event = people.into_iter().fold(event, Event::recipient);
        let (written, changed) = (self.journal.entry(event)?, entries.clone());
        let change = move |tx: &mut dyn Transaction| {
            changed.iter().try_for_each(|entry| each(tx, entry))?;
            written.write(tx)
        };
        self.rows.commit(Box::new(change)).await?;
        Ok(entries)
    }

    /// Keeps certificates of authorities, so that paths can be built over them. None is trusted for that.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn keep_issuers(&self, issuers: Vec<Certificate>) -> Result<(), StoreError> {
        let change = move |tx: &mut dyn Transaction| {
            for issuer in issuers {
                let name = hash(issuer.subject().as_der());
                let (from, to) = (name.to_vec(), [&name[..], &[0xff; 33]].concat());
                let there = tx.range(ISSUERS, Bound::Included(&from), Bound::Included(&to), PER_ISSUER)?;
                if there.len() < PER_ISSUER {
                    tx.put(ISSUERS, &[&name[..], &issuer.fingerprint()].concat(), issuer.as_der())?;
                }
            }
            Ok(())
        };
        self.rows.commit(Box::new(change)).await
    }

    /// Certificates of the authority of this name.
    pub(crate) fn issuers_of(&self, certificate: &Certificate) -> Result<Vec<Certificate>, StoreError> {
        let name = hash(certificate.issuer().as_der());
        let (from, to) = (name.to_vec(), [&name[..], &[0xff; 33]].concat());
        let rows = self.rows.range(ISSUERS, Bound::Included(&from), Bound::Included(&to), PER_ISSUER)?;
        Ok(rows.iter().filter_map(|(_, der)| Certificate::read(der).ok()).collect())
    }

    /// Notes that something sealed to this domain or mailbox was delivered.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn note_success(&self, scope: &Scope, now: Time) -> Result<(), StoreError> {
        let key = scope.key();
        let change = move |tx: &mut dyn Transaction| tx.put(SUCCESSES, key.as_bytes(), &now.unix_ms().to_be_bytes());
        self.rows.commit(Box::new(change)).await
    }

    /// When something sealed to it was last delivered.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn last_success(&self, scope: &Scope) -> Result<Option<Time>, StoreError> {
        let row = self.rows.get(SUCCESSES, scope.key().as_bytes())?;
        Ok(row.and_then(|row| row.try_into().ok()).map(|octets| Time::from_unix_ms(i64::from_be_bytes(octets))))
    }
}

/// A certificate's fingerprint in hexadecimal, which is its id.
#[must_use]
pub fn id_of(certificate: &Certificate) -> String {
    hex(&certificate.fingerprint())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn octets_of(digits: &str) -> Vec<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or(0);
    let (pairs, _) = digits.as_bytes().as_chunks::<2>();
    pairs.iter().map(|[high, low]| (value(*high) << 4) | value(*low)).collect()
}

fn hash(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets).as_ref());
    hash
}

fn table_of(scope: &Scope) -> Table {
    if scope.is_domain() { TUNNELS } else { PERSONAL }
}

fn row_key(scope: &str, fingerprint: &[u8]) -> Vec<u8> {
    [scope.as_bytes(), &[0], fingerprint].concat()
}

fn range_of(scope: &Scope) -> (Vec<u8>, Vec<u8>) {
    let key = scope.key();
    ([key.as_bytes(), &[0]].concat(), [key.as_bytes(), &[1]].concat())
}

fn put(tx: &mut dyn Transaction, certificate: &Certificate, row: &EntryRow) -> Result<(), StoreError> {
    let (fingerprint, scope) = (certificate.fingerprint(), row.scope.key());
    tx.put(CERTIFICATES, &fingerprint, certificate.as_der())?;
    tx.put(NAMED, &[&fingerprint[..], scope.as_bytes()].concat(), &[])?;
    tx.put(table_of(&row.scope), &row_key(&scope, &fingerprint), &encoded(row)?)
}

fn encoded(row: &EntryRow) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(row).map_err(|fault| StoreError::Damaged(fault.to_string()))
}

fn read(value: &[u8]) -> Result<EntryRow, StoreError> {
    serde_json::from_slice(value).map_err(|fault| StoreError::Damaged(fault.to_string()))
}

fn drop_entry(tx: &mut dyn Transaction, entry: &Entry) -> Result<(), StoreError> {
    let (fingerprint, scope) = (entry.certificate.fingerprint(), entry.row.scope.key());
    tx.delete(table_of(&entry.row.scope), &row_key(&scope, &fingerprint))?;
    tx.delete(NAMED, &[&fingerprint[..], scope.as_bytes()].concat())?;
    let end = [&fingerprint[..], &[0xff]].concat();
    if tx.range(NAMED, Bound::Included(&fingerprint), Bound::Included(&end), 1)?.is_empty() {
        tx.delete(CERTIFICATES, &fingerprint)?;
    }
    Ok(())
}

/// What is to be done with offers.
#[derive(Default)]
struct Decided<'o> {
    /// With each of them.
    taken: Vec<Taken>,
    /// Rows to write.
    writes: Vec<(&'o Offer, EntryRow)>,
    /// Keys and rows of what was in use, and is no more.
    replaced: Vec<(Vec<u8>, EntryRow)>,
}

/// What is to be done with each offer; nothing is written here.
fn decide<'o>(
    tx: &dyn Transaction,
    offers: &'o [Offer],
    source: Source,
    replaces: bool,
    told_by: &str,
    now: Time,
) -> Result<Decided<'o>, StoreError> {
    let mut decided = Decided::default();
    for offer in offers {
        let (from, to) = range_of(&offer.scope);
        let there = tx.range(table_of(&offer.scope), Bound::Included(&from), Bound::Excluded(&to), PER_SCOPE)?;
        let mut row = row_of(offer, source, told_by, now);
        let fingerprint = offer.certificate.fingerprint();
        let mut in_use = Vec::new();
        for (key, value) in &there {
            let other = read(value)?;
            let is_in_use = other.decision == Decision::Accepted && other.not_after > now.unix_seconds();
            if is_in_use && !key.ends_with(&fingerprint) {
                in_use.push((key, other));
            }
        }
        let is_renewal = in_use.iter().any(|(_, other)| is_same(other, &row));
        let is_other = !in_use.is_empty() && !is_renewal && !replaces;
        let known = there.iter().find(|(key, _)| key.ends_with(&fingerprint));
        let of_this_scope = decided.writes.iter().filter(|(_, row)| row.scope == offer.scope).count();
        if known.is_none() && there.len().saturating_add(of_this_scope) >= PER_SCOPE {
            decided.taken.push(Taken::TooMany);
            continue;
        }
        if replaces {
            let comes_too = |key: &[u8]| {
                offers.iter().any(|it| it.scope == offer.scope && key.ends_with(&it.certificate.fingerprint()))
            };
            for (key, mut other) in in_use.into_iter().filter(|(key, _)| !comes_too(key)) {
                other.decision = Decision::Refused;
                other.decided = now.unix_ms();
                decided.replaced.push((key.clone(), other));
            }
        }
        if let Some((_, known)) = known {
            let mut known = read(known)?;
            // Who brings it for this very scope accepts it, unless another is in use.
            let is_accepted = known.decision == Decision::Accepted;
            if source == Source::Operator && !is_accepted && !is_other {
                known.decision = Decision::Accepted;
                known.decided = now.unix_ms();
                decided.writes.push((offer, known));
            }
            let is_conflict = source == Source::Operator && !is_accepted && is_other;
            decided.taken.push(if is_conflict { Taken::Conflict } else { Taken::Known });
            continue;
        }
        let outcome = match source {
            _ if is_renewal => Taken::Renewed,
            Source::Issued | Source::Configuration => Taken::New,
            _ if is_other => Taken::Conflict,
            // A column that slipped would seal a domain's mail to another's key.
            Source::Table if !offer.scope.others_named_by(&offer.certificate).is_empty() => Taken::Conflict,
            Source::Mail if !offer.is_trusted => Taken::Asked,
            Source::Operator | Source::Mail | Source::Table => Taken::New,
        };
        row.is_conflict = outcome == Taken::Conflict;
        if matches!(outcome, Taken::Conflict | Taken::Asked) {
            row.decision = Decision::Asked;
        }
        decided.taken.push(outcome);
        decided.writes.push((offer, row));
    }
    Ok(decided)
}

fn row_of(offer: &Offer, source: Source, told_by: &str, now: Time) -> EntryRow {
    let certificate = &offer.certificate;
    let identity = certificate.subject().oces().and_then(|it| Some(format!("{}/{}", it.cvr, it.key?)));
    EntryRow {
        scope: offer.scope.clone(),
        source,
        told_by: told_by.chars().filter(|letter| !letter.is_control()).take(256).collect(),
        first_seen: now.unix_ms(),
        decision: Decision::Accepted,
        decided: now.unix_ms(),
        not_after: certificate.validity().map_or(0, |(_, until)| until),
        key: certificate.public_key().map(|key| hex(&hash(key.info()))).unwrap_or_default(),
        identity,
        is_conflict: false,
    }
}

/// One key, or one organisation of OCES with one key's name: over its renewals the latter stays (only its authority gives
/// it, and a path to it is asked for whenever the certificate is used).
fn is_same(one: &EntryRow, other: &EntryRow) -> bool {
    (one.key == other.key && !one.key.is_empty()) || (one.identity.is_some() && one.identity == other.identity)
}
