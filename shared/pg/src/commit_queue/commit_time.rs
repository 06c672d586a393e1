use std::time::{Duration, Instant};

use fail::fail_point;

/// The share of the newest commit in the running mean.
const NEWEST_SHARE: f64 = 0.2;
const FIRST_GUESS: Duration = Duration::from_millis(5);
/// Half of the mean is forgotten in each such time in which nothing is committed: what a stalled disk
/// or server taught is nearly gone a second after it.
const HALF_LIFE: Duration = Duration::from_millis(250);

/// How long commits take of late. It learns from each commit, and forgets without any.
pub(super) struct CommitTime {
    mean: Duration,
    learned_at: Instant,
    batch_began_at: Option<Instant>,
}

impl CommitTime {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            mean: FIRST_GUESS,
            learned_at: now,
            batch_began_at: None,
        }
    }

    pub(super) fn batch_began(&mut self, now: Instant) {
        self.batch_began_at = Some(now);
    }

    pub(super) fn batch_ended(&mut self) {
        self.batch_began_at = None;
    }

    /// Takes a successful commit in.
    pub(super) fn learn(&mut self, took: Duration, now: Instant) {
        self.mean = self.at(now).mul_f64(1.0 - NEWEST_SHARE) + took.mul_f64(NEWEST_SHARE);
        self.learned_at = now;
    }

    /// How long a commit that begins now is thought to take. What a batch under way takes says more
    /// than the time without a commit.
    pub(super) fn at(&self, now: Instant) -> Duration {
        fail_point!("keep-stale-estimates", |_| self.mean);
        let idle_until = self.batch_began_at.unwrap_or(now);
        let unlearned = idle_until.saturating_duration_since(self.learned_at);
        self.mean
            .mul_f64((-unlearned.div_duration_f64(HALF_LIFE)).exp2())
    }

    /// How much longer the batch under way is thought to take: as long again as it has taken, if
    /// that is more than usual. Zero without one.
    pub(super) fn left_of_batch(&self, now: Instant) -> Duration {
        let Some(began_at) = self.batch_began_at else {
            fail_point!("keep-stale-estimates", |_| self.mean);
            return Duration::ZERO;
        };
        self.at(now).max(now.saturating_duration_since(began_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stall_taught_is_forgotten_within_two_seconds_without_a_commit() {
        let now = Instant::now();
        let mut time = CommitTime::new(now);
        time.learn(Duration::from_secs(9), now);
        assert!(time.at(now) > Duration::from_secs(1));
        assert!(time.at(now + Duration::from_secs(2)) < Duration::from_millis(10));
    }

    #[test]
    fn what_a_stall_taught_is_forgotten_after_a_score_of_quick_commits() {
        let now = Instant::now();
        let mut time = CommitTime::new(now);
        time.learn(Duration::from_secs(9), now);
        for _ in 0..20 {
            time.learn(Duration::from_millis(2), now);
        }
        assert!(time.at(now) < Duration::from_millis(100));
    }

    #[test]
    fn a_batch_that_takes_longer_than_usual_is_thought_to_take_as_long_again() {
        let began = Instant::now();
        let mut time = CommitTime::new(began);
        time.batch_began(began);
        let later = began + Duration::from_secs(3);
        assert_eq!(time.left_of_batch(later), Duration::from_secs(3));
        time.batch_ended();
        assert_eq!(time.left_of_batch(later), Duration::ZERO);
    }

    #[test]
    fn commits_that_are_slow_one_after_the_other_are_known_to_be() {
        let mut now = Instant::now();
        let mut time = CommitTime::new(now);
        for _ in 0..30 {
            time.batch_began(now);
            now += Duration::from_secs(1);
            time.learn(Duration::from_secs(1), now);
            time.batch_ended();
        }
        assert!(time.at(now) > Duration::from_millis(900));
    }
}
