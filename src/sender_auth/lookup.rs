//! What is asked of the DNS about one message, within its deadline.

use std::future::Future;
use std::net::IpAddr;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use crate::net::{Dns, DnsFault};

/// Octets of a name without its final dot (RFC 1035 §2.3.4).
const NAME_OCTETS: usize = 253;
/// Octets of a label (RFC 1035 §2.3.4).
const LABEL_OCTETS: usize = 63;

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

/// The questions about one message. What no name can be is not asked: nothing stands there.
#[derive(Clone, Copy)]
pub(crate) struct Lookup<'n> {
    names: &'n dyn Names,
    until: Instant,
}

impl<'n> Lookup<'n> {
    pub(crate) fn new(names: &'n dyn Names, until: Instant) -> Self {
        Self { names, until }
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, Unanswered>>) -> Result<T, Unanswered> {
        timeout_at(self.until, asked).await.unwrap_or(Err(Unanswered))
    }

    pub(crate) async fn texts(&self, name: &str) -> Result<Vec<String>, Unanswered> {
        if !is_name(name) {
            return Ok(Vec::new());
        }
        self.in_time(self.names.texts(name)).await
    }

    pub(crate) async fn addresses(&self, name: &str, ipv6: bool) -> Result<Vec<IpAddr>, Unanswered> {
        if !is_name(name) {
            return Ok(Vec::new());
        }
        self.in_time(self.names.addresses(name, ipv6)).await
    }

    pub(crate) async fn exchangers(&self, name: &str) -> Result<Vec<String>, Unanswered> {
        if !is_name(name) {
            return Ok(Vec::new());
        }
        self.in_time(self.names.exchangers(name)).await
    }

    pub(crate) async fn pointers(&self, address: IpAddr) -> Result<Vec<String>, Unanswered> {
        self.in_time(self.names.pointers(address)).await
    }

    pub(crate) async fn exists(&self, name: &str) -> Result<bool, Unanswered> {
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
    bare.len() <= NAME_OCTETS && bare.split('.').all(fits)
}
