//! Whether the machine's clock can be relied on: it is held against one that nobody sets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::net::clock::{Clock, Time};

/// How far the clock may be from what it should show by now; more is a jump.
const STEP: Duration = Duration::from_secs(300);
/// How long nothing is given up after a jump: time to set the clock right.
const GRACE: Duration = Duration::from_secs(3_600);

/// Watches a clock. What ends by time alone, and cannot be brought back, waits while it is not steady. Cheap to clone;
/// clones watch together.
#[derive(Clone, Debug)]
pub struct Steadiness {
    clock: Clock,
    seen: Option<Arc<Mutex<Seen>>>,
}

/// When the clock was looked at last.
#[derive(Debug)]
struct Seen {
    shown: Time,
    at: Instant,
    /// When it jumped.
    jumped: Option<Instant>,
}

impl Steadiness {
    /// Watches this clock from now on.
    #[must_use]
    pub fn of(clock: Clock) -> Self {
        let seen = Seen { shown: clock.now(), at: Instant::now(), jumped: None };
        Self { clock, seen: Some(Arc::new(Mutex::new(seen))) }
    }

    /// A clock that is believed whatever it shows, as a test's is that moves by days.
    #[must_use]
    pub fn unwatched(clock: Clock) -> Self {
        Self { clock, seen: None }
    }

    /// Whether the clock has not jumped, forward or back, within the last hour.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Some(seen) = &self.seen else { return true };
        let (shown, at) = (self.clock.now(), Instant::now());
        seen.lock().unwrap_or_else(PoisonError::into_inner).look(shown, at)
    }
}

impl Seen {
    fn look(&mut self, shown: Time, at: Instant) -> bool {
        let expected = self.shown.after(at.saturating_duration_since(self.at));
        let off = shown.since(expected).max(expected.since(shown));
        if off > STEP {
            tracing::error!(seconds = off.as_secs(), "the clock jumped: nothing is given up or erased for an hour");
            self.jumped = Some(at);
        }
        (self.shown, self.at) = (shown, at);
        self.jumped.is_none_or(|jumped| at.saturating_duration_since(jumped) >= GRACE)
    }
}

#[cfg(test)]
mod tests {
    use crate::net::steadiness::*;

    #[test]
    fn a_jump_in_either_direction_is_waited_out() {
        let begun = Instant::now();
        let minutes = |count: i64| i64::from(60_000) * count;
        let mut seen = Seen { shown: Time::from_unix_ms(0), at: begun, jumped: None };
        // When it is looked at, what it shows then, and whether it is relied on, all in minutes.
        for (at, shown, holds) in [
            (1, 1, true),
            (60 * 24 * 30, 60 * 24 * 30 + 4, true),
            (60 * 24 * 30 + 1, 60 * 24 * 395, false),
            (60 * 24 * 30 + 60, 60 * 24 * 395 + 59, false),
            (60 * 24 * 30 + 61, 60 * 24 * 395 + 60, true),
            (60 * 24 * 30 + 62, 60 * 24 * 395 + 1, false),
            (60 * 24 * 30 + 122, 60 * 24 * 395 + 61, true),
        ] {
            let at = begun + Duration::from_millis(u64::try_from(minutes(at)).unwrap());
            assert_eq!(seen.look(Time::from_unix_ms(minutes(shown)), at), holds, "{shown}");
        }
    }
}
