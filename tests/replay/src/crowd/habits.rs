//! What shoppers do besides claiming and ordering, and what those do who have to wait.

use std::time::Duration;

use rand::{Rng, rngs::StdRng};

/// The share of shoppers whose claim is sent twice at once, as an impatient client does.
pub const TWICE_SHARE: f64 = 0.02;
/// The share that loses the answer and sends the same claim again.
pub const LOST_ANSWER_SHARE: f64 = 0.02;
/// The share that claims anew after having a coupon.
pub const AGAIN_SHARE: f64 = 0.03;
/// How long a caller listens before an answer is lost, at most.
const LISTEN_LIMIT: Duration = Duration::from_millis(40);

/// The share of those in the queue that follow their place over a stream.
pub const WATCHES_SHARE: f64 = 0.2;
pub const LEAVES_SHARE: f64 = 0.04;
pub const NEVER_BACK_SHARE: f64 = 0.06;
pub const STORMS_SHARE: f64 = 0.02;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    Plain,
    /// Sends the claim twice at once, with one request id.
    Twice,
    /// Hangs up after this long and sends the claim again, with the same request id.
    LosesAnswer(Duration),
    /// Claims again with a new request id once it has the coupon.
    ClaimsAgain,
}

impl Habit {
    pub(super) fn draw(random: &mut StdRng) -> Self {
        let draw: f64 = random.random();
        if draw < TWICE_SHARE {
            Self::Twice
        } else if draw < TWICE_SHARE + LOST_ANSWER_SHARE {
            Self::LosesAnswer(LISTEN_LIMIT.mul_f64(random.random()))
        } else if draw < TWICE_SHARE + LOST_ANSWER_SHARE + AGAIN_SHARE {
            Self::ClaimsAgain
        } else {
            Self::Plain
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InQueue {
    /// Asks again with the newest ticket when told to.
    Polls,
    Watches,
    /// Gives the place up before it is asked for again.
    Leaves,
    NeverComesBack,
    /// Claims again and again without the ticket, as a bot does, before it waits like the others.
    Storms,
}

impl InQueue {
    pub(super) fn draw(random: &mut StdRng) -> Self {
        let draw: f64 = random.random();
        let shares = [
            (Self::Watches, WATCHES_SHARE),
            (Self::Leaves, LEAVES_SHARE),
            (Self::NeverComesBack, NEVER_BACK_SHARE),
            (Self::Storms, STORMS_SHARE),
        ];
        let mut below = 0.0;
        for (kind, share) in shares {
            below += share;
            if draw < below {
                return kind;
            }
        }
        Self::Polls
    }

    /// Whether it asks when told to, with the newest ticket, to the end: who does is promised not to be overtaken.
    pub fn does_as_told(self) -> bool {
        matches!(self, Self::Polls | Self::Watches)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const DRAWS: usize = 60_000;

    #[test]
    fn habits_have_their_shares() {
        let mut random = StdRng::seed_from_u64(3);
        let habits: Vec<_> = (0..DRAWS).map(|_| Habit::draw(&mut random)).collect();
        let share = |wanted: fn(&Habit) -> bool| {
            habits.iter().filter(|habit| wanted(habit)).count() as f64 / DRAWS as f64
        };
        assert!((share(|habit| *habit == Habit::Twice) - TWICE_SHARE).abs() < 0.005);
        assert!((share(|habit| *habit == Habit::ClaimsAgain) - AGAIN_SHARE).abs() < 0.005);
        let loses = share(|habit| matches!(habit, Habit::LosesAnswer(_)));
        assert!((loses - LOST_ANSWER_SHARE).abs() < 0.005);
    }

    #[test]
    fn what_they_do_in_the_queue_has_its_shares() {
        let mut random = StdRng::seed_from_u64(4);
        let kinds: Vec<_> = (0..DRAWS).map(|_| InQueue::draw(&mut random)).collect();
        for (kind, expected) in [
            (InQueue::Watches, WATCHES_SHARE),
            (InQueue::Leaves, LEAVES_SHARE),
            (InQueue::NeverComesBack, NEVER_BACK_SHARE),
            (InQueue::Storms, STORMS_SHARE),
        ] {
            let count = kinds.iter().filter(|drawn| **drawn == kind).count();
            let share = count as f64 / DRAWS as f64;
            assert!((share - expected).abs() < 0.005, "{kind:?}: {share}");
        }
    }
}
