//! Permits: which claims may be in flight at issuance, or orders at order-intake. Those first whose
//! turns have come, in the order of their turns, and then those without one.

mod figures;

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use tidegate_types::{Lane, Lanes, PerLane};
use tokio::{sync::oneshot, time::timeout};

pub use figures::register as register_figures;

use crate::domain::{
    order_pace::OrderPace,
    promises::SOON,
    tuning::{FIRST_WINDOW, LATEST_ASK, SOONEST_ASK},
    wait_queue::{ARRIVALS_WAIT, Key, Rank, TURNS_WAIT, WaitQueue},
    window::Answer,
    windows::{Capacity, Windows},
};

/// Who found no permit comes back no sooner, and no later.
const SOONEST_BACK: Duration = SOONEST_ASK.saturating_mul(2);
const LATEST_BACK: Duration = LATEST_ASK;

/// How long an order waits: then it comes back, and begins anew.
const ORDERS_WAIT: Duration = LATEST_ASK;

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
    /// By lane.
    wait_queues: PerLane<WaitQueue<oneshot::Sender<Permit>>>,
    /// When the last of those comes back who were told to.
    next_back: Instant,
}

struct Standing {
    allowed: f64,
    in_flight: usize,
    /// Calls that wait for a permit.
    awaited: usize,
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
            wait_queues: PerLane::new(lanes, |_| WaitQueue::default()),
            next_back: now(),
        };
        Self {
            lanes,
            state: Mutex::new(state),
            arrivals_wait,
        }
    }

    /// A permit for a claim of the lane, at once or after those who go before it; `None` if there
    /// was none in time.
    pub async fn acquire(
        self: &Arc<Self>,
        lane: Lane,
        rank: Rank,
        patience: Duration,
    ) -> Option<Permit> {
        let waits = match rank {
            Rank::Turn(_) => TURNS_WAIT,
            Rank::Again(_) | Rank::Arrival => self.arrivals_wait,
        };
        let waits = waits.min(patience);
        let (key, mut granted) = {
            let (mut state, now) = (self.state(), now());
            let has_permit = state.has_permit(lane, now);
            let may_wait = state.windows.arrivals_that_may_wait(lane, waits, now);
            let queue = &mut state.wait_queues[lane];
            if has_permit && !queue.has_before(rank) {
                state.begin(lane, now);
                return Some(self.permit(lane));
            }
            if rank == Rank::Arrival && queue.arrival_count() >= may_wait {
                return None;
            }
            let (grant, granted) = oneshot::channel();
            (queue.push(rank, grant), granted)
        };
        let _waiter = Waiter {
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

    /// An order was asked for, and not because it had to wait before.
    pub fn order_asked(&self) {
        self.state().pace.order_asked(now());
    }

    /// A new order was made, which claims that were served have led to.
    pub fn order_made(&self) {
        self.state().pace.order_made(now());
    }

    /// So long orders have to wait at all gateways, and at this one: claims are served at a pace that
    /// leaves permits for their orders.
    pub fn orders_wait(&self, everywhere: Duration, here: Duration) {
        self.state().pace.orders_wait(everywhere, here, now());
    }

    /// So long the fastest of some orders took from permit to answer.
    pub fn orders_take(&self, took: Duration) {
        self.state().pace.orders_take(took, now());
    }

    /// How many claims lead to one order, as far as is known here.
    pub fn claims_per_order(&self) -> f64 {
        self.state().pace.claims_per_order()
    }

    /// So many lead to one at all gateways.
    pub fn claims_lead(&self, claims_per_order: f64) {
        self.state().pace.claims_lead(claims_per_order, now());
    }

    /// How long a call of the lane takes, as measured of late.
    pub fn call_time(&self, lane: Lane) -> Duration {
        self.state().windows.call_time(lane)
    }

    /// When to come back for one who found no permit: behind all who were told so before, as fast
    /// as they can be served.
    pub fn come_back_after(&self) -> Duration {
        let (mut state, now) = (self.state(), now());
        let answered = state.windows.answered_per_second(now);
        // A stall says nothing of how fast they are served after it.
        let per_second = answered.max(FIRST_WINDOW);
        let next = state.next_back + Duration::from_secs_f64(1.0 / per_second);
        let earliest = now + SOONEST_BACK;
        state.next_back = next.clamp(earliest, earliest.max(now + LATEST_BACK));
        state.next_back - now
    }

    /// How the permits of all lanes stand together.
    fn standing(&self) -> Standing {
        let (state, now) = (self.state(), now());
        Standing {
            allowed: state.windows.permits(now),
            in_flight: state.windows.in_flight(),
            awaited: state.wait_queues.values().map(WaitQueue::len).sum(),
        }
    }

    /// Turns that have come and wait for a permit.
    pub fn turns_waiting(&self) -> usize {
        let state = self.state();
        state.wait_queues.values().map(WaitQueue::turn_count).sum()
    }

    pub fn idle(&self) -> f64 {
        let (mut state, now) = (self.state(), now());
        let idle = state.windows.idle(now);
        idle.min(state.pace.within(Duration::ZERO, now))
    }

    /// Measures what was answered since the last time, and tells what could go.
    pub fn measure(&self) -> Capacity {
        let (mut state, now) = (self.state(), now());
        let can_take = state.pace.within(SOON, now);
        let capacity = state.windows.measure(now);
        capacity.at_most(can_take, state.pace.per_second())
    }

    /// Those who wait for the pace alone go as far as it allows by now: no answer calls them.
    pub fn grant_by_pace(self: &Arc<Self>) {
        self.lanes.all().for_each(|lane| self.grant(lane));
    }

    /// How many claims a second leave permits for their orders; infinite if no order had to wait.
    pub fn pace_per_second(&self) -> f64 {
        self.state().pace.per_second()
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

    /// Those who wait in a lane's queue go, as far as there are permits for them.
    fn grant(self: &Arc<Self>, lane: Lane) {
        let mut granted = Vec::new();
        {
            let (mut state, now) = (self.state(), now());
            while state.has_permit(lane, now) {
                let Some((_, next)) = state.wait_queues[lane].pop() else {
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
        self.windows.has_permit(lane, now) && self.pace.may_serve(now)
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
    /// The claim was answered, and had to wait for so long where it was. It stops being in flight
    /// only with the permit. Tells how long it was.
    pub fn answered(&self, waited: Duration) -> Duration {
        let took = now().saturating_duration_since(self.granted_at);
        let answer = Answer { waited, took };
        // A claim has one answer.
        let _ = self.answer.set(answer);
        took
    }

    /// The claim brought a new coupon, which an order may follow.
    pub fn brought_coupon(&self) {
        self.permits.state().pace.coupon_issued(now());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.end(self.lane, self.answer.take());
    }
}

/// A call in a wait queue, until this is dropped.
struct Waiter<'a> {
    permits: &'a Permits,
    lane: Lane,
    key: Key,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.permits.state();
        state.wait_queues[self.lane].remove(self.key);
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
