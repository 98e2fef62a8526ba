//! MTA-STS (RFC 8461): policies are asked for, remembered over a restart, and renewed before they end.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use crate::delivery::https::{Https, HttpsFault};
use crate::delivery::smtp::sts_policy::{StsFault, StsPolicy, record_id};
use crate::mail::{Domain, TlsFailure};
use crate::net::{Clock, Shutdown, Steadiness, Time};
use crate::store::{
    RowsHandle, StoreError, Table, Transaction, decode_row, encode_row, lock_value, pages, unlock_value,
};
use crate::vault::{Epoch, Vault};

/// Keyed hash of a domain → epoch, and locked: the policy it had.
const POLICIES: Table = Table("delivery.sts");
/// How long a policy host has for all it says.
const PATIENCE: Duration = Duration::from_secs(20);
/// Octets of a policy (RFC 8461 §3.2).
const POLICY_OCTETS: usize = 64 * 1024;
/// How long a domain is not asked again whether its policy is another.
const ASKED_AGAIN: Duration = Duration::from_secs(300);
/// Domains of which it is remembered when they were asked.
const ASKED: usize = 4_096;
/// Domains that may be asked at the same time.
const TURNS: usize = 16;
/// How often policies are looked through for those that near their end.
const RENEWAL: Duration = Duration::from_secs(3_600);

/// Knows the policies of domains. Cheap to clone.
#[derive(Clone)]
pub struct Sts(Arc<Inside>);

struct Inside {
    https: Https,
    keeping: StsKeeping,
    asked: Mutex<HashMap<Domain, Instant>>,
    /// Who asks for a domain; whoever comes meanwhile waits for the answer.
    turns: [tokio::sync::Mutex<()>; TURNS],
    /// Nobody outside knows which domains share a turn.
    shares: RandomState,
}

/// Where policies are remembered.
#[derive(Clone)]
pub struct StsKeeping {
    /// Rows.
    pub rows: RowsHandle,
    /// The lock: whom we write to is nobody's business.
    pub vault: Vault,
    /// What time it is.
    pub clock: Clock,
    /// Whether it can be relied on: a policy that is forgotten protects nobody.
    pub steadiness: Steadiness,
}

/// A policy as it was fetched.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    domain: Domain,
    id: String,
    policy: StsPolicy,
    /// Milliseconds since 1970.
    fetched: i64,
}

