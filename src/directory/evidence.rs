//! What is known about revocation: lists and answers that were fetched, kept until newer ones are there.
//!
//! Judging reads what is kept and waits for nothing. What it would have needed is noted as wanted, and fetched by whoever
//! looks after it, ahead of the time when it is due.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::cms::{Certificate, Crl, GeneralName, Path, ocsp_request};
use crate::net::Time;
use crate::store::{RowsHandle, StoreError, Table, Transaction, decode_row, encode_row, pages};

/// Hash of the place → [`EvidenceRow`] and the octets that were fetched there.
const EVIDENCE: Table = Table("directory.evidence");
/// Octets of a list or an answer that are fetched.
pub const EVIDENCE_OCTETS: usize = 32 << 20;
/// Places that are looked after. Authorities are few; a stranger's certificates must not make us ask everywhere.
const PLACES: usize = 10_000;
/// URLs that are followed of one certificate.
const URLS: usize = 3;
/// When a list that was fetched is fetched again: after half of its time, and between an hour and a day.
const OFTEN: Duration = Duration::from_secs(3_600);
const SELDOM: Duration = Duration::from_secs(24 * 3_600);
/// How long to wait after a place could not be asked.
const AGAIN: Duration = Duration::from_secs(600);

/// Where something is told about revocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Told {
    /// An address, `http:` as RFC 5280 §4.2.1.13 has it.
    pub url: String,
    /// The question to an OCSP responder in base64; none for a list.
    pub question: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct EvidenceRow {
    place: Told,
    /// When it was fetched, in milliseconds since 1970.
    fetched: Option<i64>,
    /// When it is to be fetched again.
    due: i64,
}

/// Lists and answers about the certificates of a path.
#[derive(Default)]
pub(crate) struct Found {
    pub lists: Vec<Crl>,
    pub answers: Vec<Vec<u8>>,
}

#[derive(Clone)]
enum Held {
    List(Crl),
    Answer(Arc<[u8]>),
}

/// What is kept about revocation. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Evidences {
    rows: RowsHandle,
    held: Arc<Mutex<HashMap<[u8; 32], Option<Held>>>>,
}

impl Evidences {
    /// What is kept in these rows. Nothing is read before somebody asks.
    #[must_use]
    pub fn new(rows: RowsHandle) -> Self {
        Self { rows, held: Arc::default() }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<[u8; 32], Option<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is at hand about a path, and at these addresses besides.
    pub(crate) fn about(&self, path: &Path, besides: &[String]) -> Found {
        let mut found = Found::default();
        let besides = besides.iter().map(|url| Told { url: url.clone(), question: None });
        for place in places_of_path(path).into_iter().chain(besides) {
            match self.at(&place) {
                Some(Held::List(list)) => found.lists.push(list),
                Some(Held::Answer(answer)) => found.answers.push(answer.to_vec()),
                None => {}
            }
        }
        found
    }

    fn at(&self, place: &Told) -> Option<Held> {
        let key = key_of(place);
        if let Some(known) = self.held().get(&key) {
            return known.clone();
        }
        let row = self.rows.get(EVIDENCE, &key).ok().flatten()?;
        let held = decode_row::<EvidenceRow>(&row).ok().and_then(|(_, octets)| read(place, octets));
        let mut all = self.held();
        if all.len() < PLACES {
            all.insert(key, held.clone());
        }
        held
    }

    /// Notes that these places are wanted, to be asked at once.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn want(&self, places: Vec<Told>) -> Result<(), StoreError> {
        let mut fresh = Vec::new();
        for place in places {
            if self.rows.get(EVIDENCE, &key_of(&place))?.is_none() {
                fresh.push(place);
            }
        }
        if fresh.is_empty()
            || self.rows.keys(EVIDENCE, std::ops::Bound::Unbounded, std::ops::Bound::Unbounded, PLACES)?.len() >= PLACES
        {
            return Ok(());
        }
        let change = move |tx: &mut dyn Transaction| {
            for place in fresh {
                let key = key_of(&place);
                if tx.get(EVIDENCE, &key)?.is_none() {
                    tx.put(EVIDENCE, &key, &encode_row(&EvidenceRow { place, fetched: None, due: 0 }, &[])?)?;
                }
            }
            Ok(())
        };
        self.rows.commit(Box::new(change)).await
    }

