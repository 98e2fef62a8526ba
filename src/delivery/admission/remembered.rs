//! What is remembered of our recipients, so that not every message costs a question, and a mail server that is away does
//! not keep mail out for those it knew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::mail::Address;
use crate::net::{Clock, Time};
use crate::policy::{RecipientCheck, Standing};

/// How long a recipient that is there is not asked about again.
const KNOWN: Duration = Duration::from_secs(3_600);
/// How long a recipient that was there counts while nobody can be asked.
const KNOWN_BEFORE: Duration = Duration::from_secs(86_400);
/// How long one that is not there is not asked about again.
const UNKNOWN: Duration = Duration::from_secs(600);
/// Recipients of a kind that are remembered in one generation; two are kept. Those that are not there have their own,
/// so that whoever guesses addresses does not push out those that are.
const REMEMBERED: usize = 25_000;
/// Questions under way. Who asks one more is told to come again.
const QUESTIONS: usize = 200;
/// How long a question may take in all; its answer serves who comes later.
const LONGEST: Duration = Duration::from_secs(60);
/// How long somebody at the door waits for it.
const WAIT: Duration = Duration::from_secs(25);

type Answered = watch::Receiver<Option<Standing>>;

/// Remembers what another says, and asks it once about each recipient however many want to know.
pub struct Remembered {
    other: Arc<dyn RecipientCheck>,
    memory: Arc<Memory>,
    clock: Clock,
    /// How long somebody at the door waits for an answer.
    wait: Duration,
}

/// What is remembered.
#[derive(Default)]
pub struct Memory(Mutex<Known>);

#[derive(Default)]
struct Known {
    there: Generations,
    not_there: Generations,
    asked: HashMap<String, Answered>,
}

/// The newest of what is remembered; the oldest goes as a whole.
#[derive(Default)]
struct Generations {
    young: HashMap<String, (Standing, Time)>,
    old: HashMap<String, (Standing, Time)>,
}

/// Takes a question off the list, however it ends.
struct UnderWay {
    memory: Arc<Memory>,
    recipient: String,
}

impl Remembered {
    /// Asks this one, and knows what is in a memory.
    #[must_use]
    pub fn new(other: Arc<dyn RecipientCheck>, memory: Arc<Memory>, clock: Clock) -> Self {
        Self { other, memory, clock, wait: WAIT }
    }

    /// The answer to come of the one question about this recipient; begins it where nobody has. `None` where too many are
    /// under way.
    fn question(&self, recipient: &Address, key: &str) -> Option<Answered> {
        let mut known = self.memory.known();
        if let Some(answered) = known.asked.get(key) {
            return Some(answered.clone());
        }
        if known.asked.len() >= QUESTIONS {
            return None;
        }
        let (tell, answered) = watch::channel(None);
        known.asked.insert(key.to_owned(), answered.clone());
        let under_way = UnderWay { memory: Arc::clone(&self.memory), recipient: key.to_owned() };
        let (other, recipient, clock) = (Arc::clone(&self.other), recipient.clone(), self.clock.clone());
        tokio::spawn(async move {
            let silent = || Standing::Undecided("no answer for too long".to_owned());
            let standing = timeout(LONGEST, other.standing(&recipient)).await.unwrap_or_else(|_| silent());
            under_way.memory.known().note(&under_way.recipient, &standing, clock.now());
            drop(under_way);
            tell.send_replace(Some(standing));
        });
        Some(answered)
    }
}

#[async_trait]
impl RecipientCheck for Remembered {
    async fn standing(&self, recipient: &Address) -> Standing {
        let key = recipient.folded();
        if let Some(standing) = self.memory.known().fresh(&key, self.clock.now()) {
            return standing;
        }
        let standing = match self.question(recipient, &key) {
            Some(mut answered) => {
                let told = timeout(self.wait, answered.wait_for(Option::is_some)).await;
                let told = told.ok().and_then(Result::ok).and_then(|standing| standing.clone());
                told.unwrap_or_else(|| Standing::Undecided("no answer yet".to_owned()))
            }
            None => Standing::Undecided("too many recipients are being asked about".to_owned()),
        };
        match standing {
            // Also where others keep whoever could tell busy.
            Standing::Undecided(_) if self.memory.known().was_there(&key, self.clock.now()) => Standing::Known,
            standing => standing,
        }
    }
}

impl Memory {
    /// No code panics while it holds this lock; should it, what it guards is whole all the same.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn fresh(&self, key: &str, now: Time) -> Option<Standing> {
        let fresh = |(standing, at): &(Standing, Time), longest| is_within(*at, now, longest).then(|| standing.clone());
        let there = self.there.get(key).and_then(|noted| fresh(noted, KNOWN));
        there.or_else(|| self.not_there.get(key).and_then(|noted| fresh(noted, UNKNOWN)))
    }

    fn was_there(&self, key: &str, now: Time) -> bool {
        self.there.get(key).is_some_and(|(_, at)| is_within(*at, now, KNOWN_BEFORE))
    }

    fn note(&mut self, key: &str, standing: &Standing, now: Time) {
        match standing {
            Standing::Known => {
                self.not_there.forget(key);
                self.there.note(key, standing, now);
            }
            Standing::Unknown | Standing::TakesNone => {
                self.there.forget(key);
                self.not_there.note(key, standing, now);
            }
            Standing::Undecided(_) => {}
        }
    }
}

impl Generations {
    fn get(&self, key: &str) -> Option<&(Standing, Time)> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn note(&mut self, key: &str, standing: &Standing, now: Time) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key.to_owned(), (standing.clone(), now));
    }

    fn forget(&mut self, key: &str) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

