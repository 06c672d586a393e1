//! How many claims a second leave permits for their orders. A claim that is served leads to an
//! order a moment later, so orders that have to wait say that too many were served.

use std::time::{Duration, Instant};

use super::{
    order_waits::LOOK_EVERY,
    tuning::{
        FIRST_WINDOW, GROWTH_PER_SECOND, LATELY, MEMORY, MOMENT, REPORT_INTERVAL, TARGET_DELAY,
    },
};

/// So many claims count as having led to an order each, until more is known.
const GRANTED: f64 = 100.0;
/// Of a shorter time no rate is known.
const LEAST_SECONDS: f64 = 0.1;
/// Orders that wait go before claims, and are caught up with in about this time.
const CATCH_UP: Duration = TARGET_DELAY.saturating_mul(4);
/// Orders that all take longer share the processors with too many others.
const SLOW: Duration = TARGET_DELAY.saturating_mul(2);
/// Fewer orders than this a claim are not believed.
const LEAST_ORDERS_PER_CLAIM: f64 = 0.1;
/// What was done of late is found again so many times as fast as what may be more.
const FOUND_AGAIN: f64 = 3.0;

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
    /// The least that an order took since then.
    took: Option<Duration>,
    /// Claims that may be served now.
    left: f64,
    counted_at: Instant,
    /// Claims that brought a new coupon and whose orders may not have come yet.
    claims_just_now: f64,
    /// Those before them and orders that were asked for, the newest weighing most.
    claims: f64,
    orders_asked: f64,
    /// How many claims lead to one order at all gateways, and when that was told.
    everywhere: Option<(f64, Instant)>,
    /// The same within about [`LATELY`], and of how many seconds they are.
    claims_lately: f64,
    orders_lately: f64,
    lately_seconds: f64,
    /// Of the last half minute, the most orders a second that were made beside the claims that led to
    /// as many.
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
            took: None,
            left: 0.0,
            counted_at: now,
            claims_just_now: 0.0,
            claims: 0.0,
            orders_asked: 0.0,
            everywhere: None,
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
        self.claims_just_now += 1.0;
        self.claims_lately += 1.0;
    }

    /// An order was asked for, and not because it had to wait before. One that still waits comes of a
    /// claim as well: counted when they are made, orders that wait would make room for more claims.
    pub fn order_asked(&mut self, now: Instant) {
        self.count(now);
        self.orders_asked += 1.0;
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

    /// So long an order took from permit to answer.
    pub fn orders_take(&mut self, took: Duration, now: Instant) {
        self.count(now);
        self.took = Some(self.took.map_or(took, |least| least.min(took)));
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

    /// How many claims of this gateway led to one order that this gateway was asked for, which may be
    /// those of others.
    pub fn claims_per_order(&self) -> f64 {
        (self.claims + GRANTED) / (self.orders_asked + GRANTED)
    }

    /// So many lead to one at all gateways. By what is known here alone, a gateway that serves more
    /// claims than the others, and no more orders, would take more and more.
    pub fn claims_lead(&mut self, claims_per_order: f64, now: Instant) {
        self.everywhere = Some((claims_per_order, now));
    }

    fn orders_per_claim(&self) -> f64 {
        let is_of_late = |at| self.counted_at.saturating_duration_since(at) <= MOMENT;
        let told = self.everywhere.filter(|(_, at)| is_of_late(*at));
        let claims_each = told.map_or_else(|| self.claims_per_order(), |(claims, _)| claims);
        claims_each.recip().clamp(LEAST_ORDERS_PER_CLAIM, 1.0)
    }

    fn most(&self) -> f64 {
        (self.per_second * REPORT_INTERVAL.as_secs_f64()).max(1.0)
    }

    fn count(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.counted_at);
        self.counted_at = now;
        let kept = |memory| (-since.div_duration_f64(memory)).exp();
        let is_past = self.claims_just_now * (1.0 - kept(LATELY));
        self.claims_just_now -= is_past;
        self.claims = self.claims * kept(MEMORY) + is_past;
        self.orders_asked *= kept(MEMORY);
        self.claims_lately *= kept(LATELY);
        self.orders_lately *= kept(LATELY);
        self.lately_seconds *= kept(LATELY);
        self.lately_seconds += LATELY.as_secs_f64() * (1.0 - kept(LATELY));
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
            // So many more than claims led to were those that had waited, which no claims went beside.
            let orders = self
                .orders_lately
                .min(self.claims_lately * self.orders_per_claim());
            self.proven = self.proven.max(self.a_second(orders));
        }
        let are_slow = self.took.take().is_some_and(|took| took > SLOW);
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
            (_, Some(since)) if since > MEMORY && !self.is_used() => {
                self.found_at = None;
                self.per_second = f64::INFINITY;
            }
            (told, since) => {
                // An outage is no crowd, after which claims may come no faster than orders can. It
                // is over only when somebody says so.
                if self.stood_still && told.is_some() {
                    self.per_second = self.per_second.max(self.safe());
                }
                if self.is_used() {
                    let seconds = looked_for.min(MOMENT).as_secs_f64();
                    let is_found_again = !self.stood_still && self.per_second < self.safe();
                    let times = if is_found_again { FOUND_AGAIN } else { 1.0 };
                    let grown = self.per_second * GROWTH_PER_SECOND.powf(seconds * times);
                    // One that holds claims back is given up step by step: all who wait would come.
                    let is_forgotten = since.is_some_and(|since| since > MEMORY);
                    let most = Some(self.most_tried()).filter(|_| !is_forgotten);
                    let most = most.unwrap_or(f64::INFINITY);
                    self.per_second = grown.min(most).max(self.per_second);
                }
            }
        }
        // Long before orders have to wait, claims run no further ahead of them.
        if are_slow && !self.stood_still {
            let most = (self.a_second(self.orders_lately) * GROWTH_PER_SECOND
                / self.orders_per_claim())
            .max(FIRST_WINDOW);
            if most < self.per_second {
                self.per_second = most;
                self.found_at.get_or_insert(now);
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

    /// A pace that is not used says nothing of what a greater one would do.
    fn is_used(&self) -> bool {
        self.a_second(self.claims_lately) > self.per_second / 2.0
    }

    fn a_second(&self, lately: f64) -> f64 {
        lately / self.lately_seconds.max(LEAST_SECONDS)
    }
}

#[cfg(test)]
mod tests;
