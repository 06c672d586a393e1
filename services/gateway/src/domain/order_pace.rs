//! How many claims a second leave permits for their orders. A claim that is served leads to an
//! order a moment later, so orders that have to wait say that too many were served.

use std::time::{Duration, Instant};

use super::{
    order_waits::LOOK_EVERY,
    tuning::{
        CATCH_UP, FIRST_WINDOW, GROWTH_PER_SECOND, MEMORY, MOMENT, REPORT_INTERVAL, TARGET_DELAY,
    },
};

/// So many claims count as having led to an order each, until more is known.
const GRANTED: f64 = 100.0;
/// Of a shorter time no rate is known.
const LEAST_SECONDS: f64 = 0.1;
/// Fewer orders than this a claim are not believed.
const LEAST_ORDERS_PER_CLAIM: f64 = 0.1;

/// The pace at which claims may be served, by what orders had to wait. Without a limit until a
/// queue of them stood.
#[derive(Debug, Clone)]
pub struct OrderPace {
    per_second: f64,
    /// When orders were last found to wait.
    found_at: Option<Instant>,
    /// When it was looked at last how long orders wait, and what was told of that since then.
    looked_at: Instant,
    told: Option<Duration>,
    /// Claims that may be served now.
    left: f64,
    counted_at: Instant,
    /// Claims that brought a new coupon and new orders, the newest weighing most.
    claims: f64,
    orders: f64,
    /// The same within about [`CATCH_UP`], and of how many seconds they are.
    claims_lately: f64,
    orders_lately: f64,
    lately_seconds: f64,
    /// Of the last half minute, the most orders a second that were made.
    proven: f64,
    ordered_at: Instant,
    /// Orders waited and none was made, until no gateway tells of any that wait.
    stood_still: bool,
}

impl OrderPace {
    pub fn unlimited(now: Instant) -> Self {
        Self {
            per_second: f64::INFINITY,
            found_at: None,
            looked_at: now,
            told: None,
            left: 0.0,
            counted_at: now,
            claims: 0.0,
            orders: 0.0,
            claims_lately: 0.0,
            orders_lately: 0.0,
            lately_seconds: 0.0,
            proven: 0.0,
            ordered_at: now,
            stood_still: false,
        }
    }

    /// A claim brought a new coupon. Others lead to no order.
    pub fn coupon_issued(&mut self, now: Instant) {
        self.count(now);
        self.claims += 1.0;
        self.claims_lately += 1.0;
    }

    /// A new order was made, whoever still hears of it. Nothing else makes room for a claim: who
    /// hears that a store is full comes again.
    pub fn order_made(&mut self, now: Instant) {
        self.count(now);
        if now.saturating_duration_since(self.ordered_at) > MOMENT {
            // A rate that counted the time without orders would be far below what can be made.
            self.claims_lately = 0.0;
            self.orders_lately = 0.0;
            self.lately_seconds = 0.0;
        }
        self.ordered_at = now;
        self.orders += 1.0;
        self.orders_lately += 1.0;
    }

    /// So long orders have to wait at present, at all gateways and at this one. Where they do they
    /// are made as fast as can be. The end of an outage is known here first: means outlast it.
    pub fn orders_wait(&mut self, everywhere: Duration, here: Duration, now: Instant) {
        self.count(now);
        let told = if self.stood_still { here } else { everywhere };
        self.stood_still &= everywhere > TARGET_DELAY;
        self.told = Some(self.told.map_or(told, |before| before.max(told)));
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
        self.claims_lately *= kept(CATCH_UP);
        self.orders_lately *= kept(CATCH_UP);
        self.lately_seconds *= kept(CATCH_UP);
        self.lately_seconds += CATCH_UP.as_secs_f64() * (1.0 - kept(CATCH_UP));
        self.proven *= kept(MEMORY);
        if now.saturating_duration_since(self.looked_at) >= LOOK_EVERY {
            self.look(now);
        }
        if self.per_second.is_finite() {
            self.left = (self.left + self.per_second * since.as_secs_f64()).min(self.most());
        }
    }

