//! Who was told never, to be asked for once more when the day is over.

use rand::Rng;
use tidegate_proto::gateway::v1::PlaceOrderRequest;

use super::Told;

pub(super) const TOLD: &str = "told_never";
/// Requests that are kept to be sent again. Of more, each is kept with the same chance.
pub const REMEMBERED: usize = 10_000;

/// A request that was refused without a time to come back.
#[derive(Debug, Clone, PartialEq)]
pub enum ToldNever {
    Claim {
        shopper: u32,
        request: u8,
    },
    Order {
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

impl Told {
    /// Remembers a refusal, or by chance an earlier one in its place.
    pub(super) fn tell_never(&mut self, told: ToldNever) {
        self.answers.add(TOLD, 1);
        if self.remembered.len() < REMEMBERED {
            self.remembered.push(told);
            return;
        }
        let all = self.answers.count(TOLD).unwrap_or_default();
        let place = usize::try_from(rand::rng().random_range(0..all)).unwrap_or(usize::MAX);
        if let Some(remembered) = self.remembered.get_mut(place) {
            *remembered = told;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_more_refusals_than_are_remembered_early_and_late_ones_are_kept_and_all_are_counted() {
        let mut all_told = Told::default();
        let all = 3 * REMEMBERED as u32;
        for shopper in 0..all {
            all_told.tell_never(ToldNever::Claim {
                shopper,
                request: 1,
            });
        }
        assert_eq!(all_told.answers.count(TOLD), Some(all.into()));
        assert_eq!(all_told.remembered.len(), REMEMBERED);
        for third in 0..3 {
            let from = third * REMEMBERED as u32;
            let of_third = all_told.remembered.iter().filter(|told| {
                matches!(told, ToldNever::Claim { shopper, .. } if (from..from + REMEMBERED as u32).contains(shopper))
            });
            let share = of_third.count() as f64 / REMEMBERED as f64;
            assert!((0.2..0.5).contains(&share), "{share}");
        }
    }
}
