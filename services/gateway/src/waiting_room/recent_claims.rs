use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tidegate_types::{Cohort, MAX_TIERS, TierNumber};

use crate::domain::ticket::ClaimKey;

/// Shoppers that are remembered, and things that happened: 8 MiB for each of three tables.
const REMEMBERED: usize = 1 << 20;
const REQUEST_BITS: u32 = 19;
/// 0: any tier; else the tier's number and one more.
const TIER_BITS: u32 = 5;
/// Milliseconds since this process began.
const BACK_AT_BITS: u32 = 39;
/// Whether its shopper is held until then, and need not come back.
const HELD_BITS: u32 = 1;
const WANTED_SHIFT: u32 = BACK_AT_BITS + HELD_BITS;
const OF_TIME: u64 = (1 << BACK_AT_BITS) - 1;
const IS_HELD: u64 = 1 << BACK_AT_BITS;

const _: () = assert!((MAX_TIERS as u64) < 1 << TIER_BITS);
const _: () = assert!(REQUEST_BITS + TIER_BITS + WANTED_SHIFT == u64::BITS);

/// Remembers the newest claims, in memory of a fixed size: each shopper of a campaign has one cell,
/// and the next that has the same cell takes it over.
///
/// It keeps one who asks again and again, with whatever request ids, from being counted again and
/// again. What was forgotten meanwhile is counted twice, which only makes a queue look a little
/// longer.
pub(super) struct RecentClaims {
    hashes: RandomState,
    began: Instant,
    /// Which shopper it is, and its cohort. 0: nobody.
    joined: Box<[AtomicU64]>,
    /// Its request id, the tier it wants, and until when it promised to be back.
    promised: Box<[AtomicU64]>,
    happened: Box<[AtomicU64]>,
}

/// What is remembered of a shopper who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recalled {
    pub(super) cohort: Cohort,
    pub(super) tier: Option<TierNumber>,
    /// Whether it joined with the same request id.
    pub(super) is_same_request: bool,
}

/// A shopper that is held.
#[derive(Debug)]
pub(super) struct Held {
    cell: usize,
    held: u64,
    /// When it had promised to come back, which it need not any more.
    pub(super) promised: Option<Instant>,
}

impl RecentClaims {
    pub(super) fn new(now: Instant) -> Self {
        let table = || (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect();
        Self {
            hashes: RandomState::new(),
            began: now,
            joined: table(),
            promised: table(),
            happened: table(),
        }
    }

    /// A shopper waits in a queue.
    pub(super) fn join(&self, key: ClaimKey<'_>, tier: Option<TierNumber>, cohort: Cohort) {
        let (mark, cell) = self.cell(key);
        // A cohort is a second since 1970.
        let Ok(cohort) = u32::try_from(cohort.get()) else {
            return;
        };
        let tier = tier.map_or(0, |tier| u64::from(tier.get()) + 1);
        let wanted = (self.request(key) << TIER_BITS | tier) << WANTED_SHIFT;
        self.promised[cell].store(wanted, Ordering::Relaxed);
        self.joined[cell].store(mark << 32 | u64::from(cohort), Ordering::Relaxed);
    }

    /// How a shopper waits, as far as that is remembered.
    pub(super) fn recall(&self, key: ClaimKey<'_>) -> Option<Recalled> {
        let (mark, cell) = self.cell(key);
        let cohort = joined_in(self.joined[cell].load(Ordering::Relaxed), mark)?;
        let wanted = self.promised[cell].load(Ordering::Relaxed) >> WANTED_SHIFT;
        let tier = (wanted & ((1 << TIER_BITS) - 1)).checked_sub(1);
        Some(Recalled {
            cohort,
            tier: tier.and_then(|tier| TierNumber::new(tier).ok()),
            is_same_request: wanted >> TIER_BITS == self.request(key),
        })
    }

    /// A shopper whose ticket is of this cohort promises to be back at a moment; which one is
    /// remembered, to the millisecond. `None` if an earlier promise is still to be kept: until then
    /// it is not counted again.
    pub(super) fn promise(
        &self,
        key: ClaimKey<'_>,
        joined: (Option<TierNumber>, Cohort),
        back_at: Instant,
        now: Instant,
    ) -> Option<Instant> {
        let (cell, before) = self.wanted(key, joined);
        if before & OF_TIME > self.milliseconds(now) {
            return None;
        }
        let promised = self.replace(cell, before, self.milliseconds(back_at) & OF_TIME)?;
        Some(self.back_at(promised))
    }

    /// The shopper is held from now on, and need not come back as it promised. `None` if it is held
    /// already.
    pub(super) fn hold(
        &self,
        key: ClaimKey<'_>,
        joined: (Option<TierNumber>, Cohort),
        until: Instant,
        now: Instant,
    ) -> Option<Held> {
        let (cell, before) = self.wanted(key, joined);
        let is_to_come = before & OF_TIME > self.milliseconds(now);
        if is_to_come && before & IS_HELD != 0 {
            return None;
        }
        let held = self.replace(cell, before, IS_HELD | self.milliseconds(until) & OF_TIME)?;
        let promised = is_to_come.then(|| self.back_at(before));
        Some(Held {
            cell,
            held,
            promised,
        })
    }

    /// It is held no longer.
    pub(super) fn let_go(&self, held: &Held) {
        // If it has promised something else meanwhile, that stays.
        let _ = self.replace(held.cell, held.held, 0);
    }

    /// The cell of a shopper who waits, and what is in it.
    fn wanted(
        &self,
        key: ClaimKey<'_>,
        (tier, cohort): (Option<TierNumber>, Cohort),
    ) -> (usize, u64) {
        let (mark, cell) = self.cell(key);
        if joined_in(self.joined[cell].load(Ordering::Relaxed), mark).is_none() {
            // The ticket is of another gateway, or was forgotten here.
            self.join(key, tier, cohort);
        }
        (cell, self.promised[cell].load(Ordering::Relaxed))
    }

    fn back_at(&self, promised: u64) -> Instant {
        self.began + Duration::from_millis(promised & OF_TIME)
    }

    fn replace(&self, cell: usize, before: u64, promise: u64) -> Option<u64> {
        let after = before & !(OF_TIME | IS_HELD) | promise;
        self.promised[cell]
            .compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed)
            .ok()
            .map(|_| after)
    }

