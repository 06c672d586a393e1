use std::cmp::Ordering;

use super::{Cohort, CohortCounts};

/// Draws there are: a ticket's draw is one of them.
const DRAWS: f64 = 4_294_967_296.0;

/// Up to where tickets are due: those of earlier cohorts, and those of this cohort whose draw is less. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark {
    /// The first cohort that is not wholly due.
    pub cohort: Cohort,
    /// Of that cohort, tickets with a smaller draw are due.
    pub draw: u32,
}

/// What one move made due.
#[derive(Debug, Clone, PartialEq)]
pub struct Passed {
    /// Where the watermark is now.
    pub watermark: Watermark,
    /// Tickets that became due. Draws are spread evenly, so a part of a cohort is known by its share only.
    pub tickets: f64,
    /// Cohorts of which the last ticket became due.
    pub cohorts: Vec<Cohort>,
}

impl Watermark {
    /// Where the first cohort begins.
    pub const START: Self = Self::before(Cohort::BEFORE_OPENING);

    /// No ticket of this cohort is due, and every ticket of earlier ones.
    pub const fn before(cohort: Cohort) -> Self {
        Self { cohort, draw: 0 }
    }

    /// Which share of a cohort's tickets is due.
    pub fn due_share(self, cohort: Cohort) -> f64 {
        match cohort.cmp(&self.cohort) {
            Ordering::Less => 1.0,
            Ordering::Equal => f64::from(self.draw) / DRAWS,
            Ordering::Greater => 0.0,
        }
    }

    /// Moves over cohorts before `end` until that many tickets became due. `waiting` holds cohorts from the watermark's on, in order; `is_whole` tells that there are no more than those.
    pub fn pass(
        self,
        waiting: &[CohortCounts],
        is_whole: bool,
        end: Cohort,
        tickets: f64,
    ) -> Passed {
        let mut passed = Passed {
            watermark: self,
            tickets: 0.0,
            cohorts: Vec::new(),
        };
        let over = waiting.iter().take_while(|counts| counts.cohort < end);
        for counts in over {
            let mark = self.max(Self::before(counts.cohort));
            let staying = counts.staying() as f64;
            let not_due = staying * (1.0 - mark.due_share(counts.cohort));
            let rest = tickets - passed.tickets;
            if not_due > rest {
                let draw = f64::from(mark.draw) + rest / staying * DRAWS;
                // Saturates, so the last ticket of a cohort becomes due only with the whole cohort.
                let draw = draw as u32;
                passed.watermark = Self { draw, ..mark };
                passed.tickets = tickets;
                return passed;
            }
            passed.tickets += not_due;
            passed.cohorts.push(counts.cohort);
            passed.watermark = Self::before(counts.cohort.plus(1));
        }
        if is_whole {
            passed.watermark = passed.watermark.max(Self::before(end));
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: u32 = 1 << 31;

    fn cohort(number: u64) -> Cohort {
        Cohort::new(number).unwrap()
    }

    fn counts(number: u64, joined: u64, left: u64) -> CohortCounts {
        CohortCounts {
            cohort: cohort(number),
            joined,
            left,
        }
    }

    fn at(number: u64, draw: u32) -> Watermark {
        Watermark {
            cohort: cohort(number),
            draw,
        }
    }

    #[test]
    fn it_passes_whole_cohorts_and_a_share_of_the_last() {
        let waiting = [counts(10, 100, 0), counts(12, 60, 10), counts(13, 80, 0)];
        let passed = at(10, HALF).pass(&waiting, true, cohort(20), 140.0);
        assert_eq!(passed.watermark, at(13, HALF));
        assert_eq!(passed.cohorts, [cohort(10), cohort(12)]);
        assert_eq!(passed.tickets, 140.0);
    }

    #[test]
    fn it_stops_before_a_cohort_that_is_not_over() {
        let waiting = [counts(10, 100, 0), counts(11, 100, 0)];
        let passed = at(10, 0).pass(&waiting, true, cohort(11), 1_000.0);
        assert_eq!((passed.watermark, passed.tickets), (at(11, 0), 100.0));
    }

    #[test]
    fn it_does_not_jump_over_cohorts_that_were_not_read() {
        let waiting = [counts(10, 100, 0), counts(11, 100, 0)];
        let passed = at(10, 0).pass(&waiting, false, cohort(20), 1_000.0);
        assert_eq!(passed.watermark, at(12, 0));
        let passed = at(10, 0).pass(&waiting, true, cohort(20), 1_000.0);
        assert_eq!(passed.watermark, at(20, 0));
    }

    #[test]
    fn cohorts_that_everybody_left_hold_nobody_up() {
        let waiting = [counts(10, 5, 7), counts(11, 4, 0)];
        let passed = at(10, 0).pass(&waiting, true, cohort(20), 1.0);
        assert_eq!(passed.watermark, at(11, 1 << 30));
        assert_eq!(passed.tickets, 1.0);
    }

    #[test]
    fn it_never_goes_back() {
        let passed = at(30, 7).pass(&[], true, cohort(20), 5.0);
        assert_eq!(passed.watermark, at(30, 7));
        let passed = at(30, HALF).pass(&[counts(30, 10, 0)], true, cohort(40), 0.0);
        assert_eq!(passed.watermark, at(30, HALF));
    }
}
