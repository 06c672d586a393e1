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
        let listens = LISTEN_LIMIT.mul_f64(random.random());
        let shares = [
            (Self::Twice, TWICE_SHARE),
            (Self::LosesAnswer(listens), LOST_ANSWER_SHARE),
            (Self::ClaimsAgain, AGAIN_SHARE),
        ];
        one_of(&shares, random).unwrap_or(Self::Plain)
    }
}

/// What a shopper does who is told to wait.
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
        let shares = [
            (Self::Watches, WATCHES_SHARE),
            (Self::Leaves, LEAVES_SHARE),
            (Self::NeverComesBack, NEVER_BACK_SHARE),
            (Self::Storms, STORMS_SHARE),
        ];
        one_of(&shares, random).unwrap_or(Self::Polls)
    }

    /// Whether it asks when told to, with the newest ticket, to the end: who does is promised not to be overtaken.
    pub fn does_as_told(self) -> bool {
        matches!(self, Self::Polls | Self::Watches)
    }
}

/// Draws one of some that have these shares; none for what is left of the whole.
fn one_of<T: Copy>(shares: &[(T, f64)], random: &mut StdRng) -> Option<T> {
    let draw: f64 = random.random();
    let mut below = 0.0;
    let drawn = shares.iter().find(|(_, share)| {
        below += share;
        draw < below
    });
    drawn.map(|(one, _)| *one)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const DRAWS: usize = 60_000;

    fn assert_share(expected: f64, drawn: impl Fn(&mut StdRng) -> bool) {
        let mut random = StdRng::seed_from_u64(3);
        let count = (0..DRAWS).filter(|_| drawn(&mut random)).count();
        let share = count as f64 / DRAWS as f64;
        assert!((share - expected).abs() < 0.005, "{share} of {expected}");
    }

    #[test]
    fn what_shoppers_do_has_its_shares() {
        assert_share(TWICE_SHARE, |random| Habit::draw(random) == Habit::Twice);
        assert_share(AGAIN_SHARE, |random| {
            Habit::draw(random) == Habit::ClaimsAgain
        });
        assert_share(LOST_ANSWER_SHARE, |random| {
            matches!(Habit::draw(random), Habit::LosesAnswer(_))
        });
        for (kind, expected) in [
            (InQueue::Watches, WATCHES_SHARE),
            (InQueue::Leaves, LEAVES_SHARE),
            (InQueue::NeverComesBack, NEVER_BACK_SHARE),
            (InQueue::Storms, STORMS_SHARE),
        ] {
            assert_share(expected, |random| InQueue::draw(random) == kind);
        }
    }
}
