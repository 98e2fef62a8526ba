//! When to try again.

use std::time::Duration;

use crate::net::Time;

/// How long to wait between attempts: doubled each time between two bounds, moved by chance so that what failed
/// together is not tried together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first attempt.
    pub minimal: Duration,
    /// The longest wait.
    pub maximal: Duration,
}

/// The wait of who only has to wait for a turn, while there is room for few.
const TURN: Duration = Duration::from_secs(15);

impl Backoff {
    /// The same for who was not even attempted: sooner at first, as seldom in the end.
    #[must_use]
    pub fn for_a_turn(&self) -> Self {
        Self { minimal: TURN.min(self.minimal), ..*self }
    }

    /// When to try again after so many attempts (one or more). `chance` is any octet: it moves the wait by up to a
    /// quarter in both directions.
    #[must_use]
    pub fn next(&self, now: Time, attempts: u32, chance: u8) -> Time {
        let doubled = self.minimal.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        let wait = doubled.min(self.maximal);
        let quarter = wait / 4;
        let moved = wait.saturating_sub(quarter).saturating_add(quarter.saturating_mul(u32::from(chance)) / 128);
        now.after(moved)
    }
}

impl Default for Backoff {
    /// Five minutes to an hour and a bit: Postfix's habits.
    fn default() -> Self {
        Self { minimal: Duration::from_secs(300), maximal: Duration::from_secs(4_000) }
    }
}

#[cfg(test)]
mod tests {
    use crate::queue::backoff::*;

    #[test]
    fn the_wait_doubles_between_its_bounds_and_moves_by_a_quarter() {
        let backoff = Backoff { minimal: Duration::from_secs(100), maximal: Duration::from_secs(1_000) };
        let now = Time::from_unix_ms(0);
        let wait = |attempts, chance| backoff.next(now, attempts, chance).since(now).as_secs();
        assert_eq!(wait(1, 128), 100);
        assert_eq!(wait(2, 128), 200);
        assert_eq!(wait(9, 128), 1_000);
        assert_eq!(wait(1, 0), 75);
        assert!((124..=125).contains(&wait(1, 255)));
        assert_eq!(wait(u32::MAX, 128), 1_000);
    }
}
