//! Attempts under way to each domain, and to each next hop that domains are given to: one that is slow must not keep mail
//! for the others from leaving, and one that is not there is left alone for a while.
//!
//! There are places for all attempts under way together. Who waits for its destination's turn has none of them: many slow
//! destinations together hold up no other either. Where nobody was reached yet, there is less of everything once it is scarce:
//! the others wait until one attempt has found out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::delivery::outcome::{Blame, Outcome};
use crate::delivery::trouble::{NoWay, lacks_proof, may_be_promised_elsewhere};
use crate::mail::Address;

/// Attempts to a domain that begins to get mail; one more after each that reaches its hosts, one less after each that does not.
const FIRST: usize = 5;
/// Attempts that may wait for each that may be under way.
const WAITING: usize = 10;
/// Attempts in a row that reach nobody, before a domain is left alone.
const IN_VAIN: u32 = 5;
/// How long it is left alone at first, doubled each time that one message finds nobody again, and at most.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Domains of which it is remembered how they fared.
const REMEMBERED: usize = 4_096;

/// Counts attempts by domain, those that wait for their turn included. Cheap to clone.
#[derive(Clone)]
pub struct Crowd(Arc<Inside>);

/// How many attempts there may be.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Under way to one domain.
    pub of_one: usize,
    /// … with those that wait for their turn there.
    pub of_one_in_all: usize,
    /// Under way to all of them together.
    pub under_way: usize,
    /// Waiting for a turn at any.
    pub waiting: usize,
}

struct Inside {
    room: Room,
    places: Arc<Semaphore>,
    waiting: Mutex<usize>,
    domains: Mutex<HashMap<String, Fare>>,
}

/// One that waits for its turn, until dropped.
struct Waiting(Crowd);

/// What becomes of one more attempt.
enum Entry {
    /// It is let in, and waits for a turn of these.
    In(Place, Arc<Semaphore>),
    /// First another one finds out whether anybody is there.
    Behind(OwnedNotified),
}

/// How a domain fares.
struct Fare {
    /// Attempts that wait or are under way.
    inside: usize,
    /// Attempts that may be under way, and the turns of those that are not.
    window: usize,
    turns: Arc<Semaphore>,
    /// Somebody was reached there.
    has_answered: bool,
    /// Told when an attempt ends.
    news: Arc<Notify>,
    /// Attempts in a row that reached nobody.
    in_vain: u32,
    rest: Option<Rest>,
}

/// A domain that is left alone.
struct Rest {
    until: Instant,
    pause: Duration,
    /// One message finds out whether it is there again.
    is_probed: bool,
}

/// What an attempt says of the domain's hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// They spoke with us about the message.
    Reached,
    /// They were not there, or gave up.
    InVain,
    /// Nothing.
    Unknown,
}

/// A place among the attempts for a domain, until dropped.
pub struct Place {
    crowd: Crowd,
    domain: String,
    turn: Option<OwnedSemaphorePermit>,
    /// One of those under way to all.
    of_all: Option<OwnedSemaphorePermit>,
    is_probe: bool,
    reach: Reach,
}

impl Reach {
    /// What these outcomes say.
    pub fn of(outcomes: &[(Address, Outcome)]) -> Self {
        let blames = |wanted: &dyn Fn(Blame) -> bool| {
            outcomes.iter().any(|(_, outcome)| outcome.diagnosis().is_some_and(|diagnosis| wanted(diagnosis.blame)))
        };
        let spoke_with_us = |outcome: &Outcome| {
            matches!(outcome, Outcome::Delivered(_)) || outcome.diagnosis().is_some_and(may_be_promised_elsewhere)
        };
        let has_spoken = outcomes.iter().any(|(_, outcome)| spoke_with_us(outcome));
        if has_spoken || blames(&|blame| matches!(blame, Blame::Recipient | Blame::Message)) {
            Self::Reached
        } else if outcomes.iter().any(|(_, outcome)| outcome.diagnosis().is_some_and(lacks_proof)) {
            // Mail that asks for less may go there all the same.
            Self::Unknown
        } else if blames(&|blame| blame == Blame::Peer) {
            Self::InVain
        } else {
            Self::Unknown
        }
    }
}

