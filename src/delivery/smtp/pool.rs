//! Sessions kept open between messages, so that a message costs neither a connection nor a handshake.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::delivery::config::Bounds;
use crate::delivery::error::SessionError;
use crate::delivery::route::Route;
use crate::delivery::smtp::allowance::Allowance;
use crate::delivery::smtp::connect::{Caller, Resolver, Session};

/// Routes that are remembered before those in no use are forgotten: mail to the open internet meets ever new ones.
const LANES: usize = 256;

/// The sessions of all routes.
pub struct Pool {
    caller: Caller,
    resolver: Arc<dyn Resolver>,
    bounds: Bounds,
    lanes: Mutex<HashMap<Route, Arc<Lane>>>,
}

/// The sessions of one route. Who finds none free waits in order of arrival.
struct Lane {
    slots: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// Oldest first; the youngest is taken first, so that those too many grow old.
    resting: VecDeque<Resting>,
    is_swept: bool,
}

struct Resting {
    session: Session,
    carried: u32,
    until: Instant,
}

/// A session in use, and the slot it fills in its route.
pub struct Lent {
    /// The session.
    pub session: Session,
    /// Whether it carried mail before and stood idle since.
    pub is_reused: bool,
    carried: u32,
    lane: Arc<Lane>,
    slot: OwnedSemaphorePermit,
}

impl Pool {
    /// An empty pool.
    pub fn new(caller: Caller, resolver: Arc<dyn Resolver>, bounds: Bounds) -> Self {
        Self { caller, resolver, bounds, lanes: Mutex::default() }
    }

    /// A session on this route: a resting one, or a new one once a slot is free.
    ///
    /// # Errors
    /// There was none resting and the hop could not be called, or no slot became free in the attempt's time.
    pub async fn lend(&self, route: &Route, allowance: &mut Allowance) -> Result<Lent, SessionError> {
        let lane = self.lane(route);
        let slot = timeout_at(allowance.until(), Arc::clone(&lane.slots).acquire_owned())
            .await
            .map_err(|_| SessionError::NoConnectionFree)?
            .map_err(|_| SessionError::HostUnreachable("delivery has ended".to_owned()))?;
        while let Some(Resting { mut session, carried, until }) = lane.wake_youngest() {
            if until <= Instant::now() {
                tokio::spawn(session.quit());
            } else if session.is_alive() {
                session.wire.serve_until(allowance.until());
                return Ok(Lent { session, is_reused: true, carried, lane, slot });
            }
        }
        let session = self.caller.call(route, self.resolver.as_ref(), allowance).await?;
        Ok(Lent { session, is_reused: false, carried: 0, lane, slot })
    }

    /// A new session in the place of one that has died.
    ///
    /// # Errors
    /// The hop could not be called.
    pub async fn replace(&self, dead: Lent, route: &Route, allowance: &mut Allowance) -> Result<Lent, SessionError> {
        let Lent { session, lane, slot, .. } = dead;
        drop(session);
        let session = self.caller.call(route, self.resolver.as_ref(), allowance).await?;
        Ok(Lent { session, is_reused: false, carried: 0, lane, slot })
    }

    /// Takes back a session that has carried a message and may carry another.
    pub fn take_back(&self, lent: Lent) {
        let Lent { session, carried, lane, slot, .. } = lent;
        let carried = carried.saturating_add(1);
        if carried >= self.bounds.messages {
            tokio::spawn(session.quit());
        } else {
            lane.rest(Resting { session, carried, until: Instant::now() + self.bounds.idle });
        }
        // Only now: whoever waits for the slot finds the session resting.
        drop(slot);
    }

    /// Takes leave of a session that is to be used no more.
    pub fn retire(&self, lent: Lent) {
        tokio::spawn(lent.session.quit());
    }

    /// Takes leave of all that rest. Those in use end with their message.
    pub async fn close(&self) {
        let lanes: Vec<Arc<Lane>> = locked(&self.lanes).drain().map(|(_, lane)| lane).collect();
        for lane in lanes {
            let resting = std::mem::take(&mut locked(&lane.idle).resting);
            futures_util::future::join_all(resting.into_iter().map(|resting| resting.session.quit())).await;
        }
    }

    fn lane(&self, route: &Route) -> Arc<Lane> {
        let mut lanes = locked(&self.lanes);
        if let Some(lane) = lanes.get(route) {
            return Arc::clone(lane);
        }
        if lanes.len() >= LANES {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || !locked(&lane.idle).resting.is_empty());
        }
        let lane = Arc::new(Lane {
            slots: Arc::new(Semaphore::new(self.bounds.connections.clamp(1, Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
        });
        lanes.insert(route.clone(), Arc::clone(&lane));
        lane
    }
}

impl Lane {
    fn wake_youngest(&self) -> Option<Resting> {
        locked(&self.idle).resting.pop_back()
    }

    fn rest(self: &Arc<Self>, resting: Resting) {
        let mut idle = locked(&self.idle);
        idle.resting.push_back(resting);
        if !idle.is_swept {
            idle.is_swept = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Takes out what has rested too long. `None` ends the sweep: nothing rests.
    fn wake_overdue(&self) -> Option<(Vec<Session>, Duration)> {
        let mut idle = locked(&self.idle);
        let now = Instant::now();
        let overdue = idle.resting.iter().take_while(|resting| resting.until <= now).count();
        let sessions = idle.resting.drain(..overdue).map(|resting| resting.session).collect();
        let next = idle.resting.front().map(|resting| resting.until.duration_since(now));
        idle.is_swept = next.is_some() || overdue > 0;
        idle.is_swept.then_some((sessions, next.unwrap_or_default()))
    }
}

/// Runs as long as anything rests in the lane.
async fn sweep(lane: Weak<Lane>) {
    while let Some((overdue, next)) = lane.upgrade().and_then(|lane| lane.wake_overdue()) {
        futures_util::future::join_all(overdue.into_iter().map(Session::quit)).await;
        tokio::time::sleep(next).await;
    }
}

/// No code panics while it holds one of these locks; should it, what they guard is whole all the same.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
