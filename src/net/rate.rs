//! How often a client may do something: the generic cell rate algorithm (ITU-T I.371) in bounded memory.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::net::limit::client_of;

/// Clients remembered at once, some 100 octets each.
const CLIENTS: usize = 20_000;

/// So many times within such a span; as many at once after a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many times. Zero is no limit.
    pub times: u32,
    /// Within which span.
    pub within: Duration,
}

/// Remembers for each client (an IPv4 address, an IPv6 /64) when its account will be even. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct RateLimit(Arc<Mutex<Accounts>>);

#[derive(Debug, Default)]
struct Accounts {
    even: HashMap<IpAddr, Instant>,
    /// The same, who is even soonest first: it goes first when room is wanted, having the least to be remembered for.
    soonest: BTreeSet<(Instant, IpAddr)>,
}

impl Rate {
    /// So many times in a minute.
    #[must_use]
    pub const fn per_minute(times: u32) -> Self {
        Self { times, within: Duration::from_secs(60) }
    }

    /// So many times in an hour.
    #[must_use]
    pub const fn per_hour(times: u32) -> Self {
        Self { times, within: Duration::from_secs(3_600) }
    }
}

impl RateLimit {
    /// Whether the client may once more; if so, it is counted.
    #[must_use]
    pub fn take(&self, ip: IpAddr, rate: Rate) -> bool {
        self.take_at(ip, rate, Instant::now())
    }

    /// Whether the client could once more. Nothing is counted.
    #[must_use]
    pub fn has_left(&self, ip: IpAddr, rate: Rate) -> bool {
        self.lock().next(client_of(ip), rate, Instant::now()).is_none_or(|(fits, _)| fits)
    }

    fn take_at(&self, ip: IpAddr, rate: Rate, now: Instant) -> bool {
        let client = client_of(ip);
        let mut accounts = self.lock();
        let Some((fits, next)) = accounts.next(client, rate, now) else { return true };
        if fits {
            accounts.set(client, next);
        }
        fits
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    /// Whether one more fits, and when the account would be even then; nothing where there is no limit.
    fn next(&self, client: IpAddr, rate: Rate, now: Instant) -> Option<(bool, Instant)> {
        let each = rate.within.checked_div(rate.times)?;
        let next = self.even.get(&client).map_or(now, |even| (*even).max(now)) + each;
        Some((next.saturating_duration_since(now) <= rate.within, next))
    }

    fn set(&mut self, client: IpAddr, even: Instant) {
        if let Some(before) = self.even.insert(client, even) {
            self.soonest.remove(&(before, client));
        }
        self.soonest.insert((even, client));
        if self.even.len() > CLIENTS
            && let Some((_, first)) = self.soonest.pop_first()
        {
            self.even.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::net::rate::*;

    const RATE: Rate = Rate::per_minute(3);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_its_rate_and_it_comes_back() {
        let (limit, now) = (RateLimit::default(), Instant::now());
        let take = |text: &str, after: u64| limit.take_at(ip(text), RATE, now + Duration::from_secs(after));
        assert_eq!([0, 0, 0, 0].map(|after| take("192.0.2.1", after)), [true, true, true, false]);
        assert_eq!([19, 20, 21].map(|after| take("192.0.2.1", after)), [false, true, false]);
        assert!(take("192.0.2.2", 0), "another client");
        let neighbours = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8:0:1::4"];
        assert_eq!(neighbours.map(|text| take(text, 0)), [true, true, true, false, true]);
        assert!((0..100).all(|_| limit.take_at(ip("192.0.2.3"), Rate::per_hour(0), now)), "no limit");
    }

    #[test]
    fn memory_has_an_end_and_who_did_most_is_remembered_longest() {
        let (limit, now) = (RateLimit::default(), Instant::now());
        for _ in 0..3 {
            assert!(limit.take_at(ip("192.0.2.1"), RATE, now));
        }
        for number in 0..2 * u32::try_from(CLIENTS).unwrap() {
            assert!(limit.take_at((0x0a00_0000 + number).to_be_bytes().into(), RATE, now));
        }
        let accounts = limit.lock();
        assert_eq!((accounts.even.len(), accounts.soonest.len()), (CLIENTS, CLIENTS));
        drop(accounts);
        assert!(!limit.take_at(ip("192.0.2.1"), RATE, now));
    }
}
