//! Who is logged in: kept here, not in the browser, and ended here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::identity::attempts::sha256;
use crate::identity::login::{Visitor, Visitors};
use crate::mailboxes::{Identified, PersonId};
use crate::net::{Clock, Time};
use crate::texts::Language;
use crate::vault::random_octets;

/// Logins at the same time; beyond it the one that was idle longest ends.
const AT_ONCE: usize = 50_000;

/// The logins of now. They end with the program.
pub struct Sessions {
    idle: Duration,
    lifetime: Duration,
    clock: Clock,
    inside: Mutex<HashMap<[u8; 32], Kept>>,
}

struct Kept {
    who: Identified,
    person: PersonId,
    csrf: String,
    begun: Time,
    seen: Time,
}

impl Sessions {
    /// Nobody is logged in yet. A login ends after `idle` without a request, and after `lifetime` in any case.
    #[must_use]
    pub fn new(idle: Duration, lifetime: Duration, clock: Clock) -> Self {
        Self { idle, lifetime, clock, inside: Mutex::default() }
    }

    fn has_ended(&self, kept: &Kept, now: Time) -> bool {
        now >= kept.seen.after(self.idle) || now >= kept.begun.after(self.lifetime)
    }
}

impl Visitors for Sessions {
    fn begin(&self, who: Identified, person: PersonId, _language: Language) -> Option<String> {
        let text = || random_octets::<32>().ok().map(|octets| URL_SAFE_NO_PAD.encode(octets));
        let (token, csrf) = (text()?, text()?);
        let now = self.clock.now();
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.len() >= AT_ONCE {
            inside.retain(|_, kept| !self.has_ended(kept, now));
        }
        if inside.len() >= AT_ONCE
            && let Some(idlest) = inside.iter().min_by_key(|(_, kept)| kept.seen).map(|(key, _)| *key)
        {
            inside.remove(&idlest);
        }
        inside.insert(sha256(token.as_bytes()), Kept { who, person, csrf, begun: now, seen: now });
        Some(token)
    }

    fn find(&self, token: &str) -> Option<Visitor> {
        let now = self.clock.now();
        let key = sha256(token.as_bytes());
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.get(&key).is_some_and(|kept| self.has_ended(kept, now)) {
            inside.remove(&key);
        }
        let kept = inside.get_mut(&key)?;
        kept.seen = now;
        let at_last = kept.begun.after(self.lifetime);
        Some(Visitor {
            who: kept.who.clone(),
            person: kept.person,
            csrf: kept.csrf.clone(),
            ends: now.after(self.idle).min(at_last),
            ends_at_last: at_last,
        })
    }

    fn end(&self, token: &str) {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).remove(&sha256(token.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use crate::identity::sessions::*;

    #[test]
    fn a_login_ends_when_idle_when_old_and_when_told() {
        let clock = Clock::set_to(Time::from_unix_ms(0));
        let sessions = Sessions::new(Duration::from_secs(60), Duration::from_secs(150), clock.clone());
        let who = || Identified {
            provider: "p".into(),
            issuer: "i".into(),
            subject: "s".into(),
            name: "n".into(),
            level: "l".into(),
            number: None,
        };
        let begin = || sessions.begin(who(), PersonId::from_bytes([1; 16]), Language::Sv).unwrap();
        let (idle, old, told) = (begin(), begin(), begin());
        sessions.end(&told);
        assert!(sessions.find(&told).is_none());
        clock.advance(Duration::from_secs(50));
        assert_eq!(sessions.find(&old).unwrap().ends, Time::from_unix_ms(110_000));
        clock.advance(Duration::from_secs(20));
        assert!(sessions.find(&idle).is_none());
        assert!(sessions.find(&old).is_some());
        clock.advance(Duration::from_secs(50));
        assert_eq!(sessions.find(&old).unwrap().ends, Time::from_unix_ms(150_000));
        clock.advance(Duration::from_secs(40));
        assert!(sessions.find(&old).is_none());
        assert!(sessions.find("x").is_none());
    }
}
