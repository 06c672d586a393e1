use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use tidegate_types::{MAX_TIERS, TierNumber};

use crate::domain::{queue::Cohort, ticket::Holder};

/// Seats that are remembered: 8 MiB of them.
const SEATS: usize = 1 << 20;
const COHORT_BITS: u32 = 32;
/// 0: any tier; else the tier's number and one more.
const TIER_BITS: u32 = 5;

const _: () = assert!((MAX_TIERS as u64) < 1 << TIER_BITS);

/// Remembers in which cohort claims joined, in memory of a fixed size: each shopper has one place for its newest claim, and the next that has the same place takes it over.
///
/// It gives a claim that is made again without a ticket, because the answer was lost or in the hope of a better place, the place that it had. Without that each such claim would join anew, and a storm of them
/// would fill the queue with places that nobody comes for. Another request id is another claim, and joins now. What was forgotten meanwhile joins anew.
pub(super) struct Seats {
    places: RandomState,
    /// What tells a claim from others with the same place, its tier and its cohort. 0: nobody.
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
    pub(super) fn take(&self, holder: Holder<'_>, tier: Option<TierNumber>, cohort: Cohort) {
        let (mark, seat) = self.seat(holder);
        let tier = tier.map_or(0, |tier| u64::from(tier.get()) + 1);
        // A cohort is a second since 1970.
        if let Ok(cohort) = u32::try_from(cohort.get()) {
            let taken = (mark << TIER_BITS | tier) << COHORT_BITS | u64::from(cohort);
            seat.store(taken, Ordering::Relaxed);
        }
    }

    /// In which cohort a claim joined and which tier it is for, as far as that is remembered.
    pub(super) fn joined(&self, holder: Holder<'_>) -> Option<(Cohort, Option<TierNumber>)> {
        let (mark, seat) = self.seat(holder);
        joined_in(seat.load(Ordering::Relaxed), mark)
    }

    /// A claim waits no longer; in which cohort it did, as far as that is remembered. Only one caller is told.
    pub(super) fn give_up(&self, holder: Holder<'_>) -> Option<Cohort> {
        let (mark, seat) = self.seat(holder);
        let taken = seat.load(Ordering::Relaxed);
        let (cohort, _) = joined_in(taken, mark)?;
        let given_up = seat.compare_exchange(taken, 0, Ordering::Relaxed, Ordering::Relaxed);
        given_up.is_ok().then_some(cohort)
    }

    fn seat(&self, holder: Holder<'_>) -> (u64, &AtomicU64) {
        let place = self.places.hash_one((holder.campaign, holder.shopper));
        let claim = (holder.campaign, holder.shopper, holder.request_id);
        let mark = (self.places.hash_one(claim) >> (COHORT_BITS + TIER_BITS)).max(1);
        (mark, &self.seats[place as usize % SEATS])
    }
}

fn joined_in(taken: u64, mark: u64) -> Option<(Cohort, Option<TierNumber>)> {
    if taken >> (COHORT_BITS + TIER_BITS) != mark {
        return None;
    }
    let cohort = Cohort::new(taken & u64::from(u32::MAX)).ok()?;
    let tier = (taken >> COHORT_BITS) & ((1 << TIER_BITS) - 1);
    let tier = tier.checked_sub(1);
    Some((cohort, tier.and_then(|tier| TierNumber::new(tier).ok())))
}

#[cfg(test)]
mod tests {
    use tidegate_types::{CampaignNumber, RequestId, ShopperId, TierNumber};

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
            let joined = |holder| seats.joined(holder).map(|(cohort, _)| cohort);
            assert_eq!(joined(ann), None);
            seats.take(ann, None, cohort(1_790_000_000));
            seats.take(bob, None, cohort(0));
            assert_eq!(joined(ann), Some(cohort(1_790_000_000)));
            assert_eq!(joined(bob), Some(cohort(0)));
            assert_eq!(seats.give_up(ann), Some(cohort(1_790_000_000)));
            assert_eq!(seats.give_up(ann), None);
            assert_eq!(joined(ann), None);
            assert_eq!(joined(bob), Some(cohort(0)));
        });
    }

    #[test]
    fn another_request_id_has_no_part_in_a_seat() {
        with_claims(|[one, other, _]| {
            let seats = Seats::default();
            seats.take(one, None, cohort(9));
            assert_eq!(seats.joined(other), None);
            assert_eq!(seats.give_up(other), None);
            assert_eq!(seats.joined(one), Some((cohort(9), None)));
        });
    }

    #[test]
    fn a_seat_knows_the_tier_that_its_claim_is_for() {
        with_claims(|[ann, _, _]| {
            let seats = Seats::default();
            for tier in (0..MAX_TIERS).map(|tier| TierNumber::new(tier).unwrap()) {
                seats.take(ann, Some(tier), cohort(1_790_000_000));
                assert_eq!(seats.joined(ann), Some((cohort(1_790_000_000), Some(tier))));
            }
        });
    }
}
