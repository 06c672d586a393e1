use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moka::sync::Cache;
use tidegate_types::RequestId;

use super::rate::{Rate, RateBucket};

/// After a pause a caller may make as many calls at once as in this many seconds.
const BURST_SECONDS: u32 = 2;
/// Callers whose rate is counted at once; who comes back after being forgotten starts with a full burst.
const MAX_CALLERS: u64 = 10_000;
/// Stories that one subject may have recorded each second because it says so, and as many at once in so many seconds; beyond that the process decides as for others.
const STORIES_PER_SECOND: u32 = 100;

/// Counts the calls of each token's subject, over however many tokens and connections they come, and the stories it wants recorded.
pub(super) struct CallerRates {
    calls: Rate,
    stories: Rate,
    buckets: Cache<RequestId, Arc<Buckets>>,
    began: Instant,
}

#[derive(Default)]
struct Buckets {
    calls: RateBucket,
    stories: RateBucket,
}

impl CallerRates {
    /// Each subject may make so many calls a second.
    pub(super) fn new(calls_per_second: u32) -> Self {
        let rate =
            |per_second: u32| Rate::new(per_second, per_second.saturating_mul(BURST_SECONDS));
        Self {
            calls: rate(calls_per_second),
            stories: rate(STORIES_PER_SECOND),
            buckets: Cache::new(MAX_CALLERS),
            began: Instant::now(),
        }
    }

    /// Whether the subject may make one more call at `now`.
    pub(super) fn allow(&self, subject: &RequestId, now: Instant) -> bool {
        let bucket = &self.buckets_of(subject).calls;
        bucket.take(self.calls, self.since_began(now)).is_ok()
    }

    /// Whether one more story of the subject is recorded because it says so.
    pub(super) fn may_decide(&self, subject: &RequestId, now: Instant) -> bool {
        let bucket = &self.buckets_of(subject).stories;
        bucket.take(self.stories, self.since_began(now)).is_ok()
    }

    fn buckets_of(&self, subject: &RequestId) -> Arc<Buckets> {
        self.buckets.get_with_by_ref(subject, Arc::default)
    }

    fn since_began(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_few_stories_recorded_by_its_own_decision_and_others_are_not_touched() {
        let callers = CallerRates::new(1);
        let [one, other] = ["one", "other"].map(|subject| RequestId::parse(subject).unwrap());
        let decided = (0..100_000).filter(|_| callers.may_decide(&one, callers.began));
        assert_eq!(decided.count(), 200);
        assert!(callers.may_decide(&other, callers.began));
    }
}
