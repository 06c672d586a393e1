//! One claim's place in the queue as its shopper saw it, at moments of the replay. Tickets are opaque: only what was said counts, and when.

use std::time::Duration;

use crate::crowd::habits::InQueue;

/// What an answer said of a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToldPlace {
    /// How many are ahead, and this shopper.
    pub position: Option<u64>,
    /// The longest wait that is likely.
    pub longest_wait: Option<Duration>,
}

/// A question and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub at: Duration,
    pub told_at: Duration,
}

/// The first estimate that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    pub told_at: Duration,
    /// The longest wait it named.
    pub longest_wait: Duration,
}

/// One claim's place, from the first ticket to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What its shopper does while waiting.
    pub kind: InQueue,
    /// When the first ticket of all was told.
    pub first_told_at: Duration,
    /// The question that was answered with the first ticket of the place held now: it was taken between the two moments.
    pub joined: Asked,
    /// When the last question was sent that was answered with a place.
    pub last_asked_at: Duration,
    /// How often a position was greater than the one told before it.
    pub grown: u32,
    /// The first estimate.
    pub estimate: Option<Estimate>,
    /// When the wait ended, whichever way.
    pub ended_at: Option<Duration>,
    /// Whether it ended with the coupon.
    pub is_served: bool,
    position: Option<u64>,
}

impl Place {
    /// The place of a first ticket.
    pub fn new(asked: Asked, told: ToldPlace, kind: InQueue) -> Self {
        let mut place = Self {
            kind,
            first_told_at: asked.told_at,
            joined: asked,
            last_asked_at: asked.at,
            grown: 0,
            estimate: None,
            ended_at: None,
            is_served: false,
            position: None,
        };
        place.told_again(asked, told);
        place
    }

    /// The answer to the newest ticket was a place again.
    pub fn told_again(&mut self, asked: Asked, told: ToldPlace) {
        if let (Some(before), Some(now)) = (self.position, told.position) {
            self.grown += u32::from(now > before);
        }
        self.position = told.position.or(self.position);
        self.last_asked_at = asked.at;
        self.estimate = self
            .estimate
            .or(told.longest_wait.map(|longest_wait| Estimate {
                told_at: asked.told_at,
                longest_wait,
            }));
    }

    /// The claim was sent without its ticket and got another place, with nothing to do with the one before.
    pub fn joined_anew(&mut self, asked: Asked, told: ToldPlace) {
        self.position = None;
        self.estimate = None;
        self.joined = asked;
        self.told_again(asked, told);
    }

    pub fn end(&mut self, at: Duration, is_served: bool) {
        self.ended_at = Some(at);
        self.is_served = is_served;
    }

    /// From the first ticket to the end; what lies before the opening does not count.
    pub fn waited(&self, opening: Duration) -> Option<Duration> {
        let began = self.first_told_at.max(opening);
        Some(self.ended_at?.saturating_sub(began))
    }

    /// From the first estimate to the end, with the longest wait it named; only for those who were served.
    pub fn waited_of_promised(&self) -> Option<(Duration, Duration)> {
        let (estimate, ended_at) = (self.estimate?, self.ended_at?);
        self.is_served.then(|| {
            let waited = ended_at.saturating_sub(estimate.told_at);
            (waited, estimate.longest_wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn asked(second: u32) -> Asked {
        Asked {
            at: SECOND * second,
            told_at: SECOND * second + SECOND / 10,
        }
    }

    fn told(position: u64, longest: u32) -> ToldPlace {
        ToldPlace {
            position: Some(position),
            longest_wait: (longest > 0).then(|| SECOND * longest),
        }
    }

    #[test]
    fn a_position_that_grew_is_counted_even_after_an_answer_without_one() {
        let mut place = Place::new(asked(1), ToldPlace::default(), InQueue::Polls);
        for (second, position) in [(2, 50), (3, 50), (4, 20)] {
            place.told_again(asked(second), told(position, 0));
        }
        assert_eq!(place.grown, 0);
        place.told_again(asked(5), ToldPlace::default());
        place.told_again(asked(6), told(21, 0));
        assert_eq!((place.grown, place.last_asked_at), (1, SECOND * 6));
    }

    #[test]
    fn another_ticket_is_another_place() {
        let mut place = Place::new(asked(1), told(10, 5), InQueue::Storms);
        place.joined_anew(asked(3), told(90, 0));
        assert_eq!(
            (place.grown, place.joined, place.estimate),
            (0, asked(3), None)
        );
        assert_eq!(place.first_told_at, asked(1).told_at);
    }

    #[test]
    fn the_first_estimate_is_the_promise_and_the_time_before_the_opening_is_no_wait() {
        let mut place = Place::new(asked(1), ToldPlace::default(), InQueue::Polls);
        place.told_again(asked(6), told(10, 4));
        place.told_again(asked(7), told(5, 30));
        place.end(SECOND * 9, true);
        assert_eq!(place.waited(SECOND * 5), Some(SECOND * 4));
        let (waited, promised) = place.waited_of_promised().unwrap();
        assert_eq!((waited, promised), (SECOND * 29 / 10, SECOND * 4));
        place.end(SECOND * 9, false);
        assert_eq!(place.waited_of_promised(), None);
    }
}
