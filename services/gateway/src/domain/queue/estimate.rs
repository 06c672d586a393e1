use std::time::Duration;

use tidegate_types::Turn;

use crate::domain::tuning::{LATEST_ASK, MOMENT, MOST_SELDOM, SOONEST_ASK};

/// Those who wait for the opening come back within this time after it.
const OPENING: Duration = Duration::from_millis(800);
/// When so many do that answering them takes longer, they may take half of the processors, since
/// nobody is served yet.
const SHARE_AT_OPENING: f64 = 10.0;
/// A call whose turn may come within this time is held until it does.
pub const HELD_FOR: Duration = MOMENT;
/// Who waits for 20 s asks about so often before its turn may come soon.
const ASKS_PER_CLAIM: f64 = 3.0;
/// Those whose turns may come soon are few, unless the windows are thought to be far too large.
const BUDGETS_OF_NEAR: f64 = 4.0;
/// What joins ahead, serving and reporting may add to the longest wait.
const LONGEST_WAIT_FACTOR: f64 = 1.5;
const LONGEST_WAIT_MARGIN: Duration = Duration::from_secs(3);
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

    pub fn fastest(self) -> f64 {
        self.fastest
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
    /// Turns that can come each second as windows are now.
    pub able_per_second: f64,
    /// How many came each second at the fastest of late; windows may be as large again.
    pub fastest_per_second: f64,
    /// When the last asks again.
    pub latest: Duration,
}

impl Asked {
    /// How soon the turn comes as things are.
    pub fn soon(&self) -> Duration {
        self.within(self.able_per_second)
    }

    fn within(&self, turns_per_second: f64) -> Duration {
        let seconds = self.position as f64 / turns_per_second.max(1.0);
        Duration::from_secs_f64(seconds.min(MAX_WAIT_SECONDS))
    }

    /// Whether the turn may come before its holder would be called in time.
    fn is_near(&self) -> bool {
        self.soon() < 2 * HELD_FOR
    }

    /// Whether the turn could come while the call is held.
    pub fn may_be_held(&self) -> bool {
        self.soon() < HELD_FOR
    }

    /// How many may ask each second beside this one: as a gateway answers with its budget, and as
    /// often as those whom it serves have to ask. Where the turn may come soon its holder would be
    /// too late, and later ones would be called for it: there the budget is several times as large.
    pub fn most_asks_per_second(&self, budget: f64, served_per_second: f64) -> f64 {
        let budgets = if self.is_near() { BUDGETS_OF_NEAR } else { 1.0 };
        budgets * budget + ASKS_PER_CLAIM * served_per_second
    }

    /// When to ask again: after half of the time in which the turn cannot come, so that one who is
    /// told too late once is told in time the next; spread by `chance`, from 0 to 1.
    pub fn ask_after(&self, chance: f64) -> Duration {
        let soon = match self.is_near() {
            true => self.soon(),
            false => self.within(self.able_per_second.max(self.fastest_per_second)),
        };
        let cannot_come = soon.saturating_sub(HELD_FOR);
        let ask_after = cannot_come.mul_f64(0.5 + 0.3 * chance);
        ask_after.clamp(SOONEST_ASK, self.latest)
    }
}

/// When the last of those who wait at a gateway ask again: late enough to leave half of its budget
/// to those whose turns come before.
pub fn latest_ask(waiting: u64, budget: f64) -> Duration {
    let all_ask_in = Duration::from_secs_f64(2.0 * waiting as f64 / budget.max(1.0));
    all_ask_in.clamp(LATEST_ASK, MOST_SELDOM)
}

