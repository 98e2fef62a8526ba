//! How many sessions may be open at once, in all and from one client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places beyond the limit, for those who are told to come again. When these are taken too, nobody is accepted and
/// the kernel's queue holds the rest.
const TURNED_AWAY_AT_ONCE: usize = 16;

/// Counts the sessions of one listener.
#[derive(Debug, Clone)]
pub struct SessionLimits {
    places: Arc<Semaphore>,
    in_all: usize,
    per_client: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    admitted: usize,
    clients: HashMap<IpAddr, usize>,
}

/// A place at the door, taken before anyone is accepted into it.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Whether there is room for a client.
#[derive(Debug)]
pub enum Admission {
    /// There is; the session counts until this is dropped.
    Admitted(Admitted),
    /// Not for anybody.
    Full(Place),
    /// Not for this client, who has as many as one may have.
    ClientFull(Place),
}

/// A session that counts.
#[derive(Debug)]
pub struct Admitted {
    _place: Place,
    /// Whose share it is of; of nobody's for a peer that is trusted.
    client: Option<IpAddr>,
    per_client: usize,
    counts: Arc<Mutex<Counts>>,
}

impl SessionLimits {
    /// At most so many sessions in all, and so many of one client.
    #[must_use]
    pub fn new(in_all: usize, per_client: usize) -> Self {
        let places = in_all.saturating_add(TURNED_AWAY_AT_ONCE).min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), in_all, per_client, counts: Arc::default() }
    }

    /// Waits for a place.
    pub async fn place(&self) -> Place {
        loop {
            // The semaphore is never closed, so this goes round once.
            if let Ok(permit) = Arc::clone(&self.places).acquire_owned().await {
                return Place { _permit: permit };
            }
        }
    }

    /// Gives the place to a client, if it may have one.
    #[must_use]
    pub fn admit(&self, place: Place, ip: IpAddr) -> Admission {
        let client = client_of(ip);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.admitted >= self.in_all {
            return Admission::Full(place);
        }
        let own = counts.clients.entry(client).or_insert(0);
        if *own >= self.per_client {
            return Admission::ClientFull(place);
        }
        *own += 1;
        counts.admitted += 1;
        Admission::Admitted(self.admitted_as(place, Some(client)))
    }

    /// Gives the place to a peer that speaks for many, if there is room for anybody.
    #[must_use]
    pub fn admit_trusted(&self, place: Place) -> Admission {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.admitted >= self.in_all {
            return Admission::Full(place);
        }
        counts.admitted += 1;
        Admission::Admitted(self.admitted_as(place, None))
    }

    fn admitted_as(&self, place: Place, client: Option<IpAddr>) -> Admitted {
        Admitted { _place: place, client, per_client: self.per_client, counts: Arc::clone(&self.counts) }
    }

    /// Sessions that count now.
    #[must_use]
    pub fn admitted(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).admitted
    }
}

impl Admitted {
    /// Counts the session as this client's from now on; as nobody's, if there is none. `false`, and nothing is changed,
    /// if the client has its share.
    #[must_use]
    pub fn count_for(&mut self, ip: Option<IpAddr>) -> bool {
        let client = ip.map(client_of);
        if client == self.client {
            return true;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = client {
            let own = counts.clients.entry(client).or_insert(0);
            if *own >= self.per_client {
                return false;
            }
            *own += 1;
        }
        counts.give_back(self.client);
        self.client = client;
        true
    }
}

impl Counts {
    fn give_back(&mut self, client: Option<IpAddr>) {
        let Some(client) = client else { return };
        if let Some(own) = self.clients.get_mut(&client) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                self.clients.remove(&client);
            }
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.admitted = counts.admitted.saturating_sub(1);
        counts.give_back(self.client);
    }
}

/// Whom an address belongs to: with IPv6 a client has a /64 of them (RFC 6177 §2).
pub(crate) fn client_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use crate::net::limit::*;

    async fn admit(limits: &SessionLimits, ip: &str) -> Admission {
        limits.admit(limits.place().await, ip.parse().unwrap())
    }

    #[tokio::test]
    async fn a_client_has_its_share_and_everybody_the_whole() {
        let limits = SessionLimits::new(3, 2);
        let first = admit(&limits, "192.0.2.1").await;
        let second = admit(&limits, "::ffff:192.0.2.1").await;
        assert!(matches!((&first, &second), (Admission::Admitted(_), Admission::Admitted(_))));
        assert!(matches!(admit(&limits, "192.0.2.1").await, Admission::ClientFull(_)));
        let third = admit(&limits, "2001:db8::1").await;
        assert!(matches!(third, Admission::Admitted(_)));
        assert!(matches!(admit(&limits, "2001:db8:1::1").await, Admission::Full(_)));
        drop(first);
        assert!(matches!(admit(&limits, "2001:db8::2").await, Admission::Admitted(_)));
        assert_eq!(limits.admitted(), 2);
    }

    #[tokio::test]
    async fn a_session_counts_for_whom_its_peer_speaks() {
        let limits = SessionLimits::new(4, 1);
        let trusted = async || match limits.admit_trusted(limits.place().await) {
            Admission::Admitted(admitted) => admitted,
            other => panic!("{other:?}"),
        };
        let ip = |text: &str| Some(text.parse().unwrap());
        let (mut first, mut second) = (trusted().await, trusted().await);
        assert!(first.count_for(ip("192.0.2.1")) && first.count_for(ip("::ffff:192.0.2.1")));
        assert!(!second.count_for(ip("192.0.2.1")));
        assert!(matches!(admit(&limits, "192.0.2.1").await, Admission::ClientFull(_)));
        assert!(first.count_for(ip("192.0.2.2")) && second.count_for(ip("192.0.2.1")) && first.count_for(None));
        drop((first, second));
        assert!(limits.counts.lock().unwrap().clients.is_empty());
        let _four = [trusted().await, trusted().await, trusted().await, trusted().await];
        assert!(matches!(limits.admit_trusted(limits.place().await), Admission::Full(_)));
    }

    #[tokio::test]
    async fn a_client_that_has_gone_leaves_nothing_behind() {
        let limits = SessionLimits::new(10, 1);
        for last in 1..=200_u8 {
            drop(admit(&limits, &format!("192.0.2.{last}")).await);
        }
        assert!(limits.counts.lock().unwrap().clients.is_empty());
        assert_eq!(limits.admitted(), 0);
    }
}
