use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// How often something may happen: so many times a second in the long run, and so many times at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    interval_ns: u64,
    burst_ns: u64,
}

impl Rate {
    /// Both are at least 1.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval_ns = NANOSECONDS_PER_SECOND / u64::from(per_second.max(1));
        Self {
            interval_ns,
            burst_ns: interval_ns * u64::from(burst.max(1)),
        }
    }
}

/// Counts against a [`Rate`] in eight bytes and without a lock: it holds the moment at which all that was taken would have been taken steadily.
#[derive(Debug, Default)]
pub struct RateBucket(AtomicU64);

impl RateBucket {
    /// Takes one, or tells after how long there will be one. `now` is counted from a moment that is the same for all calls.
    pub fn take(&self, rate: Rate, now: Duration) -> Result<(), Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX / 2);
        let with_one_more = |paid_until: u64| paid_until.max(now) + rate.interval_ns;
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid_until| {
                let next = with_one_more(paid_until);
                (next - now <= rate.burst_ns).then_some(next)
            })
            .map(drop)
            .map_err(|paid_until| {
                Duration::from_nanos(with_one_more(paid_until) - now - rate.burst_ns)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_burst_the_rate_is_kept_and_the_wait_told_is_the_one_needed() {
        let (rate, bucket) = (Rate::new(10, 5), RateBucket::default());
        let at = Duration::from_secs(7);
        assert!((0..5).all(|_| bucket.take(rate, at).is_ok()));
        let wait = bucket.take(rate, at).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert!(bucket.take(rate, at + wait / 2).is_err());
        assert!(bucket.take(rate, at + wait).is_ok());
        assert!(bucket.take(rate, at + wait).is_err());
    }

    #[test]
    fn a_pause_gives_the_burst_back_and_no_more() {
        let (rate, bucket) = (Rate::new(10, 5), RateBucket::default());
        while bucket.take(rate, Duration::ZERO).is_ok() {}
        let later = Duration::from_secs(3_600);
        let taken = (0..100).filter(|_| bucket.take(rate, later).is_ok());
        assert_eq!(taken.count(), 5);
    }
}