    /// Sets the pace by what was seen since the last time.
    fn look(&mut self, now: Instant) {
        let looked_for = now.saturating_duration_since(self.looked_at);
        self.looked_at = now;
        // What an outage held back is made at once, and proves nothing.
        if self.lately_seconds >= MOMENT.as_secs_f64() {
            self.proven = self.proven.max(self.a_second(self.orders_lately));
        }
        let since_found = self.found_at.map(|at| now.saturating_duration_since(at));
        match (self.told.take(), since_found) {
            (Some(wait), since) if wait > TARGET_DELAY => {
                let without_orders = now.saturating_duration_since(self.ordered_at);
                self.stood_still |= without_orders > MOMENT;
                // A claim leads to its order a moment later: sooner nothing is learned from it.
                if since.is_none_or(|since| since >= MOMENT) {
                    self.found_at = Some(now);
                    self.per_second = self.that_leads_to_orders(wait);
                }
            }
            (_, Some(since)) if since > MEMORY => {
                self.found_at = None;
                self.per_second = f64::INFINITY;
            }
            (told, _) => {
                // An outage is no crowd, after which claims may come no faster than orders can. It
                // is over only when somebody says so.
                if self.stood_still && told.is_some() {
                    self.per_second = self.per_second.max(self.safe());
                }
                // A pace that is not used says nothing of what a greater one would do.
                if self.a_second(self.claims_lately) > self.per_second / 2.0 {
                    let seconds = looked_for.min(MOMENT).as_secs_f64();
                    // What was done of late is found again sooner than what may be more.
                    let is_found_again = !self.stood_still && self.per_second < self.safe();
                    let times = if is_found_again { 3.0 } else { 1.0 };
                    let grown = self.per_second * GROWTH_PER_SECOND.powf(seconds * times);
                    self.per_second = grown.min(self.most_tried()).max(self.per_second);
                }
            }
        }
    }

    /// As many claims a second as lead to the orders that are made, less what catches up with those
    /// that wait. A coupon is worth having though no order is accepted.
    fn that_leads_to_orders(&self, wait: Duration) -> f64 {
        let share = 1.0 / (1.0 + wait.div_duration_f64(CATCH_UP));
        let claims = self.a_second(self.orders_lately) * share / self.orders_per_claim();
        claims.max(FIRST_WINDOW)
    }

    /// Claims a second that are safe to go on from: orders have been made twice as fast.
    fn safe(&self) -> f64 {
        self.proven / 2.0 / self.orders_per_claim()
    }

    /// Claims a second beyond which it is waited for what orders say: they come a moment later.
    fn most_tried(&self) -> f64 {
        (self.proven * GROWTH_PER_SECOND / self.orders_per_claim()).max(FIRST_WINDOW)
    }