impl Crowd {
    /// With so much room.
    pub fn new(room: Room) -> Self {
        let places = Arc::new(Semaphore::new(room.under_way.clamp(1, Semaphore::MAX_PERMITS)));
        let room = Room { of_one: room.of_one.max(1), ..room };
        Self(Arc::new(Inside { room, places, waiting: Mutex::default(), domains: Mutex::default() }))
    }

    /// A place for one more attempt, once it is its turn.
    ///
    /// # Errors
    /// [`NoWay::Crowded`] if the domain has as many as it may, or too many wait, [`NoWay::Resting`] if it is left alone.
    pub async fn place(&self, domain: &str) -> Result<Place, NoWay> {
        let (mut place, turns) = loop {
            match self.enter(domain)? {
                Entry::In(place, turns) => break (place, turns),
                Entry::Behind(news) => {
                    let _waiting = self.wait(domain)?;
                    news.await;
                }
            }
        };
        place.turn = match Arc::clone(&turns).try_acquire_owned() {
            Ok(turn) => Some(turn),
            Err(_) => {
                let _waiting = self.wait(domain)?;
                turns.acquire_owned().await.ok()
            }
        };
        // Those before it may have found nobody.
        if !place.is_probe && self.domains().get(domain).is_some_and(|fare| fare.rest.is_some()) {
            return Err(NoWay::Resting);
        }
        place.of_all = Arc::clone(&self.0.places).acquire_owned().await.ok();
        Ok(place)
    }

    /// One more waits, if it may: half of the room is for those where somebody was reached.
    fn wait(&self, domain: &str) -> Result<Waiting, NoWay> {
        let is_there = self.domains().get(domain).is_some_and(Fare::is_there);
        let most = if is_there { self.0.room.waiting } else { self.0.room.waiting / 2 };
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if *waiting >= most {
            return Err(NoWay::Crowded);
        }
        *waiting += 1;
        Ok(Waiting(self.clone()))
    }

    /// Leaves no destination alone any more: none of these, or none at all.
    pub fn wake(&self, these: Option<&[String]>) {
        for (domain, fare) in self.domains().iter_mut() {
            if these.is_none_or(|these| these.iter().any(|it| it == domain)) {
                (fare.rest, fare.in_vain) = (None, 0);
            }
        }
    }

    fn enter(&self, domain: &str) -> Result<Entry, NoWay> {
        let now = Instant::now();
        let mut domains = self.domains();
        if domains.len() >= REMEMBERED {
            domains.retain(|_, fare| fare.inside > 0 || fare.rest.as_ref().is_some_and(|rest| now < rest.until));
        }
        let first = FIRST.min(self.0.room.of_one);
        let fare = domains.entry(domain.to_owned()).or_insert_with(|| Fare {
            inside: 0,
            window: first,
            turns: Arc::new(Semaphore::new(first)),
            has_answered: false,
            news: Arc::default(),
            in_vain: 0,
            rest: None,
        });
        // Who waits behind the first attempt holds the news.
        let behind = Arc::strong_count(&fare.news).saturating_sub(1);
        if fare.inside.saturating_add(behind) >= self.0.room.of_one_in_all.min(fare.window.saturating_mul(WAITING)) {
            return Err(NoWay::Crowded);
        }
        // Once half of all places are taken, one attempt finds out whether anybody is there.
        let is_scarce = self.0.places.available_permits() < self.0.room.under_way / 2;
        if is_scarce && fare.inside > 0 && !fare.is_there() {
            return Ok(Entry::Behind(Arc::clone(&fare.news).notified_owned()));
        }
        let is_probe = match &mut fare.rest {
            Some(rest) if now < rest.until || rest.is_probed => return Err(NoWay::Resting),
            Some(rest) => {
                rest.is_probed = true;
                true
            }
            None => false,
        };
        fare.inside += 1;
        let turns = Arc::clone(&fare.turns);
        drop(domains);
        let (crowd, domain) = (self.clone(), domain.to_owned());
        let place = Place { crowd, domain, turn: None, of_all: None, is_probe, reach: Reach::Unknown };
        Ok(Entry::In(place, turns))
    }