/// Why a policy could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchFault {
    #[error("of the policy host: {0}")]
    Https(#[from] HttpsFault),
    #[error("the policy host answered {0}")]
    Status(StatusCode),
    #[error("the policy host sent no text")]
    NoText,
    #[error("{0}")]
    Policy(#[from] StsFault),
}

/// What a domain asks, as far as it could be found out.
#[derive(Debug, Default)]
pub struct Asked {
    /// Its policy, if it has one that counts.
    pub policy: Option<StsPolicy>,
    /// Why a policy that is there could not be had this time.
    pub failure: Option<TlsFailure>,
}

impl Asked {
    fn known(known: Option<Known>) -> Self {
        Self { policy: known.map(|known| known.policy), failure: None }
    }
}

impl FetchFault {
    fn failure(&self) -> TlsFailure {
        match self {
            Self::Https(HttpsFault::Proof(_)) => TlsFailure::StsWebpkiInvalid,
            Self::Https(HttpsFault::Name(_) | HttpsFault::Connection(_) | HttpsFault::TooLate) | Self::Status(_) => {
                TlsFailure::StsPolicyFetchError
            }
            Self::NoText | Self::Policy(_) => TlsFailure::StsPolicyInvalid,
        }
    }
}

impl StsKeeping {
    /// Locks anew what is locked to an epoch that is about to end: a policy may count for longer. What cannot be read is
    /// forgotten.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails or the lock cannot be made.
    pub async fn move_on(&self, from: Epoch) -> Result<(), StoreError> {
        for page in pages(&*self.rows, POLICIES) {
            let mut moved = Vec::new();
            for (key, row) in page? {
                let known = match unlocked(&self.vault, &row) {
                    Some((epoch, _)) if epoch != from.number() => continue,
                    Some((_, known)) => Some(self.locked(&known)?),
                    None => None,
                };
                moved.push((key, row, known));
            }
            let change = move |tx: &mut dyn Transaction| {
                for (key, row, known) in moved {
                    match (tx.get(POLICIES, &key)?, known) {
                        // Fetched anew meanwhile.
                        (found, _) if found.as_ref() != Some(&row) => {}
                        (_, Some(known)) => tx.put(POLICIES, &key, &known)?,
                        (_, None) => tx.delete(POLICIES, &key)?,
                    }
                }
                Ok(())
            };
            self.rows.commit(Box::new(change)).await?;
        }
        Ok(())
    }

    /// While the clock cannot be relied on, no policy has ended.
    fn is_over(&self, known: &Known) -> bool {
        self.clock.now() >= known.ends() && self.steadiness.holds()
    }

    fn locked(&self, known: &Known) -> Result<Vec<u8>, StoreError> {
        let locked = lock_value(&self.vault, known).map_err(|fault| StoreError::Unavailable(fault.to_string()))?;
        encode_row(&locked.epoch, &locked.octets)
    }
}

impl Known {
    fn ends(&self) -> Time {
        Time::from_unix_ms(self.fetched).after(Duration::from_secs(self.policy.max_age))
    }

    fn is_half_over(&self, now: Time) -> bool {
        now >= Time::from_unix_ms(self.fetched).after(Duration::from_secs(self.policy.max_age / 2))
    }
}

impl Sts {
    /// Policies asked for there, remembered.
    #[must_use]
    pub fn new(https: Https, keeping: StsKeeping) -> Self {
        let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Self(Arc::new(Inside { https, keeping, asked: Mutex::default(), turns, shares: RandomState::new() }))
    }

    /// The policy of a domain. One that is known counts until its end, whatever can be looked up meanwhile: who can
    /// suppress an answer gains nothing (RFC 8461 §3.3).
    ///
    /// # Errors
    /// [`StoreError`] if what is remembered cannot be read.
    pub async fn policy(&self, domain: &Domain) -> Result<Asked, StoreError> {
        if self.was_just_asked(domain) {
            return Ok(Asked::known(self.known(domain)?));
        }
        let _turn = self.turn(domain).await;
        let known = self.known(domain)?;
        if self.was_just_asked(domain) {
            return Ok(Asked::known(known));
        }
        let asked = self.asked(domain, known).await?;
        self.note_asked(domain, asked.policy.as_ref());
        Ok(asked)
    }

    /// Asks whether the policy is another, and fetches it if so.
    async fn asked(&self, domain: &Domain, known: Option<Known>) -> Result<Asked, StoreError> {
        let id = match self.0.https.dns.texts(&format!("_mta-sts.{domain}")).await {
            Ok(told) => record_id(&told.records),
            Err(fault) => {
                tracing::debug!(%fault, "an MTA-STS record cannot be looked up");
                None
            }
        };
        let now = self.0.keeping.clock.now();
        match (id, known) {
            (Some(id), Some(known)) if known.id == id && !known.is_half_over(now) => Ok(Asked::known(Some(known))),
            (Some(id), known) => match self.renewed(domain, id).await? {
                Ok(policy) => Ok(Asked { policy: Some(policy), failure: None }),
                Err(failure) => Ok(Asked { failure: Some(failure), ..Asked::known(known) }),
            },
            (None, known) => Ok(Asked::known(known)),
        }
    }

    /// Renews what nears its end, at once and hour by hour, until the end begins.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                renewed = self.renew_all() => if let Err(fault) = renewed {
                    tracing::warn!(%fault, "MTA-STS policies cannot be renewed");
                },
                () = shutdown.begun() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(RENEWAL) => {}
                () = shutdown.begun() => return,
            }
        }
    }

    /// Fetches anew every policy whose time is half over, and forgets those whose time is. The others move on to the
    /// newest epoch: they may outlive the one they were locked to.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn renew_all(&self) -> Result<(), StoreError> {
        let StsKeeping { rows, vault, .. } = &self.0.keeping;
        let now = self.0.keeping.clock.now();
        let newest = vault.row_locker().epoch().number();
        let (mut over, mut due) = (Vec::new(), Vec::new());
        for page in pages(&**rows, POLICIES) {
            for (key, row) in page? {
                match unlocked(vault, &row) {
                    Some((epoch, known)) if !self.0.keeping.is_over(&known) => {
                        due.extend((epoch != newest || known.is_half_over(now)).then_some(known.domain));
                    }
                    Some(_) | None => over.push((key, row)),
                }
            }
        }
        for (key, row) in over {
            let change = move |tx: &mut dyn Transaction| match tx.get(POLICIES, &key)? {
                // Fetched anew meanwhile.
                Some(found) if found != row => Ok(()),
                Some(_) | None => tx.delete(POLICIES, &key),
            };
            rows.commit(Box::new(change)).await?;
        }
        for domain in due {
            let _turn = self.turn(&domain).await;
            let Some(known) = self.known(&domain)? else { continue };
            let is_renewed = known.is_half_over(now) && self.renewed(&domain, known.id.clone()).await?.is_ok();
            if !is_renewed {
                self.remember(known).await?;
            }
        }
        Ok(())
    }

    async fn turn(&self, domain: &Domain) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let place = usize::try_from(self.0.shares.hash_one(domain) % TURNS as u64).unwrap_or_default();
        match self.0.turns.get(place) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }

    fn was_just_asked(&self, domain: &Domain) -> bool {
        let asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(domain).is_some_and(|until| Instant::now() < *until)
    }

    /// The domain is not asked again for a while, and not longer than what it said counts.
    fn note_asked(&self, domain: &Domain, policy: Option<&StsPolicy>) {
        let now = Instant::now();
        let counts = policy.map_or(ASKED_AGAIN, |policy| Duration::from_secs(policy.max_age));
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= ASKED {
            asked.retain(|_, until| now < *until);
        }
        if asked.len() < ASKED {
            asked.insert(domain.clone(), now + counts.min(ASKED_AGAIN));
        }
    }

    fn known(&self, domain: &Domain) -> Result<Option<Known>, StoreError> {
        let StsKeeping { rows, vault, .. } = &self.0.keeping;
        let row = rows.get(POLICIES, &self.key(domain))?;
        let known = row.and_then(|row| unlocked(vault, &row)).map(|(_, known)| known);
        Ok(known.filter(|known| !self.0.keeping.is_over(known)))
    }

    fn key(&self, domain: &Domain) -> [u8; 32] {
        self.0.keeping.vault.index().hash("sts", domain.as_str().to_lowercase().as_bytes())
    }

    /// The policy as it is now, remembered, or why it cannot be had.
    async fn renewed(&self, domain: &Domain, id: String) -> Result<Result<StsPolicy, TlsFailure>, StoreError> {
        let fetched = match timeout(PATIENCE, self.fetch(domain)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(HttpsFault::TooLate.into()),
        };
        let policy = match fetched {
            Ok(policy) => policy,
            Err(fault) => {
                tracing::info!(%fault, "an MTA-STS policy cannot be fetched");
                return Ok(Err(fault.failure()));
            }
        };
        let fetched = self.0.keeping.clock.now().unix_ms();
        self.remember(Known { domain: domain.clone(), id, policy: policy.clone(), fetched }).await?;
        Ok(Ok(policy))
    }

    async fn remember(&self, known: Known) -> Result<(), StoreError> {
        let (key, row) = (self.key(&known.domain), self.0.keeping.locked(&known)?);
        self.0.keeping.rows.commit(Box::new(move |tx| tx.put(POLICIES, &key, &row))).await
    }

    /// `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`: no redirect, no cache, a certificate we trust (RFC 8461 §3.3).
    async fn fetch(&self, domain: &Domain) -> Result<StsPolicy, FetchFault> {
        let name: Result<Domain, _> = format!("mta-sts.{domain}").parse();
        let host = name.map_err(|_| HttpsFault::Name("its name is too long".to_owned()))?;
        let asked = Request::get("/.well-known/mta-sts.txt").body(Full::new(Bytes::new()));
        let asked = asked.map_err(|fault| HttpsFault::Connection(fault.to_string()))?;
        let said = self.0.https.ask(&host, asked).await?;
        if said.head.status() != StatusCode::OK {
            return Err(FetchFault::Status(said.head.status()));
        }
        let media = said.head.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !media.is_some_and(|media| media.to_ascii_lowercase().starts_with("text/plain")) {
            return Err(FetchFault::NoText);
        }
        let body = said.body(POLICY_OCTETS).await?;
        Ok(String::from_utf8_lossy(&body).parse()?)
    }
}

/// A policy, and the epoch it was locked to.
fn unlocked(vault: &Vault, row: &[u8]) -> Option<(u32, Known)> {
    let (epoch, locked): (u32, _) = decode_row(row).ok()?;
    Some((epoch, unlock_value(vault, epoch, locked).ok()?))
}
