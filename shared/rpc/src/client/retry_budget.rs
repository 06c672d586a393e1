use std::sync::atomic::{AtomicI64, Ordering};

/// Each call earns a tenth of a retry, so that at most 10 % of the load is retries, however many
/// calls fail.
const EARNED_BY_CALL: i64 = 1;
const COST_OF_RETRY: i64 = 10;
/// Retries that a quiet process has at hand for a sudden failure.
const MOST_SAVED: i64 = 100 * COST_OF_RETRY;

/// Bounds how much is tried again at other replicas: retries of everything would turn a small
/// failure into a large one.
pub(super) struct RetryBudget(AtomicI64);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicI64::new(MOST_SAVED))
    }
}

impl RetryBudget {
    /// A call is made for the first time.
    pub(super) fn earn(&self) {
        // The bound is approximate between threads, which is as good.
        if self.0.load(Ordering::Relaxed) < MOST_SAVED {
            self.0.fetch_add(EARNED_BY_CALL, Ordering::Relaxed);
        }
    }

    /// Whether one call may be tried again now.
    pub(super) fn spend(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| {
                (saved >= COST_OF_RETRY).then_some(saved - COST_OF_RETRY)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_at_most_a_tenth_of_the_calls_once_the_savings_are_gone() {
        let budget = RetryBudget::default();
        while budget.spend() {}
        let retries = (0..1_000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        assert_eq!(retries.count(), 100);
    }
}