    /// A shopper waits no longer; in which cohort it did. Only one caller is told.
    pub(super) fn give_up(&self, key: ClaimKey<'_>) -> Option<Cohort> {
        let (mark, cell) = self.cell(key);
        let joined = self.joined[cell].load(Ordering::Relaxed);
        let cohort = joined_in(joined, mark)?;
        let given_up =
            self.joined[cell].compare_exchange(joined, 0, Ordering::Relaxed, Ordering::Relaxed);
        given_up.is_ok().then_some(cohort)
    }

    /// Marks that something happened; true if that is not known to have happened before.
    pub(super) fn is_first(&self, happened: impl Hash) -> bool {
        let (mark, cell) = self.mark_of(happened);
        cell.swap(mark, Ordering::Relaxed) != mark
    }

    /// Whether it is known to have happened.
    pub(super) fn knows(&self, happened: impl Hash) -> bool {
        let (mark, cell) = self.mark_of(happened);
        cell.load(Ordering::Relaxed) == mark
    }

    /// It did not happen after all.
    pub(super) fn forget(&self, happened: impl Hash) {
        let (mark, cell) = self.mark_of(happened);
        // If the cell was taken over meanwhile, that stays.
        let _ = cell.compare_exchange(mark, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn cell(&self, key: ClaimKey<'_>) -> (u64, usize) {
        let hash = self.hashes.hash_one((key.campaign, key.shopper));
        ((hash >> 32).max(1), hash as usize % REMEMBERED)
    }

    fn request(&self, key: ClaimKey<'_>) -> u64 {
        self.hashes.hash_one(key.request_id) >> (u64::BITS - REQUEST_BITS)
    }

    fn milliseconds(&self, at: Instant) -> u64 {
        let since: Duration = at.saturating_duration_since(self.began);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn mark_of(&self, happened: impl Hash) -> (u64, &AtomicU64) {
        let mark = self.hashes.hash_one(happened).max(1);
        (mark, &self.happened[mark as usize % REMEMBERED])
    }
}

fn joined_in(joined: u64, mark: u64) -> Option<Cohort> {
    let is_same = joined >> 32 == mark;
    is_same.then(|| Cohort::new(joined & u64::from(u32::MAX)).ok())?
}

#[cfg(test)]
mod tests {
    use tidegate_types::{CampaignNumber, RequestId, ShopperId};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn with_claims(test: impl Fn([ClaimKey<'_>; 3])) {
        let [ann, bob] = ["ann", "bob"].map(|id| ShopperId::parse(id).unwrap());
        let [one, two] = ["r-1", "r-2"].map(|id| RequestId::parse(id).unwrap());
        let key = ClaimKey {
            campaign: CampaignNumber::new(7u32).unwrap(),
            shopper: &ann,
            request_id: &one,
        };
        let again = ClaimKey {
            request_id: &two,
            ..key
        };
        let bob = ClaimKey {
            shopper: &bob,
            ..key
        };
        test([key, again, bob]);
    }

    fn cohort(number: u64) -> Cohort {
        Cohort::new(number).unwrap()
    }

    #[test]
    fn a_shopper_waits_once_whatever_the_request_id_and_gives_it_up_once() {
        with_claims(|[ann, again, bob]| {
            let claims = RecentClaims::new(Instant::now());
            assert_eq!(claims.recall(ann), None);
            let tier = TierNumber::new(3u8).ok();
            claims.join(ann, tier, cohort(1_790_000_000));
            claims.join(bob, None, cohort(0));
            let place = |is_same_request| Recalled {
                cohort: cohort(1_790_000_000),
                tier,
                is_same_request,
            };
            assert_eq!(claims.recall(ann), Some(place(true)));
            assert_eq!(claims.recall(again), Some(place(false)));
            assert_eq!(claims.recall(bob).unwrap().tier, None);
            assert_eq!(claims.give_up(again), Some(cohort(1_790_000_000)));
            assert_eq!(claims.give_up(ann), None);
            assert_eq!(claims.recall(bob).unwrap().cohort, cohort(0));
        });
    }

    #[test]
    fn whoever_asks_more_often_promises_no_more_often() {
        with_claims(|[ann, again, bob]| {
            let now = Instant::now();
            let claims = RecentClaims::new(now);
            let place = (None, cohort(9));
            claims.join(ann, None, cohort(9));
            let promise = |key, at, now| claims.promise(key, place, at, now);
            let back_at = now + 2 * SECOND;
            assert_eq!(promise(ann, back_at, now), Some(back_at));
            assert_eq!(promise(again, now + 5 * SECOND, now + SECOND), None);
            let later = now + 3 * SECOND;
            assert!(promise(again, now + 5 * SECOND, later).is_some());
            assert!(promise(bob, now + SECOND, now).is_some());
            assert_eq!(promise(bob, now + SECOND, now), None);
            let elsewhere = claims.recall(bob).map(|place| place.cohort);
            assert_eq!(
                elsewhere,
                Some(cohort(9)),
                "its ticket is of another gateway"
            );
            assert_eq!(
                claims.recall(ann).map(|place| place.cohort),
                Some(cohort(9))
            );
        });
    }

    #[test]
    fn a_shopper_is_held_once_and_need_not_come_back_meanwhile() {
        with_claims(|[ann, again, bob]| {
            let now = Instant::now();
            let claims = RecentClaims::new(now);
            let place = (None, cohort(9));
            let hold = |key, now| claims.hold(key, place, now + 60 * SECOND, now);
            claims.promise(ann, place, now + 5 * SECOND, now);
            let held = hold(ann, now).unwrap();
            assert_eq!(held.promised, Some(now + 5 * SECOND));
            assert!(hold(again, now + SECOND).is_none(), "by another stream");
            let promise = |at| claims.promise(again, place, at + SECOND, at);
            assert_eq!(promise(now + SECOND), None);
            claims.let_go(&held);
            assert!(promise(now + SECOND).is_some());
            assert_eq!(hold(bob, now).unwrap().promised, None, "it never promised");
            assert!(
                hold(bob, now + 61 * SECOND).is_some(),
                "the first is long over"
            );
        });
    }

    #[test]
    fn what_happens_again_is_not_the_first_time() {
        let claims = RecentClaims::new(Instant::now());
        assert!(!claims.knows(("handed over", 1)));
        assert!(claims.is_first(("handed over", 1)));
        assert!(!claims.is_first(("handed over", 1)));
        assert!(claims.is_first(("served", 1)));
        claims.forget(("handed over", 1));
        assert!(!claims.knows(("handed over", 1)) && claims.knows(("served", 1)));
    }
}
