//! The windows of all lanes, and what they say together.

use std::time::{Duration, Instant};

use tidegate_types::{Lane, Lanes, PerLane};

use super::{
    promises::SOON,
    tuning::{FIRST_WINDOW, REPORT_INTERVAL},
    window::{Answer, Window},
};

/// How much the newest measurement counts in the rate.
const SHARE_OF_NEWEST: f64 = 0.5;

/// Of a shorter time too little is known. Reports come less often.
const MEASURE_EVERY: Duration = REPORT_INTERVAL.checked_div(2).expect("two is not zero");

#[derive(Debug, Clone)]
pub struct Windows {
    by_lane: PerLane<Window>,
    measured_at: Instant,
    answered: u64,
    answered_per_second: f64,
}

/// What issuance can do, by what came back and what the windows allow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Claims that could go until the report after the next.
    pub can_take: f64,
    /// Claims answered each second.
    pub served_per_second: f64,
    /// Claims that could be answered each second, as far as was tried.
    pub able_per_second: f64,
}

impl Capacity {
    /// The same where no more may be served than so many until then, and each second.
    #[must_use]
    pub fn at_most(self, can_take: f64, per_second: f64) -> Self {
        Self {
            can_take: self.can_take.min(can_take),
            able_per_second: self.able_per_second.min(per_second),
            ..self
        }
    }

    #[must_use]
    pub fn times(self, share: f64) -> Self {
        Self {
            can_take: self.can_take * share,
            served_per_second: self.served_per_second * share,
            able_per_second: self.able_per_second * share,
        }
    }
}

impl Windows {
    /// Windows of claims that were never used.
    pub fn of_claims(lanes: Lanes, now: Instant) -> Self {
        Self::new(lanes, 1.0, now)
    }

    /// The same of orders, which go first: a batch of them may always be in flight.
    pub fn of_orders(lanes: Lanes, now: Instant) -> Self {
        Self::new(lanes, FIRST_WINDOW, now)
    }

    fn new(lanes: Lanes, least: f64, now: Instant) -> Self {
        let of_lane = |all: f64| all / f64::from(lanes.get());
        let window = Window::new(of_lane(FIRST_WINDOW), of_lane(least));
        Self {
            by_lane: PerLane::new(lanes, |_| window.clone()),
            measured_at: now,
            answered: 0,
            answered_per_second: 0.0,
        }
    }

    /// Whether another claim of the lane may go.
    pub fn has_permit(&self, lane: Lane, now: Instant) -> bool {
        self.by_lane[lane].has_permit(now)
    }

    pub fn begin(&mut self, lane: Lane, now: Instant) {
        self.by_lane[lane].begin(now);
    }

    /// A claim is in flight no more: answered, or given up.
    pub fn end(&mut self, lane: Lane, answer: Option<Answer>, now: Instant) {
        self.by_lane[lane].end(answer, now);
    }

    /// How long a call of the lane takes, as measured of late.
    pub fn call_time(&self, lane: Lane) -> Duration {
        self.by_lane[lane].call_time()
    }

    pub fn idle(&self, now: Instant) -> f64 {
        self.by_lane.values().map(|window| window.idle(now)).sum()
    }

    /// How many may be in flight, in all lanes.
    pub fn permits(&self, now: Instant) -> f64 {
        self.by_lane
            .values()
            .map(|window| window.permits(now))
            .sum()
    }

    pub fn in_flight(&self) -> usize {
        self.by_lane.values().map(Window::in_flight).sum()
    }

    /// How many of one lane may wait for a permit beside those whose turns have come: no more than
    /// can be served while they wait, as far as that is known, or than the window has permits.
    pub fn arrivals_that_may_wait(&mut self, lane: Lane, wait: Duration, now: Instant) -> usize {
        let served = self.answered_per_second(now) * wait.as_secs_f64()
            / f64::from(self.by_lane.lanes().get());
        let permits = self.by_lane[lane].permits(now);
        served.max(permits) as usize
    }

    /// Measures what came back since the last time, and tells what could go.
    pub fn measure(&mut self, now: Instant) -> Capacity {
        let served_per_second = self.answered_per_second(now);
        let untried = self.by_lane.values().map(|of| of.untried_per_second(now));
        let (able_per_second, can_take) = match untried.sum::<Option<f64>>() {
            Some(untried) => (untried, untried * SOON.as_secs_f64()),
            None => (
                served_per_second,
                self.idle(now)
                    + served_per_second * SOON.as_secs_f64()
                    + f64::from(self.by_lane.lanes().get()),
            ),
        };
        Capacity {
            can_take,
            served_per_second,
            able_per_second,
        }
    }

    /// How many are answered each second.
    pub fn answered_per_second(&mut self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.measured_at);
        if since >= MEASURE_EVERY {
            let answered = self.by_lane.values().map(Window::answered).sum::<u64>();
            let newest = (answered - self.answered) as f64 / since.as_secs_f64();
            self.answered_per_second += SHARE_OF_NEWEST * (newest - self.answered_per_second);
            (self.answered, self.measured_at) = (answered, now);
        }
        self.answered_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_could_go_is_what_the_windows_would_allow_and_then_what_is_idle_and_comes_back() {
        let (lanes, now) = (Lanes::new(2u16).unwrap(), Instant::now());
        let mut windows = Windows::of_claims(lanes, now);
        let untried = windows.measure(now);
        assert!(untried.able_per_second > 1_000.0 && untried.served_per_second == 0.0);
        let lane = lanes.lane(0u16).unwrap();
        for _ in 0..10 {
            windows.begin(lane, now);
        }
        let late = Answer {
            waited: 200 * MS,
            took: 210 * MS,
        };
        for lane in lanes.all() {
            windows.begin(lane, now);
            windows.end(lane, Some(late), now + 200 * MS);
        }
        let tried = windows.measure(now + 1_000 * MS);
        assert_eq!(tried.served_per_second, 1.0);
        assert_eq!(tried.able_per_second, 1.0);
        assert!(tried.can_take > windows.idle(now + 1_000 * MS));
    }

    #[test]
    fn however_late_orders_are_answered_a_batch_of_them_may_be_in_flight_and_of_claims_one() {
        let (lanes, began) = (Lanes::new(4u16).unwrap(), Instant::now());
        let late = Answer {
            waited: 10_000 * MS,
            took: 10_000 * MS,
        };
        let permits = |mut windows: Windows| {
            let mut now = began;
            for lane in (0..50).flat_map(|_| lanes.all()) {
                windows.begin(lane, now);
                now += 10_000 * MS;
                windows.end(lane, Some(late), now);
            }
            windows.permits(now)
        };
        assert_eq!(permits(Windows::of_claims(lanes, began)), 4.0);
        let of_orders = permits(Windows::of_orders(lanes, began));
        assert!((50.0..100.0).contains(&of_orders), "{of_orders}");
    }
}
