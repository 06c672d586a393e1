use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::domain::{queue::Cohort, ticket::Holder};

/// Seats that are remembered: 8 MiB of them.
const SEATS: usize = 1 << 20;
const COHORT_BITS: u32 = 32;

/// Remembers in which cohort claims joined, in memory of a fixed size: each shopper has one place for its newest claim, and the next that has the same place takes it over.
///
/// It gives a claim that is made again without a ticket, because the answer was lost or in the hope of a better place, the place that it had. Without that each such claim would join anew, and a storm of them
/// would fill the queue with places that nobody comes for. Another request id is another claim, and joins now. What was forgotten meanwhile joins anew.
pub(super) struct Seats {
    places: RandomState,
    /// What tells a claim from others with the same place, and the cohort. 0: nobody.
    seats: Box<[AtomicU64]>,
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            places: RandomState::new(),
            seats: (0..SEATS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Seats {
    /// A claim has joined.
    pub(super) fn take(&self, holder: Holder<'_>, cohort: Cohort) {
        let (mark, seat) = self.seat(holder);
        // A cohort is a second since 1970.
        if let Ok(cohort) = u32::try_from(cohort.get()) {
            seat.store(mark << COHORT_BITS | u64::from(cohort), Ordering::Relaxed);
        }
    }

    /// In which cohort a claim joined, as far as that is remembered.
    pub(super) fn cohort_of(&self, holder: Holder<'_>) -> Option<Cohort> {
        let (mark, seat) = self.seat(holder);
        cohort_in(seat.load(Ordering::Relaxed), mark)
    }

    /// A claim waits no longer; in which cohort it did, as far as that is remembered. Only one caller is told.
    pub(super) fn give_up(&self, holder: Holder<'_>) -> Option<Cohort> {
        let (mark, seat) = self.seat(holder);
        let taken = seat.load(Ordering::Relaxed);
        let cohort = cohort_in(taken, mark)?;
        let given_up = seat.compare_exchange(taken, 0, Ordering::Relaxed, Ordering::Relaxed);
        given_up.is_ok().then_some(cohort)
    }

    fn seat(&self, holder: Holder<'_>) -> (u64, &AtomicU64) {
        let place = self.places.hash_one((holder.campaign, holder.shopper));
        let claim = (holder.campaign, holder.shopper, holder.request_id);
        let mark = (self.places.hash_one(claim) >> COHORT_BITS).max(1);
        (mark, &self.seats[place as usize % SEATS])
    }
}

fn cohort_in(taken: u64, mark: u64) -> Option<Cohort> {
    let cohort = taken & u64::from(u32::MAX);
    (taken >> COHORT_BITS == mark).then(|| Cohort::new(cohort).ok())?
}

#[cfg(test)]
mod tests {
    use tidegate_types::{CampaignNumber, RequestId, ShopperId};

    use super::*;

    fn with_claims(test: impl Fn([Holder<'_>; 3])) {
        let [ann, bob] = ["ann", "bob"].map(|id| ShopperId::parse(id).unwrap());
        let [one, two] = ["r-1", "r-2"].map(|id| RequestId::parse(id).unwrap());
        let holder = Holder {
            campaign: CampaignNumber::new(7u32).unwrap(),
            shopper: &ann,
            request_id: &one,
        };
        let again = Holder {
            request_id: &two,
            ..holder
        };
        let bob = Holder {
            shopper: &bob,
            ..holder
        };
        test([holder, again, bob]);
    }

    fn cohort(number: u64) -> Cohort {
        Cohort::new(number).unwrap()
    }

    #[test]
    fn a_seat_is_kept_until_it_is_given_up_once() {
        with_claims(|[ann, _, bob]| {
            let seats = Seats::default();
            assert_eq!(seats.cohort_of(ann), None);
            seats.take(ann, cohort(1_790_000_000));
            seats.take(bob, cohort(0));
            assert_eq!(seats.cohort_of(ann), Some(cohort(1_790_000_000)));
            assert_eq!(seats.cohort_of(bob), Some(cohort(0)));
            assert_eq!(seats.give_up(ann), Some(cohort(1_790_000_000)));
            assert_eq!(seats.give_up(ann), None);
            assert_eq!(seats.cohort_of(ann), None);
            assert_eq!(seats.cohort_of(bob), Some(cohort(0)));
        });
    }

    #[test]
    fn another_request_id_has_no_part_in_a_seat() {
        with_claims(|[one, other, _]| {
            let seats = Seats::default();
            seats.take(one, cohort(9));
            assert_eq!(seats.cohort_of(other), None);
            assert_eq!(seats.give_up(other), None);
            assert_eq!(seats.cohort_of(one), Some(cohort(9)));
        });
    }
}
