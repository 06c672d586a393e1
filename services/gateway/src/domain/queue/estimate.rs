use std::time::Duration;

/// Between two asks at least.
pub const SOONEST_ASK: Duration = Duration::from_millis(250);
/// And at most, unless asking has to be stretched.
const LATEST_ASK: Duration = Duration::from_secs(5);
/// Nobody is told to ask later than this.
const STRETCHED_ASK: Duration = Duration::from_secs(60);
/// A call whose turn may come within this time is held until it does.
pub const HELD_FOR: Duration = Duration::from_millis(1_500);
/// Asks that a gateway answers each second with a tenth of one processor.
pub const ASKS_PER_PROCESSOR: f64 = 1_000.0;
/// What joins ahead, serving and reporting may add to the longest wait.
const LONGEST_WAIT_FACTOR: f64 = 1.5;
const LONGEST_WAIT_MARGIN: Duration = Duration::from_secs(2);
/// Longer waits are as good as not known.
const MAX_WAIT_SECONDS: f64 = 7.0 * 86_400.0;

/// How fast turns come, as measured of late: turns each second, both above 0.
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
    /// If it goes as slowly, until the ask that finds the turn has come.
    pub longest: Duration,
}

impl Wait {
    /// The wait at a position; `None` if it is too long to be told.
    pub fn at(position: u64, pace: Pace, ask_after: Duration) -> Option<Self> {
        let longest = LONGEST_WAIT_FACTOR * position as f64 / pace.slowest;
        (longest <= MAX_WAIT_SECONDS).then(|| Self {
            shortest: Duration::from_secs_f64(position as f64 / pace.fastest),
            longest: Duration::from_secs_f64(longest) + LONGEST_WAIT_MARGIN + ask_after,
        })
    }
}

/// What is known when somebody asks whose turn has not come.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Those ahead, and the one who asks.
    pub position: u64,
    /// The most turns that can come each second.
    pub fastest_per_second: f64,
    /// Promises to ask again that this gateway has been given.
    pub promises: u64,
    /// Asks that it may answer each second.
    pub asks_per_second: f64,
}

impl Asked {
    /// How soon the turn could come.
    fn soonest(&self) -> f64 {
        self.position as f64 / self.fastest_per_second.max(1.0)
    }

    /// Whether the turn could come while the call is held.
    pub fn may_be_held(&self) -> bool {
        self.soonest() < HELD_FOR.as_secs_f64()
    }

    /// When to ask again: after half of the time in which the turn cannot come, so that one who is told too late once is told in time the next; spread by `chance`, from 0 to 1. Where so many ask that answering them would cost too much, everybody asks later.
    pub fn ask_after(&self, chance: f64) -> Duration {
        let soonest = (self.soonest() - HELD_FOR.as_secs_f64()).max(0.0) * (0.5 + 0.3 * chance);
        let soonest = Duration::from_secs_f64(soonest.min(LATEST_ASK.as_secs_f64()));
        let stretched = self.promises as f64 / self.asks_per_second * (0.8 + 0.4 * chance);
        let stretched = Duration::from_secs_f64(stretched.min(STRETCHED_ASK.as_secs_f64()));
        soonest.max(SOONEST_ASK).max(stretched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn asked(position: u64) -> Asked {
        Asked {
            position,
            fastest_per_second: 1_000.0,
            promises: 0,
            asks_per_second: 2_000.0,
        }
    }

    #[test]
    fn a_wait_lies_between_the_fastest_and_the_slowest_pace_of_late() {
        let pace = Pace::new(100.0, 400.0).unwrap();
        let wait = Wait::at(2_000, pace, 4 * SECOND).unwrap();
        assert_eq!(wait.shortest, 5 * SECOND);
        assert_eq!(wait.longest, (30 + 2 + 4) * SECOND);
        assert_eq!(Pace::new(0.0, 400.0), None);
        assert_eq!(Pace::new(f64::NAN, 400.0), None);
        let crawling = Pace::new(f64::MIN_POSITIVE, 1.0).unwrap();
        assert_eq!(Wait::at(1, crawling, SECOND), None);
    }

    #[test]
    fn whoever_may_be_served_soon_is_held_and_the_others_ask_at_half_of_the_time() {
        assert!(asked(1_400).may_be_held());
        assert!(!asked(1_600).may_be_held());
        assert_eq!(asked(1_600).ask_after(0.0), SOONEST_ASK, "never at once");
        assert_eq!(asked(5_500).ask_after(0.0), 2 * SECOND);
        assert_eq!(asked(1_000_000).ask_after(0.0), LATEST_ASK);
    }

    #[test]
    fn asking_is_stretched_where_so_many_ask_that_it_costs_too_much() {
        let crowded = Asked {
            promises: 40_000,
            ..asked(5_500)
        };
        assert_eq!(crowded.ask_after(0.5), 20 * SECOND);
        let overrun = Asked {
            promises: 10_000_000,
            ..asked(5_500)
        };
        assert_eq!(overrun.ask_after(0.5), STRETCHED_ASK);
    }
}