    fn domains(&self) -> MutexGuard<'_, HashMap<String, Fare>> {
        self.0.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Gives the place back, with what the attempt says of the domain's hosts.
    pub fn leave(mut self, reach: Reach) {
        self.reach = reach;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.0.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = waiting.saturating_sub(1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut domains = self.crowd.domains();
        let Some(fare) = domains.get_mut(&self.domain) else { return };
        fare.inside = fare.inside.saturating_sub(1);
        fare.news.notify_waiters();
        match self.reach {
            Reach::Reached => fare.was_reached(self.crowd.0.room.of_one),
            Reach::InVain => fare.was_not_reached(self.turn.take(), self.is_probe),
            Reach::Unknown => {
                if let Some(rest) = fare.rest.as_mut().filter(|_| self.is_probe) {
                    rest.is_probed = false;
                }
            }
        }
        // Who waits for the news has to find what there is to know.
        let is_awaited = Arc::strong_count(&fare.news) > 1;
        if fare.inside == 0 && fare.rest.is_none() && fare.in_vain == 0 && !is_awaited {
            domains.remove(&self.domain);
        }
    }
}

impl Fare {
    /// Whether somebody was there when it was last found out.
    fn is_there(&self) -> bool {
        self.has_answered && self.in_vain == 0
    }

    fn was_reached(&mut self, most: usize) {
        self.has_answered = true;
        self.in_vain = 0;
        self.rest = None;
        if self.window < most {
            self.window += 1;
            self.turns.add_permits(1);
        }
    }

    fn was_not_reached(&mut self, turn: Option<OwnedSemaphorePermit>, is_probe: bool) {
        self.in_vain = self.in_vain.saturating_add(1);
        if let Some(turn) = turn.filter(|_| self.window > 1) {
            self.window -= 1;
            turn.forget();
        }
        let pause = match &self.rest {
            Some(rest) if is_probe => rest.pause.saturating_mul(2).min(LONGEST),
            None if self.in_vain >= IN_VAIN => SHORTEST,
            // It is left alone already, or may only have stumbled.
            Some(_) | None => return,
        };
        self.rest = Some(Rest { until: Instant::now() + pause, pause, is_probed: false });
    }
}

#[cfg(test)]
mod tests {
    use crate::delivery::error::{SessionError, Step};
    use crate::delivery::smtp::crowd::*;
    use crate::delivery::trouble::{Incapable, incapable, session};

    #[test]
    fn who_does_not_prove_enough_for_one_message_is_there_for_the_others() {
        for (diagnosis, reach) in [
            (incapable(Incapable::OfRequireTls, "mx.example"), Reach::Reached),
            (
                session(
                    &SessionError::TlsFailed(std::io::Error::other("a certificate for another name").into()),
                    "mx.example",
                ),
                Reach::Unknown,
            ),
            (session(&SessionError::PeerOffersNoTls, "mx.example"), Reach::Unknown),
            (session(&SessionError::PeerClosed(Step::Greeting), "mx.example"), Reach::InVain),
            (session(&SessionError::NoConnectionFree, "mx.example"), Reach::Unknown),
        ] {
            let shown = diagnosis.to_string();
            let outcomes = [("eva@live.example".parse().unwrap(), Outcome::unserved(diagnosis))];
            assert_eq!(Reach::of(&outcomes), reach, "{shown}");
        }
    }

    /// With room enough in all.
    fn crowd(of_one: usize, of_one_in_all: usize) -> Crowd {
        Crowd::new(Room { of_one, of_one_in_all, under_way: 1_000, waiting: 1_000 })
    }

    /// The pause is over.
    fn end_pause(crowd: &Crowd, domain: &str) {
        let mut domains = crowd.domains();
        domains.get_mut(domain).unwrap().rest.as_mut().unwrap().until = Instant::now();
    }

