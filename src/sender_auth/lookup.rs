//! What is asked of the DNS about one message, within its deadline and no more than one message may cost.

use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use crate::net::{Dns, DnsFault};

/// Octets of a name without its final dot (RFC 1035 §2.3.4).
const NAME_OCTETS: usize = 253;
/// Octets of a label (RFC 1035 §2.3.4).
const LABEL_OCTETS: usize = 63;
/// Labels of a name that is asked about. An address of IPv6 written backwards has 32 before its zone; names far deeper are made to
/// have a resolver ask label by label until nobody waits any more, and what is false to be unknown.
const LABELS: usize = 50;
/// Questions about one message, by all its checks together: several times what honest mail costs, which has a few signatures
/// and a record of SPF within its limits. What the checks may ask by the limits of each comes to more than 400.
pub(crate) const QUESTIONS: usize = 150;

/// Nothing was told, or not in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name servers gave no answer")]
pub struct Unanswered;

/// Whoever knows what the DNS says. A name that does not exist has no records.
#[async_trait]
pub trait Names: Send + Sync {
    /// The texts at a name, each put together.
    ///
    /// # Errors
    /// [`Unanswered`].
    async fn texts(&self, name: &str) -> Result<Vec<String>, Unanswered>;

    /// The addresses at a name, of IPv6 or of IPv4.
    ///
    /// # Errors
    /// [`Unanswered`].
    async fn addresses(&self, name: &str, ipv6: bool) -> Result<Vec<IpAddr>, Unanswered>;

    /// The mail exchangers of a name, the most preferred first.
    ///
    /// # Errors
    /// [`Unanswered`].
    async fn exchangers(&self, name: &str) -> Result<Vec<String>, Unanswered>;

    /// The names an address points to.
    ///
    /// # Errors
    /// [`Unanswered`].
    async fn pointers(&self, address: IpAddr) -> Result<Vec<String>, Unanswered>;

    /// Whether a name is there at all (RFC 8020).
    ///
    /// # Errors
    /// [`Unanswered`].
    async fn exists(&self, name: &str) -> Result<bool, Unanswered>;
}

#[async_trait]
impl Names for Dns {
    async fn texts(&self, name: &str) -> Result<Vec<String>, Unanswered> {
        Ok(Self::texts(self, name).await?.records)
    }

    async fn addresses(&self, name: &str, ipv6: bool) -> Result<Vec<IpAddr>, Unanswered> {
        Ok(self.addresses_at(name, ipv6).await?.records)
    }

    async fn exchangers(&self, name: &str) -> Result<Vec<String>, Unanswered> {
        let Ok(domain) = name.parse() else { return Ok(Vec::new()) };
        match self.exchanges(&domain).await {
            Ok(mut told) => {
                told.records.sort_by_key(|exchange| exchange.preference);
                Ok(told.records.into_iter().filter_map(|exchange| Some(exchange.host?.to_string())).collect())
            }
            Err(DnsFault::NoSuchName(_)) => Ok(Vec::new()),
            Err(_) => Err(Unanswered),
        }
    }

    async fn pointers(&self, address: IpAddr) -> Result<Vec<String>, Unanswered> {
        Ok(Self::pointers(self, address).await?.records)
    }

    async fn exists(&self, name: &str) -> Result<bool, Unanswered> {
        Ok(Self::exists(self, name).await?)
    }
}

impl From<DnsFault> for Unanswered {
    fn from(_: DnsFault) -> Self {
        Self
    }
}

/// Why something was not found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfound {
    /// The name servers gave no answer in time: another time they may.
    Unanswered,
    /// The message had asked for too much already, as it will each time.
    TooMany,
}

impl From<Unanswered> for Unfound {
    fn from(_: Unanswered) -> Self {
        Self::Unanswered
    }
}

/// How many questions were asked about one message.
#[derive(Default)]
pub(crate) struct Asked(AtomicUsize);

/// The questions about one message. What no name can be is not asked: nothing stands there.
#[derive(Clone, Copy)]
pub(crate) struct Lookup<'n> {
    names: &'n dyn Names,
    until: Instant,
    asked: &'n Asked,
}

impl<'n> Lookup<'n> {
    pub(crate) fn new(names: &'n dyn Names, until: Instant, asked: &'n Asked) -> Self {
        Self { names, until, asked }
    }

    async fn in_time<T>(&self, question: impl Future<Output = Result<T, Unanswered>>) -> Result<T, Unfound> {
        if self.asked.0.fetch_add(1, Ordering::Relaxed) >= QUESTIONS {
            return Err(Unfound::TooMany);
        }
        Ok(timeout_at(self.until, question).await.unwrap_or(Err(Unanswered))?)
    }

    pub(crate) async fn texts(&self, name: &str) -> Result<Vec<String>, Unfound> {
        if !is_name(name) {
            return Ok(Vec::new());
        }
        self.in_time(self.names.texts(name)).await
    }

    pub(crate) async fn addresses(&self, name: &str, ipv6: bool) -> Result<Vec<IpAddr>, Unfound> {
        if !is_name(name) {
            return Ok(Vec::new());
        }
        self.in_time(self.names.addresses(name, ipv6)).await
    }

    pub(crate) async fn exchangers(&self, name: &str) -> Result<Vec<String>, Unfound> {
        if !is_name(name) {
            return Ok(Vec::new());
        }
        self.in_time(self.names.exchangers(name)).await
    }

    pub(crate) async fn pointers(&self, address: IpAddr) -> Result<Vec<String>, Unfound> {
        self.in_time(self.names.pointers(address)).await
    }

    pub(crate) async fn exists(&self, name: &str) -> Result<bool, Unfound> {
        if !is_name(name) {
            return Ok(false);
        }
        self.in_time(self.names.exists(name)).await
    }
}

/// Whether a text can be asked about: labels of printable ASCII within their bounds. Backslashes are escapes to a resolver.
pub(crate) fn is_name(text: &str) -> bool {
    let bare = text.strip_suffix('.').unwrap_or(text);
    let fits = |label: &str| {
        !label.is_empty() && label.len() <= LABEL_OCTETS && label.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    bare.len() <= NAME_OCTETS && bare.split('.').count() <= LABELS && bare.split('.').all(fits)
}
