use std::time::Duration;

/// A lease holds about this much of the replica's own demand.
pub const LEASE_COVERS: Duration = Duration::from_secs(2);
/// More is fetched once less than this much of the demand is left.
pub const REFILL_BELOW: Duration = Duration::from_secs(1);
/// The least a replica asks for: enough that the first burst on a lane does not wait for several leases in a row. Quota grants less as the pool drains.
pub const MIN_LEASE: u64 = 256;
/// The most one lease holds, whatever the demand.
pub const MAX_LEASE: u64 = 50_000;
/// The share of the newest measurement in the running rate.
const NEWEST_SHARE: f64 = 0.3;

/// How fast coupons of one kind are asked for, measured by the replica itself.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Demand {
    per_second: f64,
    since_last: u64,
    unmet: u64,
}

impl Demand {
    pub fn met(&mut self) {
        self.since_last += 1;
    }

    /// One claim found no stock.
    pub fn unmet(&mut self) {
        self.since_last += 1;
        self.unmet += 1;
    }

    /// Folds what came since the last call into the rate. A burst counts at once, a lull only slowly: too small a lease makes shoppers wait, too large a one only comes back later.
    pub fn measure(&mut self, elapsed: Duration) {
        let newest = self.since_last as f64 / elapsed.as_secs_f64().max(0.001);
        self.per_second = if newest > self.per_second {
            newest
        } else {
            self.per_second * (1.0 - NEWEST_SHARE) + newest * NEWEST_SHARE
        };
        if self.per_second < 0.01 {
            self.per_second = 0.0;
        }
        self.since_last = 0;
    }

    /// How much to ask for with `remaining` in hand; nothing if that is still enough.
    pub fn wanted(&self, remaining: u64) -> Option<u64> {
        let lasting = |duration: Duration| (self.per_second * duration.as_secs_f64()).ceil() as u64;
        let idle = self.per_second == 0.0 && self.unmet == 0;
        if idle || remaining > lasting(REFILL_BELOW) {
            return None;
        }
        let missing = (lasting(LEASE_COVERS) + self.unmet).saturating_sub(remaining);
        Some(missing.clamp(MIN_LEASE, MAX_LEASE))
    }

    /// Those that found no stock have been told something else by now, or have been served.
    pub fn forget_unmet(&mut self) {
        self.unmet = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_covers_two_seconds_of_the_measured_demand() {
        let mut demand = Demand::default();
        (0..500).for_each(|_| demand.met());
        demand.measure(Duration::from_millis(100));
        assert_eq!(demand.wanted(0), Some(10_000));
        assert_eq!(demand.wanted(5_001), None);
        assert_eq!(demand.wanted(4_000), Some(6_000));
    }

    #[test]
    fn without_demand_nothing_is_asked_for() {
        let mut demand = Demand::default();
        assert_eq!(demand.wanted(0), None);
        demand.unmet();
        assert_eq!(demand.wanted(0), Some(MIN_LEASE));
        demand.forget_unmet();
        for _ in 0..100 {
            demand.measure(Duration::from_millis(100));
        }
        assert_eq!(demand.wanted(0), None);
    }

    #[test]
    fn a_lease_has_an_upper_bound() {
        let mut demand = Demand::default();
        (0..1_000_000).for_each(|_| demand.met());
        demand.measure(Duration::from_millis(100));
        assert_eq!(demand.wanted(0), Some(MAX_LEASE));
    }
}
