use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// Marks that are remembered: 8 MiB of them.
const MARKS: usize = 1 << 20;

/// Remembers the newest of the things that happened, in memory of a fixed size: each has one place, and the next that has the same place takes it over.
///
/// It keeps one who asks again and again from being counted again and again. What was forgotten meanwhile is counted twice, which only makes a queue look a little longer.
pub(super) struct Once {
    places: RandomState,
    marks: Box<[AtomicU64]>,
}

impl Default for Once {
    fn default() -> Self {
        Self {
            places: RandomState::new(),
            marks: (0..MARKS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Once {
    /// Marks that it happened; true if that is not known to have happened before.
    pub(super) fn is_first(&self, happened: impl Hash) -> bool {
        let (mark, place) = self.mark_of(happened);
        place.swap(mark, Ordering::Relaxed) != mark
    }

    /// Whether it is known to have happened.
    pub(super) fn knows(&self, happened: impl Hash) -> bool {
        let (mark, place) = self.mark_of(happened);
        place.load(Ordering::Relaxed) == mark
    }

    /// It did not happen after all.
    pub(super) fn forget(&self, happened: impl Hash) {
        let (mark, place) = self.mark_of(happened);
        // If the place was taken over meanwhile, that stays.
        let _ = place.compare_exchange(mark, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn mark_of(&self, happened: impl Hash) -> (u64, &AtomicU64) {
        let mark = self.places.hash_one(happened).max(1);
        (mark, &self.marks[mark as usize % MARKS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_again_is_not_the_first_time() {
        let once = Once::default();
        assert!(!once.knows(("joined", 1)));
        assert!(once.is_first(("joined", 1)));
        assert!(once.knows(("joined", 1)));
        assert!(!once.is_first(("joined", 1)));
        assert!(once.is_first(("left", 1)));
        once.forget(("joined", 1));
        assert!(!once.knows(("joined", 1)) && once.knows(("left", 1)));
    }
}