/// A clock that was set back makes nothing younger.
fn is_within(noted: Time, now: Time, longest: Duration) -> bool {
    noted <= now && now.since(noted) < longest
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.memory.known().asked.remove(&self.recipient);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use crate::delivery::admission::remembered::*;

    /// Knows `anna@`, and takes as long as a test wants.
    struct Other {
        asked: AtomicUsize,
        may_answer: Semaphore,
        is_away: std::sync::atomic::AtomicBool,
    }

    #[async_trait]
    impl RecipientCheck for Other {
        async fn standing(&self, recipient: &Address) -> Standing {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let _place = self.may_answer.acquire().await.unwrap();
            match recipient.local().as_str() {
                _ if self.is_away.load(Ordering::SeqCst) => Standing::Undecided("away".into()),
                "anna" | "Anna" => Standing::Known,
                _ => Standing::Unknown,
            }
        }
    }

    fn remembered(places: usize) -> (Arc<Other>, Clock, Arc<Remembered>) {
        let other =
            Arc::new(Other { asked: AtomicUsize::new(0), may_answer: Semaphore::new(places), is_away: false.into() });
        let clock = Clock::set_to(Time::from_unix_ms(0));
        let remembered = Remembered {
            wait: Duration::from_millis(if places == 0 { 50 } else { 30_000 }),
            ..Remembered::new(Arc::clone(&other) as _, Arc::default(), clock.clone())
        };
        (other, clock, Arc::new(remembered))
    }

    fn address(local: &str) -> Address {
        format!("{local}@sundby.example").parse().unwrap()
    }

    #[tokio::test]
    async fn each_is_asked_about_once_and_again_when_its_time_is_over() {
        let (other, clock, remembered) = remembered(1);
        for (after, local, wanted, asked) in [
            (0, "anna", Standing::Known, 1),
            (3_599, "Anna", Standing::Known, 1),
            (0, "gone", Standing::Unknown, 2),
            (599, "gone", Standing::Unknown, 2),
            (2, "gone", Standing::Unknown, 3),
            (0, "anna", Standing::Known, 4),
        ] {
            clock.advance(Duration::from_secs(after));
            assert_eq!(remembered.standing(&address(local)).await, wanted, "{local}");
            assert_eq!(other.asked.load(Ordering::SeqCst), asked, "{local}");
        }
        // While nobody can be asked, who was there counts for a day, and nothing is remembered of it.
        other.is_away.store(true, Ordering::SeqCst);
        clock.advance(Duration::from_secs(3_601));
        assert_eq!(remembered.standing(&address("anna")).await, Standing::Known);
        assert!(matches!(remembered.standing(&address("gone")).await, Standing::Undecided(_)));
        clock.advance(Duration::from_secs(86_400));
        assert!(matches!(remembered.standing(&address("anna")).await, Standing::Undecided(_)));
        other.is_away.store(false, Ordering::SeqCst);
        assert_eq!(remembered.standing(&address("anna")).await, Standing::Known);
    }

    #[tokio::test]
    async fn many_who_want_to_know_ask_once_and_nobody_waits_for_ever() {
        let (other, clock, remembered) = remembered(0);
        let ask = |local: String| {
            let remembered = Arc::clone(&remembered);
            tokio::spawn(async move { remembered.standing(&address(&local)).await })
        };
        let same: Vec<_> = (0..50).map(|_| ask("anna".to_owned())).collect();
        for one in same {
            assert_eq!(one.await.unwrap(), Standing::Undecided("no answer yet".into()));
        }
        assert_eq!(other.asked.load(Ordering::SeqCst), 1);
        let many: Vec<_> = (0..300).map(|number| ask(format!("u{number}"))).collect();
        let mut told = Vec::new();
        for one in many {
            told.push(one.await.unwrap());
        }
        let refused = |standing: &&Standing| {
            **standing == Standing::Undecided("too many recipients are being asked about".into())
        };
        assert_eq!(told.iter().filter(refused).count(), 300 - QUESTIONS + 1);
        // Whoever fills the list keeps nobody out who was there.
        remembered.memory.known().note("ole@sundby.example", &Standing::Known, Time::from_unix_ms(0));
        clock.advance(KNOWN);
        assert_eq!(remembered.standing(&address("ole")).await, Standing::Known, "too many are under way");
        remembered.memory.known().note("u1@sundby.example", &Standing::Known, Time::from_unix_ms(0));
        assert_eq!(remembered.standing(&address("u1")).await, Standing::Known, "the answer does not come");
        remembered.memory.known().there.forget("u1@sundby.example");
        // The answer that came too late serves who comes later.
        other.may_answer.add_permits(1_000);
        let late = loop {
            // The questions before it are answered first.
            match remembered.standing(&address("anna")).await {
                Standing::Undecided(_) => tokio::task::yield_now().await,
                told => break told,
            }
        };
        assert_eq!(late, Standing::Known);
        assert_eq!(other.asked.load(Ordering::SeqCst), QUESTIONS);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut generations = Generations::default();
        for number in 0..3 * REMEMBERED {
            generations.note(&format!("u{number}"), &Standing::Unknown, Time::from_unix_ms(0));
        }
        assert!(generations.young.len() + generations.old.len() <= 2 * REMEMBERED);
        assert!(generations.get("u0").is_none());
        assert!(generations.get(&format!("u{}", 3 * REMEMBERED - 1)).is_some());
    }
}
