//! How many claims a second leave permits for their orders. A claim that is served leads to an
//! order a moment later, so orders that have to wait say that too many were served.

use std::time::{Duration, Instant};

use super::tuning::{
    CATCH_UP, FIRST_WINDOW, GROWTH_PER_SECOND, MEMORY, MOMENT, REPORT_INTERVAL, TARGET_DELAY,
};

/// So many claims count as having led to an order each, until more is known.
const GRANTED: f64 = 100.0;
/// Of a shorter time no rate is known.
const LEAST_SECONDS: f64 = 0.1;
/// Fewer orders than this a claim are not believed.
const LEAST_ORDERS_PER_CLAIM: f64 = 0.1;

/// The pace at which claims may be served, by what orders had to wait. Without a limit until one
/// did.
#[derive(Debug, Clone)]
pub struct OrderPace {
    per_second: f64,
    set_at: Option<Instant>,
    waited_at: Option<Instant>,
    /// Claims that may be served now.
    left: f64,
    counted_at: Instant,
    /// Claims that brought a new coupon and new orders, the newest weighing most.
    claims: f64,
    orders: f64,
    /// New orders within about [`CATCH_UP`], and of how many seconds they are.
    orders_lately: f64,
    lately_seconds: f64,
}

impl OrderPace {
    pub fn unlimited(now: Instant) -> Self {
        Self {
            per_second: f64::INFINITY,
            set_at: None,
            waited_at: None,
            left: 0.0,
            counted_at: now,
            claims: 0.0,
            orders: 0.0,
            orders_lately: 0.0,
            lately_seconds: 0.0,
        }
    }

    /// A claim brought a new coupon. Others lead to no order.
    pub fn coupon_issued(&mut self) {
        self.claims += 1.0;
    }

    /// A new order was made, whoever still hears of it. Nothing else makes room for a claim: who
    /// hears that a store is full comes again.
    pub fn order_made(&mut self, now: Instant) {
        self.count(now);
        self.orders += 1.0;
        self.orders_lately += 1.0;
    }

    /// An order had to wait for so long: as many claims may follow as lead to the orders that are
    /// made, less what is needed to catch up.
    pub fn order_waited(&mut self, waited: Duration, now: Instant) {
        if waited <= TARGET_DELAY {
            return;
        }
        self.count(now);
        self.waited_at = Some(now);
        let was_set = |at: Instant| now.saturating_duration_since(at) <= MOMENT;
        // A claim leads to its order a moment later: sooner nothing is learned from it.
        if !self.set_at.is_some_and(was_set) {
            self.set_at = Some(now);
            let share = 1.0 / (1.0 + waited.div_duration_f64(CATCH_UP));
            let orders_per_second = self.orders_lately / self.lately_seconds.max(LEAST_SECONDS);
            let claims_per_second = orders_per_second * share / self.orders_per_claim();
            // A coupon is worth having though no order is accepted.
            self.per_second = claims_per_second.max(FIRST_WINDOW);
            self.left = self.left.min(self.most());
        }
    }

    /// Whether another claim may be served.
    pub fn may_serve(&mut self, now: Instant) -> bool {
        self.count(now);
        self.per_second.is_infinite() || self.left >= 1.0
    }

    pub fn serve(&mut self) {
        if self.per_second.is_finite() {
            self.left -= 1.0;
        }
    }

    /// How many claims may be served from now on within a time.
    pub fn within(&mut self, time: Duration, now: Instant) -> f64 {
        self.count(now);
        if self.per_second.is_infinite() {
            return f64::INFINITY;
        }
        self.left.max(0.0) + self.per_second * time.as_secs_f64()
    }

    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    fn orders_per_claim(&self) -> f64 {
        let learned = (self.orders + GRANTED) / (self.claims + GRANTED);
        learned.clamp(LEAST_ORDERS_PER_CLAIM, 1.0)
    }

    fn most(&self) -> f64 {
        (self.per_second * REPORT_INTERVAL.as_secs_f64()).max(1.0)
    }

