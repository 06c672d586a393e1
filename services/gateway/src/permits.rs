//! Permits: which claims may be in flight at issuance, or orders at order-intake. Those first whose turns have come, in the order of their turns, and then those without one.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use tidegate_types::{Lane, Lanes};
use tokio::{sync::oneshot, time::timeout};

use crate::domain::{
    order_pace::OrderPace,
    promises::SOON,
    wait_queue::{ARRIVALS_WAIT, Key, Rank, TURNS_WAIT, WaitQueue},
    window::Answer,
    windows::{Capacity, Windows},
};

/// Who found no permit comes back no sooner, and no later.
const SOONEST_BACK: Duration = Duration::from_millis(500);
const LATEST_BACK: Duration = Duration::from_secs(10);

/// How long an order waits: then it comes back, and begins anew.
const ORDERS_WAIT: Duration = Duration::from_secs(5);

/// The permits of all lanes. Many callers share one.
pub struct Permits {
    lanes: Lanes,
    state: Mutex<State>,
    /// For how long those without a turn wait for a permit at most.
    arrivals_wait: Duration,
}

struct State {
    windows: Windows,
    pace: OrderPace,
    /// Who waits for a permit, by lane.
    doors: Vec<WaitQueue<oneshot::Sender<Permit>>>,
    /// When the last of those comes back who were told to.
    next_back: Instant,
}

/// Leave for one claim to be in flight, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    lane: Lane,
    /// How long it was waited for.
    pub waited: Duration,
    granted_at: Instant,
    answer: OnceLock<Answer>,
}

impl Permits {
    /// Those of claims. Nobody is in flight yet.
    pub fn of_claims(lanes: Lanes) -> Self {
        Self::new(lanes, Windows::of_claims(lanes, now()), ARRIVALS_WAIT)
    }

    /// Those of orders, for which there is no queue to go to: they wait here, as they came.
    pub fn of_orders(lanes: Lanes) -> Self {
        Self::new(lanes, Windows::of_orders(lanes, now()), ORDERS_WAIT)
    }

    fn new(lanes: Lanes, windows: Windows, arrivals_wait: Duration) -> Self {
        let state = State {
            windows,
            pace: OrderPace::unlimited(now()),
            doors: lanes.all().map(|_| WaitQueue::default()).collect(),
            next_back: now(),
        };
        Self {
            lanes,
            state: Mutex::new(state),
            arrivals_wait,
        }
    }

    /// A permit for a claim of the lane, at once or after those who go before it; `None` if there was none in time.
    pub async fn acquire(
        self: &Arc<Self>,
        lane: Lane,
        rank: Rank,
        patience: Duration,
    ) -> Option<Permit> {
        let waits = match rank {
            Rank::Turn(_) => TURNS_WAIT,
            Rank::Arrival => self.arrivals_wait,
        };
        let waits = waits.min(patience);
        let (key, mut granted) = {
            let (mut state, now) = (self.state(), now());
            let has_permit = state.has_permit(lane, now);
            let may_wait = state.windows.arrivals_that_may_wait(lane, waits, now);
            let door = state.doors.get_mut(usize::from(lane.get()))?;
            if has_permit && !door.has_before(rank) {
                state.begin(lane, now);
                return Some(self.permit(lane));
            }
            if rank == Rank::Arrival && door.arrival_count() >= may_wait {
                return None;
            }
            let (grant, granted) = oneshot::channel();
            (door.push(rank, grant), granted)
        };
        let _place = AtDoor {
            permits: self,
            lane,
            key,
        };
        self.grant(lane);
        let came = now();
        let mut permit = timeout(waits, &mut granted).await.ok()?.ok()?;
        permit.waited = now().saturating_duration_since(came);
        Some(permit)
    }

    /// An order had to wait for so long, while so many were answered each second: claims are served at a pace that leaves room for their orders.
    pub fn order_waited(&self, waited: Duration, orders_per_second: f64) {
        self.state()
            .pace
            .order_waited(waited, orders_per_second, now());
    }

    /// How many are answered each second.
    pub fn answered_per_second(&self) -> f64 {
        self.state().windows.answered_per_second(now())
    }

    /// When to come back for one who found no permit: behind all who were told so before, as fast as they can be served.
    pub fn come_back_after(&self) -> Duration {
        let (mut state, now) = (self.state(), now());
        let per_second = state.windows.answered_per_second(now).max(1.0);
        let next = state.next_back + Duration::from_secs_f64(1.0 / per_second);
        let earliest = now + SOONEST_BACK;
        state.next_back = next.clamp(earliest, earliest.max(now + LATEST_BACK));
        state.next_back - now
    }

