//! How often one shopper may ask, however many tokens and connections the requests come over.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::{Duration, Instant},
};

use tidegate_rpc::{
    refusal::ASKED_TOO_OFTEN,
    server::{Rate, RateBucket},
};
use tidegate_types::{Reason, Refusal, ShopperId};

use crate::error::GatewayError;

/// Buckets of one row. Shoppers are far more; those who share a bucket notice only if one of them
/// asks without end.
const BUCKETS: usize = 1 << 20;
/// After a pause a shopper may ask as often at once as in this many seconds.
const BURST_SECONDS: u32 = 2;

/// Counts every shopper in memory of a fixed size, 16 MiB, without a lock.
///
/// A shopper has a bucket in each of two rows, at places that only this process knows, and is
/// refused only if both are empty: who shares one with a bot still has the other.
pub struct ShopperLimits {
    rate: Rate,
    rows: [Row; 2],
    began: Instant,
}

struct Row {
    places: RandomState,
    buckets: Box<[RateBucket]>,
}

impl ShopperLimits {
    pub fn new(per_second: u32) -> Self {
        Self {
            rate: Rate::new(per_second, per_second.saturating_mul(BURST_SECONDS)),
            rows: [Row::new(), Row::new()],
            began: Instant::now(),
        }
    }

    /// Counts one request of the shopper at `now`, and refuses it if there were too many. A poll
    /// that comes too early counts as any other.
    pub fn check(&self, shopper: &ShopperId, now: Instant) -> Result<(), GatewayError> {
        let now = now.saturating_duration_since(self.began);
        let [first, second] = &self.rows;
        // Both are asked, so that a bot empties both of its own.
        match (
            first.take(shopper, self.rate, now),
            second.take(shopper, self.rate, now),
        ) {
            (Err(one), Err(other)) => Err(too_often(one.min(other))),
            _ => Ok(()),
        }
    }
}

impl Row {
    fn new() -> Self {
        Self {
            places: RandomState::new(),
            buckets: (0..BUCKETS).map(|_| RateBucket::default()).collect(),
        }
    }

    fn take(&self, shopper: &ShopperId, rate: Rate, now: Duration) -> Result<(), Duration> {
        let place = self.places.hash_one(shopper) as usize % BUCKETS;
        self.buckets[place].take(rate, now)
    }
}

fn too_often(retry_after: Duration) -> GatewayError {
    Refusal::after(Reason::Overloaded, retry_after)
        .with("detail", ASKED_TOO_OFTEN)
        .with("who", "shopper")
        .into()
}

#[cfg(test)]
mod tests {
    use tidegate_types::Retry;

    use super::*;

    fn shopper(name: &str) -> ShopperId {
        ShopperId::parse(name).unwrap()
    }

    #[test]
    fn a_shopper_that_asks_without_end_gets_its_rate_and_is_told_when_to_come_back() {
        let limits = ShopperLimits::new(10);
        let (bot, began) = (shopper("bot"), limits.began);
        let served = |seconds: u32| {
            (0..seconds * 1_000)
                .map(|ms| began + Duration::from_millis(u64::from(ms)))
                .filter(|now| limits.check(&bot, *now).is_ok())
                .count()
        };
        assert_eq!(served(10), 20 + 99);
        let refused = limits.check(&bot, began + Duration::from_secs(10));
        let refused = refused.and_then(|()| limits.check(&bot, began + Duration::from_secs(10)));
        let Err(GatewayError::Refused(refusal)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(refusal.reason, Reason::Overloaded);
        assert!(
            matches!(refusal.retry, Retry::After(delay) if delay <= Duration::from_millis(100))
        );
    }

    #[test]
    fn others_do_not_notice_a_crowd_of_bots() {
        let limits = ShopperLimits::new(10);
        let now = limits.began;
        for bot in 0..500 {
            let bot = shopper(&format!("bot-{bot}"));
            while limits.check(&bot, now).is_ok() {}
        }
        let refused = (0..20_000)
            .filter(|number| limits.check(&shopper(&format!("s-{number}")), now).is_err())
            .count();
        // With one row, ten of them would be.
        assert!(refused <= 1, "{refused}");
    }

    #[test]
    fn a_shopper_at_its_rate_is_never_refused() {
        let limits = ShopperLimits::new(10);
        let alice = shopper("alice");
        let mut times = (0..1_000).map(|count| limits.began + Duration::from_millis(100) * count);
        assert!(times.all(|now| limits.check(&alice, now).is_ok()));
    }
}
