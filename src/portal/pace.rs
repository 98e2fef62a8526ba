//! How often one client may knock: the generic cell rate algorithm (ITU-T I.371) in memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
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
    even: Mutex<HashMap<IpAddr, Time>>,
}

impl Pace {
    /// Whether a client may knock now; if so, it has.
    pub(crate) fn allows(&self, client: IpAddr, now: Time) -> bool {
        let mut even = self.even.lock().unwrap_or_else(PoisonError::into_inner);
        if even.len() >= CLIENTS {
            even.retain(|_, until| *until > now);
        }
        // With that many strangers at once a limit for each of them has no meaning.
        if even.len() >= CLIENTS {
            return true;
        }
        let until = even.entry(household(client)).or_insert(now);
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
}
