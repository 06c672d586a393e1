use std::time::Duration;

use super::{FASTEST_PER_SECOND, FIRST_GUESS_PER_SECOND, LEASED_SECONDS, Pace};

/// Claims that wait for so long tell of a stall, and nothing of what issuance can do after it.
pub(super) const STALLED_FROM: Duration = Duration::from_secs(1);

impl Pace {
    /// Whether claims go to issuance and none is answered.
    pub fn is_unanswered(&self) -> bool {
        self.delay.is_none() && self.is_felt() && self.is_used()
    }

    /// Whether nobody is answered, or claims wait so long that it tells of nothing but a stall.
    pub(super) fn stands_still(&self) -> bool {
        self.delay.is_none_or(|delay| delay.waited >= STALLED_FROM)
    }

    /// Begins anew where it is not known what issuance can do: what was tried out while nobody was
    /// answered says nothing.
    pub(super) fn go_on_after_stall(&mut self, leased: u64) {
        if self.issued.most_per_second.is_none() {
            let known = self.per_second.max(FIRST_GUESS_PER_SECOND);
            self.per_second = at_least_leased(known, leased);
        }
    }
}

/// A pace that issuance's leases cover, within what any pace may be.
pub(super) fn at_least_leased(per_second: f64, leased: u64) -> f64 {
    per_second
        .max(leased as f64 / LEASED_SECONDS)
        .min(FASTEST_PER_SECOND)
}
