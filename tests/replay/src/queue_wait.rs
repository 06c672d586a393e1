//! One claim's wait in the queue as its shopper saw it, at moments of the replay. Tickets are opaque: only what was said counts, and when.

use std::time::Duration;

use tidegate_proto::gateway::v1::{QueuedClaim, WaitsFor};

use crate::{answers::duration, crowd::habits::InQueue};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub at: Duration,
    pub told_at: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    pub told_at: Duration,
    pub longest_wait: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueWait {
    pub kind: InQueue,
    /// When the first ticket of all was told.
    pub first_told_at: Duration,
    /// The question that was answered with the first ticket of the place held now: it was taken between the two moments.
    pub joined: Asked,
    /// When the last question was sent that was answered with a position.
    pub last_asked_at: Duration,
    /// Whether that was for coupons on their way back, and not for others.
    pub was_for_stock: bool,
    pub grown: u32,
    pub estimate: Option<Estimate>,
    pub ended_at: Option<Duration>,
    pub is_served: bool,
    position: Option<u64>,
}

impl QueueWait {
    pub fn new(asked: Asked, told: &QueuedClaim, kind: InQueue) -> Self {
        let mut wait = Self {
            kind,
            first_told_at: asked.told_at,
            joined: asked,
            last_asked_at: asked.at,
            was_for_stock: false,
            grown: 0,
            estimate: None,
            ended_at: None,
            is_served: false,
            position: None,
        };
        wait.told_again(asked, told);
        wait
    }

    /// The answer to the newest ticket was a position again.
    pub fn told_again(&mut self, asked: Asked, told: &QueuedClaim) {
        if let (Some(before), Some(now)) = (self.position, told.position) {
            self.grown += u32::from(now > before);
        }
        self.position = told.position.or(self.position);
        self.last_asked_at = asked.at;
        self.was_for_stock = told.waits_for() == WaitsFor::Stock;
        self.estimate = self
            .estimate
            .or(duration(told.longest_wait).map(|longest_wait| Estimate {
                told_at: asked.told_at,
                longest_wait,
            }));
    }

    /// The claim was sent without its ticket and got another place, with nothing to do with the one before.
    pub fn joined_anew(&mut self, asked: Asked, told: &QueuedClaim) {
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

    fn told(position: u64, longest: u32) -> QueuedClaim {
        let longest = (longest > 0).then(|| SECOND * longest);
        QueuedClaim {
            position: Some(position),
            longest_wait: longest.and_then(|longest| longest.try_into().ok()),
            ..QueuedClaim::default()
        }
    }

    #[test]
    fn a_position_that_grew_is_counted_even_after_an_answer_without_one() {
        let mut wait = QueueWait::new(asked(1), &QueuedClaim::default(), InQueue::Polls);
        for (second, position) in [(2, 50), (3, 50), (4, 20)] {
            wait.told_again(asked(second), &told(position, 0));
        }
        assert_eq!(wait.grown, 0);
        wait.told_again(asked(5), &QueuedClaim::default());
        wait.told_again(asked(6), &told(21, 0));
        assert_eq!((wait.grown, wait.last_asked_at), (1, SECOND * 6));
    }

    #[test]
    fn another_ticket_is_another_place() {
        let mut wait = QueueWait::new(asked(1), &told(10, 5), InQueue::Storms);
        wait.joined_anew(asked(3), &told(90, 0));
        assert_eq!(
            (wait.grown, wait.joined, wait.estimate),
            (0, asked(3), None)
        );
        assert_eq!(wait.first_told_at, asked(1).told_at);
    }

    #[test]
    fn the_first_estimate_is_the_promise_and_the_time_before_the_opening_is_no_wait() {
        let mut wait = QueueWait::new(asked(1), &QueuedClaim::default(), InQueue::Polls);
        wait.told_again(asked(6), &told(10, 4));
        wait.told_again(asked(7), &told(5, 30));
        wait.end(SECOND * 9, true);
        assert_eq!(wait.waited(SECOND * 5), Some(SECOND * 4));
        let (waited, promised) = wait.waited_of_promised().unwrap();
        assert_eq!((waited, promised), (SECOND * 29 / 10, SECOND * 4));
        wait.end(SECOND * 9, false);
        assert_eq!(wait.waited_of_promised(), None);
    }
}
