use std::time::Duration;

const MIN_POLL: Duration = Duration::from_secs(1);
const MAX_POLL: Duration = Duration::from_secs(30);
/// Polls of one campaign that all gateways together should see each second, of each part of the queue that is ten times as long as the one before.
const POLLS_PER_SECOND: f64 = 10_000.0;
/// A poll comes a little before the earliest moment at which the turn may come.
const SHARE_OF_SHORTEST_WAIT: f64 = 0.8;
/// Polls are spread over this share of the delay on top of it, so that those told together do not come back together.
const POLL_JITTER: f64 = 0.25;
/// Polls at the opening are spread over this span.
const OPENING_JITTER: Duration = Duration::from_secs(2);
/// What joins ahead, serving and reporting may add to the longest wait.
const LONGEST_WAIT_FACTOR: f64 = 1.5;
const LONGEST_WAIT_MARGIN: Duration = Duration::from_secs(2);
/// Longer waits are as good as not known.
const MAX_WAIT_SECONDS: f64 = 7.0 * 86_400.0;

/// How fast turns come, as seen of late: tickets each second, both above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    slowest: f64,
    fastest: f64,
}

impl Pace {
    /// The pace between two bounds; `None` if nobody is served, or nothing is known.
    pub fn new(slowest: f64, fastest: f64) -> Option<Self> {
        let is_known = slowest.is_finite() && fastest.is_finite() && slowest > 0.0;
        (is_known && slowest <= fastest).then_some(Self { slowest, fastest })
    }
}

/// How long it will take, from the fastest to the slowest that is likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// If all goes as fast as it did of late.
    pub shortest: Duration,
    /// If it goes as slowly, until the poll that finds the turn has come.
    pub longest: Duration,
}

impl Wait {
    /// The wait at a position; `None` if it is too long to be told.
    pub fn at(position: u64, pace: Pace, poll_after: Duration) -> Option<Self> {
        let longest = LONGEST_WAIT_FACTOR * position as f64 / pace.slowest;
        (longest <= MAX_WAIT_SECONDS).then(|| Self {
            shortest: Duration::from_secs_f64(position as f64 / pace.fastest),
            longest: Duration::from_secs_f64(longest) + LONGEST_WAIT_MARGIN + poll_after,
        })
    }
}

/// When to ask again. Those in front ask often however many are behind them, or turns that have come would not be used. `chance` is from 0 to 1.
pub fn poll_after(position: u64, pace: Option<Pace>, chance: f64) -> Duration {
    let shortest = pace.map_or(0.0, |pace| position as f64 / pace.fastest);
    let seconds = (SHARE_OF_SHORTEST_WAIT * shortest).max(position as f64 / POLLS_PER_SECOND);
    let seconds = seconds.clamp(MIN_POLL.as_secs_f64(), MAX_POLL.as_secs_f64());
    Duration::from_secs_f64(seconds * (1.0 + POLL_JITTER * chance))
}

/// When to ask again before the opening. `chance` is from 0 to 1.
pub fn poll_before_opening(until_opening: Duration, chance: f64) -> Duration {
    (until_opening + OPENING_JITTER.mul_f64(chance))
        .min(MAX_POLL.mul_f64(1.0 + POLL_JITTER * chance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_lies_between_the_fastest_and_the_slowest_pace_of_late() {
        let pace = Pace::new(100.0, 400.0).unwrap();
        let second = Duration::from_secs(1);
        let wait = Wait::at(2_000, pace, 4 * second).unwrap();
        assert_eq!(wait.shortest, 5 * second);
        assert_eq!(wait.longest, (30 + 2 + 4) * second);
        assert_eq!(Pace::new(0.0, 400.0), None);
        assert_eq!(Pace::new(f64::NAN, 400.0), None);
        let crawling = Pace::new(f64::MIN_POSITIVE, 1.0).unwrap();
        assert_eq!(Wait::at(1, crawling, second), None);
    }

    #[test]
    fn polls_are_spread_so_that_a_million_who_wait_are_a_bounded_load() {
        let second = Duration::from_secs(1);
        let pace = Pace::new(1_000.0, 1_000.0);
        assert_eq!(poll_after(10, pace, 0.0), second, "never at once");
        assert_eq!(poll_after(10_000, pace, 0.0), 8 * second);
        assert_eq!(poll_after(200_000, Pace::new(1e6, 1e6), 0.0), 20 * second);
        assert_eq!(poll_after(1_000_000, pace, 0.0), 30 * second);
        assert_eq!(poll_after(10, None, 1.0), second.mul_f64(1.25));
    }

    #[test]
    fn those_who_wait_for_the_opening_come_back_soon_after_it_and_not_all_at_once() {
        let second = Duration::from_secs(1);
        assert_eq!(poll_before_opening(10 * second, 0.0), 10 * second);
        assert_eq!(poll_before_opening(10 * second, 1.0), 12 * second);
        assert_eq!(poll_before_opening(300 * second, 0.0), 30 * second);
    }
}