    /// Turns that have come and wait for a permit.
    pub fn turns_at_door(&self) -> usize {
        self.state().doors.iter().map(WaitQueue::turn_count).sum()
    }

    /// Permits that nobody uses.
    pub fn idle(&self) -> f64 {
        let (mut state, now) = (self.state(), now());
        let idle = state.windows.idle(now);
        idle.min(state.pace.within(Duration::ZERO, now))
    }

    /// Measures what was answered since the last time, and tells what could go. Who waits for a pace and not for an answer goes now.
    pub fn measure(self: &Arc<Self>) -> Capacity {
        self.lanes.all().for_each(|lane| self.grant(lane));
        let (mut state, now) = (self.state(), now());
        let can_take = state.pace.within(SOON, now);
        let capacity = state.windows.measure(now);
        capacity.at_most(can_take, state.pace.per_second())
    }

    fn permit(self: &Arc<Self>, lane: Lane) -> Permit {
        Permit {
            permits: Arc::clone(self),
            lane,
            waited: Duration::ZERO,
            granted_at: now(),
            answer: OnceLock::new(),
        }
    }

    /// A claim is in flight no more, and others may go.
    fn end(self: &Arc<Self>, lane: Lane, answer: Option<Answer>) {
        self.state().windows.end(lane, answer, now());
        self.grant(lane);
    }

    /// Those who wait at a lane's door go, as far as there are permits for them.
    fn grant(self: &Arc<Self>, lane: Lane) {
        let mut granted = Vec::new();
        {
            let (mut state, now) = (self.state(), now());
            while state.has_permit(lane, now) {
                let door = state.doors.get_mut(usize::from(lane.get()));
                let Some((_, next)) = door.and_then(WaitQueue::pop) else {
                    break;
                };
                state.begin(lane, now);
                granted.push(next);
            }
        }
        for next in granted {
            // Who has gone meanwhile gives the permit back.
            drop(next.send(self.permit(lane)));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_permit(&mut self, lane: Lane, now: Instant) -> bool {
        self.windows.has_permit(lane, now) && self.pace.has_room(now)
    }

    fn begin(&mut self, lane: Lane, now: Instant) {
        self.windows.begin(lane, now);
        self.pace.serve();
    }
}

impl std::fmt::Debug for Permits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permits")
    }
}

impl Permit {
    /// The claim was answered, and had to wait for so long where it was. It stops being in flight only with the permit.
    pub fn answered(&self, waited: Duration) {
        let took = now().saturating_duration_since(self.granted_at);
        let answer = Answer { waited, took };
        // A claim has one answer.
        let _ = self.answer.set(answer);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.end(self.lane, self.answer.take());
    }
}

/// A call's place at a door, given up when this is dropped.
struct AtDoor<'a> {
    permits: &'a Permits,
    lane: Lane,
    key: Key,
}

