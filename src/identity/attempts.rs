//! Logins that have begun. What was said then is kept by the browser that began, sealed: however many strangers begin
//! logins, nobody else's is forgotten.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::net::Time;
use crate::vault::{VaultError, random_octets};

/// How long a login may take.
const LASTS: Duration = Duration::from_secs(600);
/// Logins that were finished a while ago, and are not finished again.
const FINISHED: usize = 10_000;
/// Octets of a sealed login: a browser keeps a cookie of four thousand.
const SEALED_OCTETS: usize = 3_500;
/// Octets of the nonce in front of what is sealed.
const NONCE_OCTETS: usize = 12;

/// What was said when a login began.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub provider: String,
    /// What comes back in the address (RFC 6749 §10.12).
    pub state: String,
    /// What comes back in the ID token (OpenID Connect Core §3.1.2.1).
    pub nonce: String,
    /// RFC 7636: proves at the token endpoint that we began this.
    pub verifier: String,
    pub return_to: String,
    /// Milliseconds since 1970.
    pub began: i64,
}

/// Seals attempts, and opens each once. The key lives as long as the process.
pub(crate) struct Attempts {
    key: RandomizedNonceKey,
    finished: Mutex<Finished>,
}

#[derive(Default)]
struct Finished {
    states: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Attempts {
    pub(crate) fn new() -> Result<Self, VaultError> {
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(random_octets()?);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*key).map_err(|_| VaultError::CryptographyFailed)?;
        Ok(Self { key, finished: Mutex::default() })
    }

    /// The attempt, for the browser to keep; `None` if it is too long for that.
    pub(crate) fn seal(&self, attempt: &Attempt) -> Result<Option<String>, VaultError> {
        let mut octets = serde_json::to_vec(attempt).unwrap_or_default();
        let nonce = self.key.seal_in_place_append_tag(Aad::empty(), &mut octets);
        let nonce = nonce.map_err(|_| VaultError::CryptographyFailed)?;
        let sealed = URL_SAFE_NO_PAD.encode([&nonce.as_ref()[..], &octets].concat());
        Ok((sealed.len() <= SEALED_OCTETS).then_some(sealed))
    }

    /// The attempt a browser kept, if it is the one that comes back with this state, its time is not over, and it was not
    /// finished before.
    pub(crate) fn take(&self, sealed: &str, state: &str, now: Time) -> Option<Attempt> {
        if sealed.len() > SEALED_OCTETS {
            return None;
        }
        let octets = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, locked) = octets.split_at_checked(NONCE_OCTETS)?;
        let (nonce, mut locked) = (Nonce::try_assume_unique_for_key(nonce).ok()?, Zeroizing::new(locked.to_vec()));
        let plain = self.key.open_in_place(nonce, Aad::empty(), &mut locked).ok()?;
        let attempt: Attempt = serde_json::from_slice(plain).ok()?;
        verify_slices_are_equal(attempt.state.as_bytes(), state.as_bytes()).ok()?;
        let is_in_time = now < Time::from_unix_ms(attempt.began).after(LASTS);
        (is_in_time && self.finishes(state)).then_some(attempt)
    }

    /// Notes that a login is finished; false if it was before.
    fn finishes(&self, state: &str) -> bool {
        let state = sha256(state.as_bytes());
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if !finished.states.insert(state) {
            return false;
        }
        finished.order.push_back(state);
        while finished.order.len() > FINISHED
            && let Some(oldest) = finished.order.pop_front()
        {
            finished.states.remove(&oldest);
        }
        true
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

    fn attempt(state: &str, began: Time) -> Attempt {
        Attempt {
            provider: "one".into(),
            state: state.into(),
            nonce: "n".into(),
            verifier: "v".into(),
            return_to: "/inbox".into(),
            began: began.unix_ms(),
        }
    }

    #[test]
    fn a_login_is_finished_once_in_time_by_the_browser_that_began_it() {
        let (attempts, now) = (Attempts::new().unwrap(), Time::from_unix_ms(0));
        let sealed = attempts.seal(&attempt("a", now)).unwrap().unwrap();
        let other = attempts.seal(&attempt("b", now)).unwrap().unwrap();
        assert!(attempts.take(&other, "a", now).is_none(), "another browser's");
        assert!(attempts.take(&sealed, "a", now.after(LASTS)).is_none());
        for changed in [&sealed[1..], "", "!", &"a".repeat(5_000), &format!("{sealed}aaaa")] {
            assert!(attempts.take(changed, "a", now).is_none());
        }
        assert!(Attempts::new().unwrap().take(&sealed, "a", now).is_none(), "another process");
        let taken = attempts.take(&sealed, "a", now).unwrap();
        assert_eq!((taken.nonce.as_str(), taken.verifier.as_str()), ("n", "v"));
        assert!(attempts.take(&sealed, "a", now).is_none(), "twice");
        let octets = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        assert!(!octets.windows(6).any(|six| six == b"/inbox"), "the browser cannot read it");
    }

    /// Strangers who begin logins, and even finish them, push nobody out.
    #[test]
    fn a_crowd_does_not_make_anybody_begin_anew() {
        let (attempts, now) = (Attempts::new().unwrap(), Time::from_unix_ms(0));
        let sealed = attempts.seal(&attempt("eva", now)).unwrap().unwrap();
        for place in 0..=FINISHED {
            let state = place.to_string();
            let sealed = attempts.seal(&attempt(&state, now)).unwrap().unwrap();
            assert!(attempts.take(&sealed, &state, now).is_some());
        }
        assert_eq!(attempts.finished.lock().unwrap().states.len(), FINISHED);
        assert!(attempts.take(&sealed, "eva", now).is_some());
    }

    #[test]
    fn what_is_too_long_for_a_cookie_is_not_sealed() {
        let (attempts, now) = (Attempts::new().unwrap(), Time::from_unix_ms(0));
        let long = Attempt { return_to: "x".repeat(5_000), ..attempt("a", now) };
        assert!(attempts.seal(&long).unwrap().is_none());
    }
}
