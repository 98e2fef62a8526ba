//! MTA-STS (RFC 8461): policies are asked for, remembered over a restart, and renewed before they end.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::delivery::smtp::sts_policy::{StsPolicy, record_id};
use crate::mail::Domain;
use crate::net::{ClientTls, Clock, Dns, Proof, Shutdown, Time, is_callable};
use crate::store::{RowsHandle, StoreError, Table, decode_row, encode_row, lock_value, pages, unlock_value};
use crate::vault::Vault;

/// Keyed hash of a domain → epoch, and locked: the policy it had.
const POLICIES: Table = Table("delivery.sts");
/// Port of policy hosts.
const PORT: u16 = 443;
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
    dns: Dns,
    tls: ClientTls,
    keeping: StsKeeping,
    asked: Mutex<HashMap<Domain, Instant>>,
    /// Who asks for a domain; whoever comes meanwhile waits for the answer.
    turns: [tokio::sync::Mutex<()>; TURNS],
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
    #[error("the policy host cannot be found: {0}")]
    Name(String),
    #[error("the policy host cannot be reached: {0}")]
    Connection(String),
    #[error("the policy host answered {0}")]
    Status(StatusCode),
    #[error("the policy host sent no text")]
    NoText,
    #[error("{0}")]
    Policy(#[from] crate::delivery::smtp::sts_policy::StsFault),
    #[error("the policy host took too long")]
    TooLate,
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
    /// Policies asked of this DNS, fetched under this trust, remembered there.
    #[must_use]
    pub fn new(dns: Dns, tls: ClientTls, keeping: StsKeeping) -> Self {
        let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Self(Arc::new(Inside { dns, tls, keeping, asked: Mutex::default(), turns }))
    }

    /// The policy of a domain. One that is known counts until its end, whatever can be looked up meanwhile: who can
    /// suppress an answer gains nothing (RFC 8461 §3.3).
    ///
    /// # Errors
    /// [`StoreError`] if what is remembered cannot be read.
    pub async fn policy(&self, domain: &Domain) -> Result<Option<StsPolicy>, StoreError> {
        let mut hasher = DefaultHasher::new();
        domain.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default();
        let _turn = match self.0.turns.get(place) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        let known = self.known(domain)?;
        if !self.asks_now(domain) {
            return Ok(known.map(|known| known.policy));
        }
        let id = match self.0.dns.texts(&format!("_mta-sts.{domain}")).await {
            Ok(told) => record_id(&told.records),
            Err(fault) => {
                tracing::debug!(%fault, "an MTA-STS record cannot be looked up");
                None
            }
        };
        let now = self.0.keeping.clock.now();
        match (id, known) {
            (Some(id), Some(known)) if known.id == id && !known.is_half_over(now) => Ok(Some(known.policy)),
            (Some(id), known) => Ok(self.renewed(domain, id).await?.or(known.map(|known| known.policy))),
            (None, known) => Ok(known.map(|known| known.policy)),
        }
    }

    /// Renews what nears its end, hour by hour, until the end begins.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RENEWAL) => {}
                () = shutdown.begun() => return,
            }
            if let Err(fault) = self.renew_all().await {
                tracing::warn!(%fault, "MTA-STS policies cannot be renewed");
            }
        }
    }

    /// Fetches anew every policy whose time is half over, and forgets those whose time is. The others move on to the
    /// newest epoch: they may outlive the one they were locked to.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn renew_all(&self) -> Result<(), StoreError> {
        let StsKeeping { rows, vault, clock } = &self.0.keeping;
        let now = clock.now();
        let newest = vault.row_locker().epoch().number();
        let (mut over, mut due, mut left_behind) = (Vec::new(), Vec::new(), Vec::new());
        for page in pages(&**rows, POLICIES) {
            for (key, row) in page? {
                match unlocked(vault, &row) {
                    Some((_, known)) if now >= known.ends() => over.push(key),
                    Some((_, known)) if known.is_half_over(now) => due.push(known),
                    Some((epoch, known)) => left_behind.extend((epoch != newest).then_some(known)),
                    None => over.push(key),
                }
            }
        }
        if !over.is_empty() {
            rows.commit(Box::new(move |tx| over.iter().try_for_each(|key| tx.delete(POLICIES, key)))).await?;
        }
        for known in left_behind {
            self.remember(known).await?;
        }
        for known in due {
            let (domain, id) = (known.domain.clone(), known.id.clone());
            if self.renewed(&domain, id).await?.is_none() {
                self.remember(known).await?;
            }
        }
        Ok(())
    }

    /// Whether it is time to ask again; if so, it counts as asked.
    fn asks_now(&self, domain: &Domain) -> bool {
        let now = Instant::now();
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.get(domain).is_some_and(|then| now < *then + ASKED_AGAIN) {
            return false;
        }
        if asked.len() >= ASKED {
            asked.retain(|_, then| now < *then + ASKED_AGAIN);
        }
        if asked.len() < ASKED {
            asked.insert(domain.clone(), now);
        }
        true
    }

    fn known(&self, domain: &Domain) -> Result<Option<Known>, StoreError> {
        let StsKeeping { rows, vault, clock } = &self.0.keeping;
        let row = rows.get(POLICIES, &self.key(domain))?;
        let known = row.and_then(|row| unlocked(vault, &row)).map(|(_, known)| known);
        Ok(known.filter(|known| clock.now() < known.ends()))
    }

    fn key(&self, domain: &Domain) -> [u8; 32] {
        self.0.keeping.vault.index().hash("sts", domain.as_str().to_lowercase().as_bytes())
    }

    /// The policy as it is now, remembered; `None` if it cannot be had.
    async fn renewed(&self, domain: &Domain, id: String) -> Result<Option<StsPolicy>, StoreError> {
        let fetched = match timeout(PATIENCE, self.fetch(domain)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(FetchFault::TooLate),
        };
        let policy = match fetched {
            Ok(policy) => policy,
            Err(fault) => {
                tracing::info!(%fault, "an MTA-STS policy cannot be fetched");
                return Ok(None);
            }
        };
        let fetched = self.0.keeping.clock.now().unix_ms();
        self.remember(Known { domain: domain.clone(), id, policy: policy.clone(), fetched }).await?;
        Ok(Some(policy))
    }

    async fn remember(&self, known: Known) -> Result<(), StoreError> {
        let StsKeeping { rows, vault, .. } = &self.0.keeping;
        let locked = lock_value(vault, &known).map_err(|fault| StoreError::Unavailable(fault.to_string()))?;
        let (key, row) = (self.key(&known.domain), encode_row(&locked.epoch, &locked.octets)?);
        rows.commit(Box::new(move |tx| tx.put(POLICIES, &key, &row))).await
    }

    /// `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`: no redirect, no cache, a certificate we trust (RFC 8461 §3.3).
    async fn fetch(&self, domain: &Domain) -> Result<StsPolicy, FetchFault> {
        let name = format!("mta-sts.{domain}");
        let host: Domain = name.parse().map_err(|_| FetchFault::Name("its name is too long".to_owned()))?;
        let told = self.0.dns.addresses(&host).await.map_err(|fault| FetchFault::Name(fault.to_string()))?;
        let address = told.records.into_iter().find(|address| is_callable(*address));
        let address = address.ok_or_else(|| FetchFault::Name("it has no address".to_owned()))?;
        let unreachable = |fault: String| FetchFault::Connection(fault);
        let stream = TcpStream::connect(SocketAddr::new(address, PORT)).await;
        let stream = stream.map_err(|fault| unreachable(fault.to_string()))?;
        let stream = self.0.tls.connect(stream, &name, Proof::Verified).await;
        let stream = stream.map_err(|fault| unreachable(fault.to_string()))?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|fault| unreachable(fault.to_string()))?;
        let asked = Request::get("/.well-known/mta-sts.txt").header(header::HOST, &name).body(Empty::<Bytes>::new());
        let asked = asked.map_err(|fault| unreachable(fault.to_string()))?;
        // It carries the exchange, and ends with it.
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let answer = sender.send_request(asked).await.map_err(|fault| unreachable(fault.to_string()))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchFault::Status(answer.status()));
        }
        let media = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !media.is_some_and(|media| media.to_ascii_lowercase().starts_with("text/plain")) {
            return Err(FetchFault::NoText);
        }
        let body = Limited::new(answer.into_body(), POLICY_OCTETS).collect().await;
        let body = body.map_err(|fault| unreachable(fault.to_string()))?.to_bytes();
        Ok(String::from_utf8_lossy(&body).parse()?)
    }
}

/// A policy, and the epoch it was locked to.
fn unlocked(vault: &Vault, row: &[u8]) -> Option<(u32, Known)> {
    let (epoch, locked): (u32, _) = decode_row(row).ok()?;
    Some((epoch, unlock_value(vault, epoch, locked).ok()?))
}