    fn window(crowd: &Crowd, domain: &str) -> usize {
        crowd.domains().get(domain).map_or(0, |fare| fare.window)
    }

    /// Places under way; who has to wait for a turn shows.
    fn enter(crowd: &Crowd, domain: &str) -> Option<Result<Place, NoWay>> {
        futures_util::FutureExt::now_or_never(crowd.place(domain))
    }

    fn take(crowd: &Crowd, domain: &str) -> Place {
        enter(crowd, domain).unwrap().unwrap_or_else(|why| panic!("{why:?}"))
    }

    #[tokio::test]
    async fn a_domain_begins_with_a_few_and_gets_more_with_each_that_arrives() {
        let (crowd, slow, quick) = (crowd(8, 100), "slow.example", "quick.example");
        let mut places: Vec<Place> = (0..FIRST).map(|_| take(&crowd, slow)).collect();
        assert!(enter(&crowd, slow).is_none(), "who comes later waits");
        assert!(matches!(enter(&crowd, quick), Some(Ok(_))), "but not for another domain");
        for wanted in [6, 7, 8, 8] {
            places.remove(0).leave(Reach::Reached);
            while let Some(Ok(place)) = enter(&crowd, slow) {
                places.push(place);
            }
            assert_eq!((places.len(), window(&crowd, slow)), (wanted, wanted));
        }
        places.remove(0).leave(Reach::InVain);
        assert!(enter(&crowd, slow).is_none());
        assert_eq!(window(&crowd, slow), 7, "one less");
        drop(places);
        assert_eq!(crowd.domains().len(), 1, "that it stumbled is remembered");
        take(&crowd, slow).leave(Reach::Reached);
        assert!(crowd.domains().is_empty());
    }

    #[tokio::test]
    async fn a_domain_has_its_share_of_those_that_wait_and_no_more() {
        let (crowd, slow) = (crowd(20, 12), "slow.example");
        let _under_way: Vec<Place> = (0..FIRST).map(|_| take(&crowd, slow)).collect();
        let mut waiting: Vec<_> = (0..7).map(|_| Box::pin(crowd.place(slow))).collect();
        for wait in &mut waiting {
            assert!(futures_util::FutureExt::now_or_never(wait).is_none());
        }
        assert!(matches!(enter(&crowd, slow), Some(Err(NoWay::Crowded))));
        drop(waiting);
        assert!(enter(&crowd, slow).is_none(), "whoever goes makes room");
    }

    #[tokio::test]
    async fn a_domain_that_is_not_there_is_left_alone_and_asked_with_one_message() {
        let (crowd, dead) = (crowd(20, 100), "dead.example");
        let places: Vec<Place> = (0..FIRST).map(|_| take(&crowd, dead)).collect();
        let waiting = tokio::spawn({
            let (crowd, dead) = (crowd.clone(), dead);
            async move { crowd.place(dead).await.map(drop) }
        });
        tokio::task::yield_now().await;
        places.into_iter().for_each(|place| place.leave(Reach::InVain));
        assert_eq!(waiting.await.unwrap(), Err(NoWay::Resting), "who waited is not tried");
        assert!(matches!(enter(&crowd, dead), Some(Err(NoWay::Resting))));
        let pause = || crowd.domains().get(dead).unwrap().rest.as_ref().unwrap().pause;
        let mut wanted = SHORTEST;
        for _ in 0..6 {
            assert_eq!(pause(), wanted);
            end_pause(&crowd, dead);
            let probe = take(&crowd, dead);
            assert!(matches!(enter(&crowd, dead), Some(Err(NoWay::Resting))), "one message alone");
            probe.leave(Reach::InVain);
            assert!(matches!(enter(&crowd, dead), Some(Err(NoWay::Resting))));
            wanted = (wanted * 2).min(LONGEST);
        }
        end_pause(&crowd, dead);
        take(&crowd, dead).leave(Reach::Unknown);
        take(&crowd, dead).leave(Reach::InVain);
        // An operator who knows better has it asked at once.
        let (this, other) = ([dead.to_owned()], ["other.example".to_owned()]);
        for (who, asks) in [(Some(&other[..]), false), (Some(&this[..]), true), (None, true)] {
            crowd.wake(who);
            assert_eq!(matches!(enter(&crowd, dead), Some(Ok(_))), asks, "{who:?}");
            while let Some(Ok(place)) = enter(&crowd, dead) {
                place.leave(Reach::InVain);
            }
        }
        crowd.wake(None);
        take(&crowd, dead).leave(Reach::Reached);
        assert!(matches!(enter(&crowd, dead), Some(Ok(_))), "it is there again");
    }