    fn count(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.counted_at);
        self.counted_at = now;
        let kept = |memory| (-since.div_duration_f64(memory)).exp();
        self.claims *= kept(MEMORY);
        self.orders *= kept(MEMORY);
        self.orders_lately *= kept(CATCH_UP);
        self.lately_seconds *= kept(CATCH_UP);
        self.lately_seconds += CATCH_UP.as_secs_f64() * (1.0 - kept(CATCH_UP));
        if self.per_second.is_infinite() {
            return;
        }
        self.left = (self.left + self.per_second * since.as_secs_f64()).min(self.most());
        let waits = |at: Instant| now.saturating_duration_since(at) <= MOMENT;
        if !self.waited_at.is_some_and(waits) {
            self.per_second *= GROWTH_PER_SECOND.powf(since.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Claims served of a crowd that always wants more, from one moment to another.
    fn served(pace: &mut OrderPace, from: Instant, time: Duration) -> u32 {
        let mut served = 0;
        for ms in 0..time.as_millis() as u32 {
            while pace.may_serve(from + ms * MS) && served < 1_000_000 {
                pace.serve();
                served += 1;
            }
        }
        served
    }

    /// So many orders a second are made, and as many coupons issued for each, for 20 s.
    fn made(pace: &mut OrderPace, per_second: u32, claims_each: u32, from: Instant) -> Instant {
        let mut now = from;
        for _ in 0..per_second * 20 {
            now += Duration::from_secs(1) / per_second;
            pace.order_made(now);
            (0..claims_each).for_each(|_| pace.coupon_issued());
        }
        now
    }

    fn is_near(pace: &OrderPace, per_second: f64) -> bool {
        (pace.per_second() / per_second - 1.0).abs() < 0.05
    }

    #[test]
    fn as_many_claims_follow_as_orders_are_made_less_what_catches_up() {
        let began = Instant::now();
        let mut pace = OrderPace::unlimited(began);
        assert!(pace.within(MS, began).is_infinite() && pace.may_serve(began));
        let now = made(&mut pace, 1_000, 1, began);
        pace.order_waited(TARGET_DELAY, now);
        assert!(pace.may_serve(now), "nothing had to wait for long");
        pace.order_waited(500 * MS, now);
        assert!(is_near(&pace, 800.0), "{pace:?}");
        let in_a_second = served(&mut pace, now, 1_000 * MS);
        assert!((760..=840).contains(&in_a_second), "{in_a_second}");
        // What is known of the first second does not count for the next one.
        pace.order_waited(2_000 * MS, now + 900 * MS);
        assert!(is_near(&pace, 800.0), "{pace:?}");
        pace.order_waited(2_000 * MS, now + 1_001 * MS);
        let lately = 1_000.0 * (-0.5_f64).exp();
        assert!(is_near(&pace, lately / 2.0), "{pace:?}");
    }

    #[test]
    fn where_only_some_claims_lead_to_an_order_so_many_more_are_served() {
        let mut pace = OrderPace::unlimited(Instant::now());
        let now = made(&mut pace, 250, 4, Instant::now());
        pace.order_waited(500 * MS, now);
        assert!(is_near(&pace, 4.0 * 250.0 * 0.8), "{pace:?}");
    }

    #[test]
    fn the_rate_of_orders_is_known_from_their_first_moments_on() {
        let began = Instant::now();
        let mut pace = OrderPace::unlimited(began);
        let mut now = began;
        for _ in 0..500 {
            now += MS;
            pace.order_made(now);
        }
        pace.order_waited(500 * MS, now);
        assert!(is_near(&pace, 800.0), "{pace:?}");
    }

    #[test]
    fn once_no_order_waits_more_claims_are_let_through_each_second() {
        let mut pace = OrderPace::unlimited(Instant::now());
        let now = made(&mut pace, 1_000, 1, Instant::now());
        pace.order_waited(500 * MS, now);
        for second in 1..=10_u32 {
            pace.within(MS, now + 1_000 * MS * second);
        }
        let grown = 800.0 * GROWTH_PER_SECOND.powi(9);
        assert!(is_near(&pace, grown), "{pace:?}");
        // What nobody used is not saved up.
        assert!(pace.within(Duration::ZERO, now + 10_000 * MS) < grown * 0.3);
    }

    #[test]
    fn claims_go_on_though_no_order_is_made() {
        let now = Instant::now();
        let mut pace = OrderPace::unlimited(now);
        pace.order_waited(5_000 * MS, now);
        let served = served(&mut pace, now, 900 * MS);
        assert!((50..=75).contains(&served), "{served}");
    }
}