impl Drop for AtDoor<'_> {
    fn drop(&mut self) {
        let mut state = self.permits.state();
        if let Some(door) = state.doors.get_mut(usize::from(self.lane.get())) {
            door.remove(self.key);
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use tidegate_types::{Cohort, Turn};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn permits() -> (Arc<Permits>, Lane) {
        let lanes = Lanes::new(1u16).unwrap();
        (
            Arc::new(Permits::of_claims(lanes)),
            lanes.lane(0u16).unwrap(),
        )
    }

    async fn all_permits(permits: &Arc<Permits>, lane: Lane) -> Vec<Permit> {
        let mut taken = Vec::new();
        while permits.idle() >= 1.0 {
            taken.push(permits.acquire(lane, Rank::Arrival, SECOND).await.unwrap());
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn turns_go_before_new_claims_and_in_their_order() {
        let (permits, lane) = permits();
        let mut taken = all_permits(&permits, lane).await;
        let (said, mut order) = tokio::sync::mpsc::unbounded_channel();
        let turn = |cohort| Rank::Turn(Turn::first_of(Cohort::new(cohort).unwrap()));
        for (name, rank) in [
            ("new", Rank::Arrival),
            ("late", turn(9)),
            ("early", turn(5)),
        ] {
            let (permits, said) = (Arc::clone(&permits), said.clone());
            tokio::spawn(async move {
                let permit = permits.acquire(lane, rank, SECOND).await;
                said.send((name, permit)).unwrap();
            });
            tokio::task::yield_now().await;
        }
        assert_eq!(permits.turns_at_door(), 2);
        let mut went = Vec::new();
        for _ in 0..3 {
            taken.pop();
            let (name, permit) = order.recv().await.unwrap();
            went.push((name, permit.is_some()));
            taken.extend(permit);
        }
        assert_eq!(went, [("early", true), ("late", true), ("new", true)]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_too_long_is_sent_away_and_leaves_nothing_behind() {
        let (permits, lane) = permits();
        let mut taken = all_permits(&permits, lane).await;
        assert!(permits.acquire(lane, Rank::Arrival, SECOND).await.is_none());
        let turn = Rank::Turn(Turn::FIRST);
        assert!(permits.acquire(lane, turn, SECOND / 10).await.is_none());
        assert_eq!(permits.turns_at_door(), 0);
        taken.pop();
        assert!(permits.acquire(lane, turn, SECOND).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn orders_wait_as_they_came_for_as_long_as_their_callers_do() {
        let lanes = Lanes::new(1u16).unwrap();
        let (permits, lane) = (
            Arc::new(Permits::of_orders(lanes)),
            lanes.lane(0u16).unwrap(),
        );
        let mut taken = all_permits(&permits, lane).await;
        let (said, mut order) = tokio::sync::mpsc::unbounded_channel();
        for (name, patience) in [("first", SECOND), ("hasty", SECOND / 2), ("second", SECOND)] {
            let (permits, said) = (Arc::clone(&permits), said.clone());
            tokio::spawn(async move {
                let permit = permits.acquire(lane, Rank::Arrival, patience).await;
                said.send((name, permit)).unwrap();
            });
            tokio::task::yield_now().await;
        }
        let (hasty, none) = order.recv().await.unwrap();
        assert_eq!((hasty, none.is_some()), ("hasty", false));
        for expected in ["first", "second"] {
            taken.pop();
            let (name, permit) = order.recv().await.unwrap();
            assert_eq!((name, permit.is_some()), (expected, true));
            taken.extend(permit);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_that_found_a_permit_at_once_did_not_wait_and_one_at_the_door_tells_how_long()
    {
        let lanes = Lanes::new(1u16).unwrap();
        let (permits, lane) = (
            Arc::new(Permits::of_orders(lanes)),
            lanes.lane(0u16).unwrap(),
        );
        let mut taken = all_permits(&permits, lane).await;
        assert!(taken.iter().all(|permit| permit.waited.is_zero()));
        let at_door = tokio::spawn({
            let permits = Arc::clone(&permits);
            async move { permits.acquire(lane, Rank::Arrival, SECOND).await }
        });
        tokio::task::yield_now().await;
        tokio::time::advance(SECOND / 2).await;
        taken.pop();
        let waited = at_door.await.unwrap().unwrap().waited;
        assert!(waited >= SECOND / 2, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn claims_are_served_at_the_pace_of_orders_that_wait() {
        let (permits, lane) = permits();
        permits.order_waited(2 * SECOND, 200.0);
        let mut served = 0;
        for _ in 0..500 {
            tokio::time::advance(SECOND / 1_000).await;
            let permit = permits.acquire(lane, Rank::Arrival, Duration::ZERO);
            served += u32::from(permit.await.is_some());
        }
        assert!((45..=55).contains(&served), "{served}");
        assert!(permits.measure().able_per_second < 101.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_finds_no_permit_comes_back_one_after_the_other() {
        let (permits, lane) = permits();
        for _ in 0..100 {
            let permit = permits.acquire(lane, Rank::Arrival, SECOND).await.unwrap();
            permit.answered(Duration::ZERO);
            drop(permit);
            tokio::time::advance(SECOND / 100).await;
        }
        let times: Vec<_> = (0..1_000).map(|_| permits.come_back_after()).collect();
        assert_eq!(times[0], SOONEST_BACK);
        let between = times[100] - times[0];
        assert!(between > SECOND && between < 3 * SECOND, "{between:?}");
        assert_eq!(times[999], LATEST_BACK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_comes_too_late_is_given_to_the_next() {
        let (permits, lane) = permits();
        let taken = all_permits(&permits, lane).await;
        let waiting = permits.acquire(lane, Rank::Turn(Turn::FIRST), SECOND);
        assert!(timeout(SECOND / 10, waiting).await.is_err(), "it has gone");
        drop(taken);
        let again = all_permits(&permits, lane).await;
        assert!(again.len() >= 60, "{}", again.len());
    }
}
