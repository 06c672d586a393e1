//! What this gateway remembers of claims that went to issuance.

use super::{ClaimAttempt, WaitingRoom};
use crate::domain::ticket::ClaimKey;

impl WaitingRoom {
    /// The claim goes to issuance: from now on it may have produced a coupon, whatever is heard of
    /// it. True if it is not known to have gone there before.
    pub fn hand_over(&self, key: ClaimKey<'_>) -> bool {
        self.0.recent.is_first(("handed over", key_of(key)))
    }

    /// The claim was handed over once, and certainly produced no coupon.
    pub fn take_back(&self, key: ClaimKey<'_>) {
        self.0.recent.forget(("handed over", key_of(key)));
    }

    /// Whether this gateway remembers that the claim went to issuance.
    pub fn was_handed_over(&self, key: ClaimKey<'_>) -> bool {
        self.0.recent.knows(("handed over", key_of(key)))
    }

    /// Issuance has said that the claim has no coupon. That counts until its campaign changes: with
    /// more stock it may get one elsewhere.
    pub fn looked_up(&self, attempt: ClaimAttempt<'_>) {
        self.0.recent.is_first(look_up_key(attempt));
    }

    /// Whether this gateway remembers that.
    pub fn was_looked_up(&self, attempt: ClaimAttempt<'_>) -> bool {
        self.0.recent.knows(look_up_key(attempt))
    }
}

fn look_up_key<'a>(attempt: ClaimAttempt<'a>) -> impl std::hash::Hash + use<'a> {
    let revision = attempt.campaign.revision;
    ("looked up", key_of(attempt.key), revision)
}

fn key_of<'a>(key: ClaimKey<'a>) -> impl std::hash::Hash + use<'a> {
    (key.campaign, key.shopper, key.request_id)
}