    /// The places that are to be asked now.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn due(&self, now: Time) -> Result<Vec<Told>, StoreError> {
        let mut due = Vec::new();
        for page in pages(&*self.rows, EVIDENCE) {
            for (_, row) in page? {
                let (row, _) = decode_row::<EvidenceRow>(&row)?;
                if row.due <= now.unix_ms() {
                    due.push(row.place);
                }
            }
        }
        Ok(due)
    }

    /// Keeps what a place told, in place of what it told before; or, if that was nothing that can be read, notes when to ask
    /// again. What was told before stays then.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn keep(&self, place: Told, told: Option<Vec<u8>>, now: Time) -> Result<bool, StoreError> {
        let key = key_of(&place);
        let held = told.as_deref().and_then(|octets| read(&place, octets));
        let is_kept = held.is_some();
        let due = match &held {
            Some(Held::List(list)) => now.after(wait_for(list, now)),
            Some(Held::Answer(_)) => now.after(OFTEN),
            None => now.after(AGAIN),
        };
        let change = move |tx: &mut dyn Transaction| {
            let row = match (is_kept, told) {
                (true, Some(octets)) => {
                    encode_row(&EvidenceRow { place, fetched: Some(now.unix_ms()), due: due.unix_ms() }, &octets)?
                }
                _ => match tx.get(EVIDENCE, &key)? {
                    Some(row) => {
                        let (before, octets) = decode_row::<EvidenceRow>(&row)?;
                        encode_row(&EvidenceRow { due: due.unix_ms(), ..before }, octets)?
                    }
                    None => encode_row(&EvidenceRow { place, fetched: None, due: due.unix_ms() }, &[])?,
                },
            };
            tx.put(EVIDENCE, &key, &row)
        };
        self.rows.commit(Box::new(change)).await?;
        if is_kept {
            self.held().insert(key, held);
        }
        Ok(is_kept)
    }
}

fn key_of(place: &Told) -> [u8; 32] {
    let mut text = place.url.clone();
    if let Some(question) = &place.question {
        text.push('\n');
        text.push_str(question);
    }
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    key
}

fn read(place: &Told, octets: &[u8]) -> Option<Held> {
    if octets.is_empty() {
        return None;
    }
    match place.question {
        None => Crl::read(octets).ok().map(Held::List),
        Some(_) => Some(Held::Answer(octets.into())),
    }
}

fn wait_for(list: &Crl, now: Time) -> Duration {
    let left = list.next_update().unwrap_or(0).saturating_sub(now.unix_seconds());
    Duration::from_secs(u64::try_from(left / 2).unwrap_or(0)).clamp(OFTEN, SELDOM)
}

/// Where a path's revocation is told, the anchor's aside.
fn places_of_path(path: &Path) -> Vec<Told> {
    let issuers = path.certificates.iter().skip(1);
    path.certificates.iter().zip(issuers).flat_map(|(certificate, issuer)| places_of(certificate, issuer)).collect()
}

/// Where the revocation of a certificate is told: lists, and responders with the question to them.
pub(crate) fn places_of(certificate: &Certificate, issuer: &Certificate) -> Vec<Told> {
    let points = certificate.distribution_points().unwrap_or_default();
    let lists = points.iter().flat_map(|point| &point.names).filter_map(|name| match name {
        GeneralName::Uri(url) if url.starts_with("http://") => Some(Told { url: (*url).to_owned(), question: None }),
        _ => None,
    });
    let question = ocsp_request(certificate, issuer, None).ok().map(|question| STANDARD.encode(question));
    let responders = certificate.ocsp_urls().unwrap_or_default();
    let answers = responders.into_iter().filter(|url| url.starts_with("http://"));
    let answers = answers.filter_map(|url| Some(Told { url: url.to_owned(), question: Some(question.clone()?) }));
    lists.take(URLS).chain(answers.take(URLS)).collect()
}
