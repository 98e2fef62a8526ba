//! How often one client may knock: the generic cell rate algorithm (ITU-T I.371) in memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::net::Time;

/// One knock a second for good.
const EVERY: Duration = Duration::from_secs(1);
/// Knocks at once: a household or a library behind one address.
const BURST: u32 = 60;
/// Clients remembered at once.
const CLIENTS: usize = 50_000;

/// Remembers, for each client, when its account will be even.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    even: HashMap<IpAddr, Time>,
    swept: Option<Time>,
}

impl Pace {
    /// Whether a client may knock now; if so, it has.
    pub(crate) fn allows(&self, client: IpAddr, now: Time) -> bool {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let Accounts { even, swept } = &mut *accounts;
        // Seldom: it looks at them all.
        if even.len() >= CLIENTS && swept.is_none_or(|swept| now >= swept.after(EVERY)) {
            even.retain(|_, until| *until > now);
            *swept = Some(now);
        }
        // With that many strangers at once, those who come new share an account with their neighbours.
        let own = household(client);
        let account = if even.len() < CLIENTS || even.contains_key(&own) { own } else { neighbourhood(client) };
        if even.len() >= 2 * CLIENTS && !even.contains_key(&account) {
            return false;
        }
        let until = even.entry(account).or_insert(now);
        let next = (*until).max(now).after(EVERY);
        if next.since(now) > EVERY * BURST {
            return false;
        }
        *until = next;
        true
    }
}

/// With IPv6 a client has a /64 (RFC 6177 §2).
fn household(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// A /16, with IPv6 a /32: the network of one provider.
fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 16))),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 96))),
    }
}

#[cfg(test)]
mod tests {
    use crate::portal::pace::*;

    #[test]
    fn a_client_may_knock_in_a_burst_and_then_at_its_pace() {
        let pace = Pace::default();
        let (now, client) = (Time::from_unix_ms(0), "192.0.2.1".parse().unwrap());
        for _ in 0..BURST {
            assert!(pace.allows(client, now));
        }
        assert!(!pace.allows(client, now));
        assert!(pace.allows("192.0.2.2".parse().unwrap(), now));
        assert!(pace.allows(client, now.after(EVERY)));
        assert!(!pace.allows(client, now.after(EVERY)));
    }

    #[test]
    fn a_crowd_does_not_switch_the_limit_off() {
        let pace = Pace::default();
        let now = Time::from_unix_ms(0);
        let stranger = |number: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | (number << 64)));
        for number in 1..=CLIENTS as u128 {
            assert!(pace.allows(stranger(number), now));
        }
        let more = (1..1_000)
            .map(|number| CLIENTS as u128 + number)
            .filter(|number| pace.allows(stranger(*number), now))
            .count();
        assert_eq!(more, BURST as usize, "neighbours share one account");
        assert!(pace.allows("192.0.2.1".parse().unwrap(), now), "another network has its own");
        assert!(pace.allows(stranger(1), now), "and who was known keeps it");
        assert!(pace.allows(stranger(999_999), now.after(EVERY * 2)), "until the crowd is gone");
    }
}
