//! Who was told never, to be asked for once more when the day is over.

use rand::Rng;
use tidegate_proto::gateway::v1::PlaceOrderRequest;

/// Requests that are kept to be sent again. Of more, each is kept with the same chance.
pub const REMEMBERED: usize = 10_000;

/// A request that was refused without a time to come back.
#[derive(Debug, Clone, PartialEq)]
pub enum ToldNever {
    Claim {
        /// Which shopper, counted from 0.
        shopper: u32,
        /// Which of the shopper's requests, counted from 1.
        request: u8,
    },
    Order {
        /// Which shopper, counted from 0.
        shopper: u32,
        message: Box<PlaceOrderRequest>,
    },
}

/// What became of a request that was sent again after the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedAgain {
    Refused,
    /// It was served: the refusal was not true for ever.
    Served,
    /// It waits, or there was no answer.
    Undecided,
}

/// Everybody who was told never, and what came of asking again.
#[derive(Debug, Clone, Default)]
pub struct Finals {
    pub told: u64,
    pub remembered: Vec<ToldNever>,
    pub asked_again: u64,
    /// How many of these neither were served nor refused.
    pub undecided: u64,
    /// How many of these were served.
    pub never_but_later: u64,
}

impl Finals {
    /// Remembers a refusal, or by chance an earlier one in its place.
    pub(super) fn tell(&mut self, told: ToldNever) {
        self.told += 1;
        if self.remembered.len() < REMEMBERED {
            self.remembered.push(told);
            return;
        }
        let place = rand::rng().random_range(0..self.told);
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if let Some(remembered) = self.remembered.get_mut(place) {
            *remembered = told;
        }
    }

    pub(super) fn asked(&mut self, outcome: AskedAgain) {
        self.asked_again += 1;
        match outcome {
            AskedAgain::Refused => {}
            AskedAgain::Served => self.never_but_later += 1,
            AskedAgain::Undecided => self.undecided += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_more_refusals_than_are_remembered_early_and_late_ones_are_kept_and_all_are_counted() {
        let mut finals = Finals::default();
        let all = 3 * REMEMBERED as u32;
        for shopper in 0..all {
            finals.tell(ToldNever::Claim {
                shopper,
                request: 1,
            });
        }
        assert_eq!(finals.told, u64::from(all));
        assert_eq!(finals.remembered.len(), REMEMBERED);
        for third in 0..3 {
            let from = third * REMEMBERED as u32;
            let of_third = finals.remembered.iter().filter(|told| {
                matches!(told, ToldNever::Claim { shopper, .. } if (from..from + REMEMBERED as u32).contains(shopper))
            });
            let share = of_third.count() as f64 / REMEMBERED as f64;
            assert!((0.2..0.5).contains(&share), "{share}");
        }
    }

    #[test]
    fn only_those_who_are_served_after_all_were_told_something_false() {
        let mut finals = Finals::default();
        for outcome in [
            AskedAgain::Refused,
            AskedAgain::Undecided,
            AskedAgain::Served,
        ] {
            finals.asked(outcome);
        }
        assert_eq!(
            (finals.asked_again, finals.undecided, finals.never_but_later),
            (3, 1, 1)
        );
    }
}
