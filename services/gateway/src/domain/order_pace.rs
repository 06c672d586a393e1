//! How many claims a second leave permits for their orders. A claim that is served leads to an
//! order a moment later, so orders that have to wait say that too many were served.

use std::time::{Duration, Instant};

use super::window::TARGET_DELAY;

/// What a claim leads to, its order, comes so much later: more often nothing can be learned from
/// it.
const CONSEQUENCE: Duration = Duration::from_secs(1);
/// Orders that wait are to be caught up with in about this time.
const CATCH_UP: Duration = Duration::from_secs(2);
/// While no order waits, so many times as many claims are let through each second.
const GROWTH_PER_SECOND: f64 = 1.25;
/// Claims that were not served may be made good for so long.
const MADE_GOOD: Duration = Duration::from_millis(200);
/// Even if no order is answered: a coupon is worth having while orders wait.
const CLAIMS_PER_SECOND_AT_LEAST: f64 = 50.0;
/// How many orders a claim leads to is learned from about as long.
const MEMORY: Duration = Duration::from_secs(10);
/// So many claims count as having led to an order each, until more is known.
const GRANTED: f64 = 100.0;
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
    /// Claims served and orders that came, the newest weighing most.
    claims: f64,
    orders: f64,
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
        }
    }

    /// An order came, whatever becomes of it. One that comes again counts again, which errs towards
    /// fewer claims.
    pub fn order_came(&mut self, now: Instant) {
        self.count(now);
        self.orders += 1.0;
    }

    /// An order had to wait for so long, while so many were answered each second: as many claims
    /// may follow, less what is needed to catch up.
    pub fn order_waited(&mut self, waited: Duration, orders_per_second: f64, now: Instant) {
        if waited <= TARGET_DELAY {
            return;
        }
        self.count(now);
        self.waited_at = Some(now);
        let was_set = |at: Instant| now.saturating_duration_since(at) <= CONSEQUENCE;
        if !self.set_at.is_some_and(was_set) {
            self.set_at = Some(now);
            let share = 1.0 / (1.0 + waited.div_duration_f64(CATCH_UP));
            let claims_per_second = orders_per_second * share / self.orders_per_claim();
            self.per_second = claims_per_second.max(CLAIMS_PER_SECOND_AT_LEAST);
            self.left = self.left.min(self.most());
        }
    }

    /// Whether another claim may be served.
    pub fn may_serve(&mut self, now: Instant) -> bool {
        self.count(now);
        self.per_second.is_infinite() || self.left >= 1.0
    }

    pub fn serve(&mut self) {
        self.claims += 1.0;
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
        (self.per_second * MADE_GOOD.as_secs_f64()).max(1.0)
    }

    fn count(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.counted_at);
        self.counted_at = now;
        let kept = (-since.div_duration_f64(MEMORY)).exp();
        (self.claims, self.orders) = (self.claims * kept, self.orders * kept);
        if self.per_second.is_infinite() {
            return;
        }
        self.left = (self.left + self.per_second * since.as_secs_f64()).min(self.most());
        let waits = |at: Instant| now.saturating_duration_since(at) <= CONSEQUENCE;
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

    #[test]
    fn as_many_claims_follow_as_orders_are_answered_less_what_catches_up() {
        let now = Instant::now();
        let mut pace = OrderPace::unlimited(now);
        assert!(pace.within(MS, now).is_infinite() && pace.may_serve(now));
        pace.order_waited(TARGET_DELAY, 900.0, now);
        assert!(pace.may_serve(now), "nothing had to wait for long");
        pace.order_waited(500 * MS, 1_000.0, now);
        assert_eq!(pace.per_second(), 800.0);
        let in_a_second = served(&mut pace, now, 1_000 * MS);
        assert!((790..=810).contains(&in_a_second), "{in_a_second}");
        // What is known of the first second does not count for the next one.
        pace.order_waited(2_000 * MS, 600.0, now + 1_001 * MS);
        assert_eq!(pace.per_second(), 300.0);
        pace.order_waited(4_000 * MS, 100.0, now + 1_500 * MS);
        assert_eq!(pace.per_second(), 300.0);
    }

    #[test]
    fn where_only_some_claims_lead_to_an_order_so_many_more_are_served() {
        let now = Instant::now();
        let mut pace = OrderPace::unlimited(now);
        for ms in 0..30_000_u32 {
            pace.serve();
            if ms % 4 == 0 {
                pace.order_came(now + ms * MS);
            }
        }
        let later = now + 30_000 * MS;
        pace.order_waited(500 * MS, 250.0, later);
        // A quarter of what is served orders: four times 250, less what catches up.
        assert!((760.0..810.0).contains(&pace.per_second()), "{pace:?}");
        // Orders that come again and again are not taken for more than one a claim.
        for _ in 0..100_000 {
            pace.order_came(later);
        }
        pace.order_waited(500 * MS, 250.0, later + 1_001 * MS);
        assert_eq!(pace.per_second(), 200.0);
    }

    #[test]
    fn once_no_order_waits_more_claims_are_let_through_each_second() {
        let now = Instant::now();
        let mut pace = OrderPace::unlimited(now);
        pace.order_waited(500 * MS, 1_000.0, now);
        for second in 1..=10_u32 {
            pace.within(MS, now + 1_000 * MS * second);
        }
        let grown = 800.0 * GROWTH_PER_SECOND.powi(9);
        assert!((pace.per_second() - grown).abs() < 1.0, "{pace:?}");
        // What nobody used is not saved up.
        assert!(pace.within(Duration::ZERO, now + 10_000 * MS) < grown * 0.3);
    }

    #[test]
    fn claims_go_on_though_no_order_is_answered() {
        let now = Instant::now();
        let mut pace = OrderPace::unlimited(now);
        pace.order_waited(5_000 * MS, 0.0, now);
        let served = served(&mut pace, now, 900 * MS);
        assert!((40..=60).contains(&served), "{served}");
    }
}