    #[tokio::test]
    async fn who_waits_for_a_turn_takes_no_place_of_the_others() {
        let crowd = Crowd::new(Room { of_one: 20, of_one_in_all: 100, under_way: 100, waiting: 100 });
        let busy = "busy.example";
        let mut busy_places: Vec<Place> = (0..FIRST).map(|_| take(&crowd, busy)).collect();
        busy_places.remove(0).leave(Reach::Reached);
        while let Some(Ok(place)) = enter(&crowd, busy) {
            busy_places.push(place);
        }
        // Mute domains, each with all the messages it may have.
        let (mut under_way, mut waiting, mut crowded) = (Vec::new(), Vec::new(), 0);
        for number in 0..8 {
            for _ in 0..50 {
                let (crowd, domain) = (crowd.clone(), format!("mute{number}.example"));
                let mut wait = Box::pin(async move { crowd.place(&domain).await });
                match futures_util::FutureExt::now_or_never(&mut wait) {
                    Some(Ok(place)) => under_way.push(place),
                    Some(Err(why)) => {
                        assert_eq!(why, NoWay::Crowded);
                        crowded += 1;
                    }
                    None => waiting.push(wait),
                }
            }
        }
        assert_eq!((under_way.len(), waiting.len(), crowded), (40, 50, 310), "half of the room is for others");
        let new = take(&crowd, "new.example");
        assert!(enter(&crowd, busy).is_none(), "where somebody is, the next may wait");
        drop(new);

        // When half of the places are taken, one attempt to each whom nobody has reached.
        under_way.extend((0..5).map(|_| take(&crowd, "mute8.example")));
        assert_eq!(crowd.0.places.available_permits(), 49);
        let first = take(&crowd, "new.example");
        assert!(matches!(enter(&crowd, "new.example"), Some(Err(NoWay::Crowded))));
        waiting.pop();
        let mut behind = Box::pin(crowd.place("new.example"));
        assert!(futures_util::FutureExt::now_or_never(&mut behind).is_none(), "there is room to wait again");
        first.leave(Reach::Reached);
        assert!(matches!(futures_util::FutureExt::now_or_never(behind), Some(Ok(_))), "somebody is there");
        busy_places.pop().unwrap().leave(Reach::Reached);
        assert!(matches!(enter(&crowd, busy), Some(Ok(_))));
        drop((under_way, waiting, busy_places));
        assert_eq!((crowd.0.places.available_permits(), *crowd.0.waiting.lock().unwrap()), (100, 0));
    }

    #[tokio::test]
    async fn behind_the_first_attempt_a_domain_has_no_more_than_its_share() {
        let crowd = Crowd::new(Room { of_one: 20, of_one_in_all: 12, under_way: 10, waiting: 1_000 });
        let _others: Vec<Place> = (0..6).map(|number| take(&crowd, &format!("d{number}.example"))).collect();
        let first = take(&crowd, "mute.example");
        let mut behind: Vec<_> = (0..20).map(|_| Box::pin(crowd.place("mute.example"))).collect();
        let told = behind.iter_mut().filter_map(|wait| futures_util::FutureExt::now_or_never(wait.as_mut()));
        assert_eq!(told.filter(|told| matches!(told, Err(NoWay::Crowded))).count(), 9, "1 under way, 11 behind it");
        first.leave(Reach::Reached);
        assert!(
            behind
                .iter_mut()
                .any(|wait| { matches!(futures_util::FutureExt::now_or_never(wait.as_mut()), Some(Ok(_))) })
        );
    }
}
