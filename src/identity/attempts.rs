//! Logins that have begun: what has to come back, from which provider, to which browser.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;

use crate::net::Time;

/// How long a login may take.
const LASTS: Duration = Duration::from_secs(600);
/// Logins under way at most; beyond it the oldest is forgotten.
const AT_ONCE: usize = 10_000;

/// What was said when a login began.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub provider: String,
    pub nonce: String,
    /// RFC 7636: proves at the token endpoint that we began this.
    pub verifier: String,
    /// SHA-256 of the cookie's value.
    pub binding: [u8; 32],
    pub return_to: String,
    pub began: Time,
}

/// Attempts by their `state`. Each can be finished once.
#[derive(Default)]
pub(crate) struct Attempts {
    inside: Mutex<(HashMap<String, Attempt>, VecDeque<String>)>,
}

impl Attempts {
    pub(crate) fn begin(&self, state: String, attempt: Attempt) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let (by_state, order) = &mut *inside;
        while order.len() >= AT_ONCE
            && let Some(oldest) = order.pop_front()
        {
            by_state.remove(&oldest);
        }
        order.push_back(state.clone());
        by_state.insert(state, attempt);
    }

    /// The attempt with this state, taken out, unless its time is over.
    pub(crate) fn take(&self, state: &str, now: Time) -> Option<Attempt> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = inside.0.remove(state)?;
        inside.1.retain(|known| known != state);
        (now < attempt.began.after(LASTS)).then_some(attempt)
    }
}

/// SHA-256.
pub(crate) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use crate::identity::attempts::*;

    fn attempt(began: Time) -> Attempt {
        Attempt {
            provider: "one".into(),
            nonce: String::new(),
            verifier: String::new(),
            binding: [0; 32],
            return_to: String::new(),
            began,
        }
    }

    #[test]
    fn beyond_the_bound_the_oldest_is_forgotten_and_each_is_taken_once() {
        let (attempts, now) = (Attempts::default(), Time::from_unix_ms(0));
        for place in 0..=AT_ONCE {
            attempts.begin(place.to_string(), attempt(now));
        }
        assert!(attempts.take("0", now).is_none());
        assert!(attempts.take("1", now).is_some());
        assert!(attempts.take("1", now).is_none());
        assert_eq!(attempts.inside.lock().unwrap().0.len(), AT_ONCE - 1);
        assert_eq!(attempts.inside.lock().unwrap().1.len(), AT_ONCE - 1);
        assert!(attempts.take("2", now.after(LASTS)).is_none());
    }
}