/// How long after the opening the holder of a turn asks, who waits for it with so many others at
/// this gateway: those first who drew first, so that they come in the order in which they are
/// served.
pub fn ask_after_opening(turn: Turn, waiting: u64, asks_per_second: f64) -> Duration {
    let asking = waiting as f64 / (SHARE_AT_OPENING * asks_per_second);
    let within = asking.max(OPENING.as_secs_f64());
    Duration::from_secs_f64(within * turn.share_before(turn.cohort))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tidegate_types::Cohort;

    use super::*;
    use crate::domain::{promises::Promises, tuning::ASKS_PER_PROCESSOR};

    const SECOND: Duration = Duration::from_secs(1);

    fn asked(position: u64) -> Asked {
        Asked {
            position,
            able_per_second: 1_000.0,
            fastest_per_second: 0.0,
            latest: latest_ask(20_000, 1_000.0),
        }
    }

    #[test]
    fn a_wait_lies_between_the_fastest_and_the_slowest_pace_of_late() {
        let pace = Pace::new(100.0, 400.0).unwrap();
        let wait = Wait::at(2_000, pace, 4 * SECOND).unwrap();
        assert_eq!(wait.shortest, 5 * SECOND);
        assert_eq!(wait.longest, (30 + 3 + 4) * SECOND);
        assert_eq!(Pace::new(0.0, 400.0), None);
        assert_eq!(Pace::new(f64::NAN, 400.0), None);
        let crawling = Pace::new(f64::MIN_POSITIVE, 1.0).unwrap();
        assert_eq!(Wait::at(1, crawling, SECOND), None);
    }

    #[test]
    fn whoever_may_be_served_soon_is_held_and_the_others_ask_at_half_of_the_time() {
        assert!(asked(900).may_be_held());
        assert!(!asked(1_100).may_be_held());
        assert_eq!(asked(1_100).ask_after(0.0), SOONEST_ASK, "never at once");
        assert_eq!(asked(5_000).ask_after(0.0), 2 * SECOND);
        assert_eq!(asked(1_000_000).ask_after(0.0), 40 * SECOND);
        assert!(!asked(u64::MAX).may_be_held());
        // Those whose turns may come within two seconds have several budgets.
        for (position, most) in [(1_900, 430.0), (2_100, 130.0)] {
            assert_eq!(asked(position).most_asks_per_second(100.0, 10.0), most);
        }
        let was_faster = |position| Asked {
            fastest_per_second: 2_500.0,
            ..asked(position)
        };
        assert_eq!(was_faster(5_000).ask_after(0.0), SECOND / 2);
        assert_eq!(was_faster(1_500).ask_after(0.0), SOONEST_ASK);
        assert_eq!(latest_ask(1_000, 1_000.0), LATEST_ASK);
        assert_eq!(latest_ask(1_000_000, 1_000.0), MOST_SELDOM);
    }

    #[test]
    fn those_who_wait_for_the_opening_come_back_in_their_order_and_not_all_at_once() {
        let turn = Turn::FIRST.at_share(0.5);
        assert_eq!(ask_after_opening(turn, 2_000, 500.0), OPENING / 2);
        assert_eq!(ask_after_opening(turn, 100_000, 1_000.0), 5 * SECOND);
        assert_eq!(
            ask_after_opening(Turn::FIRST, 100_000, 500.0),
            Duration::ZERO
        );
    }

    #[test]
    fn a_crowd_that_waits_takes_no_more_than_a_twentieth_of_the_processors() {
        // Two of them, each of which answers 8,000 asks a second.
        let (now, budget) = (Instant::now(), 2.0 * ASKS_PER_PROCESSOR);
        let mut promises = Promises::new(now);
        for position in 10_000..20_000 {
            let asked = Asked {
                position,
                able_per_second: 50.0,
                fastest_per_second: 0.0,
                latest: latest_ask(promises.total(), budget),
            };
            let most = asked.most_asks_per_second(budget, 50.0);
            let earliest = now + asked.ask_after(0.5);
            let back_at = promises.free_from(earliest, most);
            promises.add(Turn::first_of(Cohort::BEFORE_OPENING), back_at);
        }
        let mut left = promises.total();
        for seconds in 1..=180 {
            promises.end(Turn::FIRST, now + seconds * SECOND);
            let asks = left - promises.total();
            // The budget, and three for each claim that is served.
            assert!(asks <= 950, "{asks} in one second");
            left = promises.total();
        }
        assert_eq!(left, 0);
    }
}