    fn a_second(&self, lately: f64) -> f64 {
        lately / self.lately_seconds.max(LEAST_SECONDS)
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
            (0..claims_each).for_each(|_| pace.coupon_issued(now));
        }
        now
    }

    /// Orders have to wait for so long, until it was looked at.
    fn stood(pace: &mut OrderPace, wait: Duration, from: Instant) -> Instant {
        pace.within(MS, from + LOOK_EVERY);
        pace.orders_wait(wait, wait, from + LOOK_EVERY);
        pace.within(MS, from + 2 * LOOK_EVERY);
        from + 2 * LOOK_EVERY
    }

    fn is_near(pace: &OrderPace, per_second: f64) -> bool {
        (pace.per_second() / per_second - 1.0).abs() < 0.05
    }

    /// What is left of a rate of late after so long without anything.
    fn faded(time: Duration) -> f64 {
        (-time.div_duration_f64(CATCH_UP)).exp()
    }

    #[test]
    fn as_many_claims_follow_as_orders_are_made_less_what_catches_up() {
        let began = Instant::now();
        let mut pace = OrderPace::unlimited(began);
        assert!(pace.within(MS, began).is_infinite() && pace.may_serve(began));
        let now = made(&mut pace, 1_000, 1, began);
        let now = stood(&mut pace, TARGET_DELAY, now);
        assert!(pace.may_serve(now), "nothing had to wait for long");
        let now = stood(&mut pace, 500 * MS, now);
        let lately = 1_000.0 * faded(4 * LOOK_EVERY);
        assert!(is_near(&pace, lately * 0.8), "{pace:?}");
        let at_once = pace.within(Duration::ZERO, now);
        let served = f64::from(served(&mut pace, now, LOOK_EVERY)) - at_once;
        let expected = lately * 0.8 * LOOK_EVERY.as_secs_f64();
        assert!((served / expected - 1.0).abs() < 0.05, "{served}");
    }

    #[test]
    fn what_is_found_counts_until_claims_of_then_have_led_to_orders() {
        let mut pace = OrderPace::unlimited(Instant::now());
        let now = made(&mut pace, 1_000, 1, Instant::now());
        let now = stood(&mut pace, 500 * MS, now);
        let found = pace.per_second();
        let now = stood(&mut pace, 2_000 * MS, now);
        assert!(pace.per_second() >= found, "{pace:?}");
        let now = now + 2 * LOOK_EVERY;
        stood(&mut pace, 2_000 * MS, now);
        let lately = 1_000.0 * faded(8 * LOOK_EVERY);
        assert!(is_near(&pace, lately / 2.0), "{pace:?}");
    }

    #[test]
    fn where_only_some_claims_lead_to_an_order_so_many_more_are_served() {
        let mut pace = OrderPace::unlimited(Instant::now());
        let now = made(&mut pace, 250, 4, Instant::now());
        stood(&mut pace, 500 * MS, now);
        let lately = 250.0 * faded(2 * LOOK_EVERY);
        assert!(is_near(&pace, 4.0 * lately * 0.8), "{pace:?}");
    }

    #[test]
    fn that_fewer_claims_lead_to_orders_than_before_is_learned_within_a_minute_and_not_at_once() {
        let mut pace = OrderPace::unlimited(Instant::now());
        let mut now = made(&mut pace, 1_000, 1, Instant::now());
        for _ in 0..3 {
            now = made(&mut pace, 250, 4, now);
        }
        stood(&mut pace, 500 * MS, now);
        let of_orders = 250.0 * faded(2 * LOOK_EVERY) * 0.8;
        let claims_each = pace.per_second() / of_orders;
        assert!((3.0..3.7).contains(&claims_each), "{claims_each}");
    }

    #[test]
    fn the_rate_of_orders_is_known_from_their_first_moments_on() {
        let began = Instant::now();
        let mut pace = OrderPace::unlimited(began);
        let mut now = began;
        for _ in 0..500 {
            now += MS;
            pace.order_made(now);
            pace.orders_wait(500 * MS, 500 * MS, now);
        }
        assert!(is_near(&pace, 800.0), "{pace:?}");
    }

    #[test]
    fn a_rate_of_orders_after_a_pause_does_not_count_the_pause() {
        let began = Instant::now();
        let mut pace = OrderPace::unlimited(began);
        pace.order_made(began);
        let mut now = began + Duration::from_secs(10);
        for _ in 0..500 {
            now += MS;
            pace.order_made(now);
            pace.orders_wait(500 * MS, 500 * MS, now);
        }
        assert!(is_near(&pace, 800.0), "{pace:?}");
        assert!(pace.proven < 1.0, "half a second proves nothing");
    }

    #[test]
    fn once_no_queue_stands_a_pace_that_is_used_grows_each_second() {
        let mut pace = OrderPace::unlimited(Instant::now());
        let now = made(&mut pace, 1_000, 1, Instant::now());
        let mut now = stood(&mut pace, 500 * MS, now);
        let found = pace.per_second();
        for _ in 0..10_000 {
            now += MS;
            pace.coupon_issued(now);
        }
        let grown = found * GROWTH_PER_SECOND.powi(10);
        assert!(
            pace.per_second() > 1_500.0 && pace.per_second() < grown,
            "{pace:?}"
        );
        // What nobody uses is not saved up, and does not grow.
        let unused = pace.per_second();
        assert!(pace.within(Duration::ZERO, now + 10_000 * MS) < unused * 0.3);
        assert_eq!(pace.per_second(), unused);
        pace.within(MS, now + MEMORY);
        assert!(
            pace.per_second().is_infinite(),
            "what was found is forgotten"
        );
    }

    #[test]
    fn what_orders_have_shown_is_found_again_three_times_as_fast() {
        let mut pace = OrderPace::unlimited(Instant::now());
        let now = made(&mut pace, 1_000, 1, Instant::now());
        let mut now = stood(&mut pace, 20_000 * MS, now);
        let found = pace.per_second();
        assert!(found < 100.0, "{pace:?}");
        for _ in 0..200 {
            now += 5 * MS;
            pace.coupon_issued(now);
        }
        let grown = pace.per_second() / found;
        let expected = GROWTH_PER_SECOND.powi(3);
        assert!(
            (expected * 0.8..expected * 1.05).contains(&grown),
            "{grown}"
        );
    }

    #[test]
    fn a_pace_goes_no_more_than_a_quarter_beyond_what_orders_have_shown() {
        let mut pace = OrderPace::unlimited(Instant::now());
        let now = made(&mut pace, 1_000, 1, Instant::now());
        let now = stood(&mut pace, 500 * MS, now);
        let now = made(&mut pace, 1_000, 1, now);
        assert!(is_near(&pace, 1_250.0), "{pace:?}");
        made(&mut pace, 1_200, 1, now);
        assert!(pace.per_second() > 1_400.0, "{pace:?}");
    }

    #[test]
    fn after_an_outage_claims_go_on_at_half_the_pace_of_before() {
        let mut pace = OrderPace::unlimited(Instant::now());
        let mut now = made(&mut pace, 1_000, 1, Instant::now());
        for _ in 0..12 {
            now = stood(&mut pace, 5_000 * MS, now);
        }
        assert!(pace.per_second() < 70.0, "no order is made for 6 s");
        pace.within(MS, now + LOOK_EVERY);
        assert!(pace.per_second() < 75.0, "nothing is known yet");
        pace.orders_wait(5_000 * MS, Duration::ZERO, now + LOOK_EVERY);
        pace.within(MS, now + 2 * LOOK_EVERY);
        let half = 500.0 * (-(26 * LOOK_EVERY).div_duration_f64(MEMORY)).exp();
        assert!(
            (half * 0.95..half * 1.3).contains(&pace.per_second()),
            "{pace:?}"
        );
    }

    #[test]
    fn claims_go_on_though_no_order_is_made() {
        let mut pace = OrderPace::unlimited(Instant::now());
        let now = stood(&mut pace, 5_000 * MS, Instant::now());
        let served = served(&mut pace, now, 900 * MS);
        assert!((50..=75).contains(&served), "{served}");
    }
}
