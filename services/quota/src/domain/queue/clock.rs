use std::time::Duration;

use tidegate_types::{Cohort, Timestamp};

/// The most time that one move makes up for. A queue that nobody moved for a while goes on at its pace, and not with all it missed at once.
const MAX_ELAPSED: Duration = Duration::from_millis(500);
/// Clocks of replicas that differ by more than this are not waited for: one of them is wrong.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(2);

/// A queue's own time. It never goes back and never stands still while the queue is moved, whatever the clocks of the replicas that move it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueClock {
    /// What it shows: milliseconds since 1970.
    pub milliseconds: u64,
    /// When it was moved last, by the clock of the replica that did.
    pub moved_at: Option<Timestamp>,
}

impl QueueClock {
    /// Moves the clock on and tells how much time has passed.
    pub fn tick(&mut self, now: Timestamp) -> Duration {
        let moved_at = self.moved_at.unwrap_or(now);
        let elapsed = Duration::try_from(now - moved_at).unwrap_or(Duration::ZERO);
        // A replica whose clock is a little behind adds nothing. One that is far behind would hold the queue up, so from here on it is counted by that clock.
        if now >= moved_at || moved_at - now > MAX_CLOCK_SKEW {
            self.moved_at = Some(now);
        }
        let elapsed = elapsed.min(MAX_ELAPSED);
        self.milliseconds += elapsed.as_millis() as u64;
        self.milliseconds = self.at(now);
        elapsed
    }

    /// What it would show at this moment without having been moved.
    pub fn at(&self, now: Timestamp) -> u64 {
        let now = now.unix_timestamp_nanos() / 1_000_000;
        self.milliseconds.max(u64::try_from(now).unwrap_or(0))
    }

    pub fn cohort(&self) -> Cohort {
        Cohort::of_milliseconds(self.milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + time::Duration::milliseconds(1_770_000_000_000 + milliseconds)
    }

    #[test]
    fn it_goes_on_when_the_clock_of_a_replica_goes_back() {
        let mut clock = QueueClock::default();
        clock.tick(at(0));
        clock.tick(at(200));
        let before = clock.cohort();
        assert_eq!(clock.tick(at(-3_600_000)), Duration::ZERO);
        for step in 1..=10 {
            let elapsed = clock.tick(at(-3_600_000 + 200 * step));
            assert_eq!(elapsed, Duration::from_millis(200));
        }
        assert_eq!(clock.cohort(), before.plus(2));
    }

    #[test]
    fn two_clocks_that_differ_a_little_count_the_time_once() {
        let mut clock = QueueClock::default();
        clock.tick(at(50));
        let mut elapsed = Duration::ZERO;
        for step in 1..=10 {
            elapsed += clock.tick(at(100 * step));
            elapsed += clock.tick(at(100 * step + 50));
        }
        assert_eq!(elapsed, Duration::from_secs(1));
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut clock = QueueClock::default();
        clock.tick(at(0));
        assert_eq!(clock.tick(at(60_000)), MAX_ELAPSED);
        assert_eq!(clock.milliseconds, 1_770_000_060_000);
    }
}
