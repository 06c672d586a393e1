//! Claims that were refused a moment ago because their shopper holds all the campaign allows: asked again at once, they are answered here.

use std::time::Duration;

use moka::sync::Cache;
use tidegate_types::{CampaignNumber, RequestId, ShopperId};

/// Claims remembered at once.
const MAX_REMEMBERED: u64 = 100_000;
/// Long enough for a client that hammers. What is remembered stays true: limits and coupons are for ever.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// The claims refused lately. Only the very same claim is answered from here: another request id of the shopper may be the one that has the coupon. Cheap to clone.
#[derive(Clone)]
pub struct LimitReached(Cache<(CampaignNumber, ShopperId, RequestId), ()>);

impl Default for LimitReached {
    fn default() -> Self {
        let claims = Cache::builder()
            .max_capacity(MAX_REMEMBERED)
            .time_to_live(REMEMBERED_FOR);
        Self(claims.build())
    }
}

impl LimitReached {
    /// The claim was refused for its shopper's limit.
    pub fn remember(&self, campaign: CampaignNumber, shopper: &ShopperId, request_id: &RequestId) {
        let claim = (campaign, shopper.clone(), request_id.clone());
        self.0.insert(claim, ());
    }

    /// Whether the claim was refused so a moment ago.
    pub fn knows(
        &self,
        campaign: CampaignNumber,
        shopper: &ShopperId,
        request_id: &RequestId,
    ) -> bool {
        // The identifiers are shared texts: these are counters, not copies.
        let claim = (campaign, shopper.clone(), request_id.clone());
        self.0.contains_key(&claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_claim_that_was_refused_is_known() {
        let limit_reached = LimitReached::default();
        let campaign = CampaignNumber::new(1u32).unwrap();
        let shopper = ShopperId::parse("alice").unwrap();
        let [one, other] = ["r-1", "r-2"].map(|id| RequestId::parse(id).unwrap());
        limit_reached.remember(campaign, &shopper, &one);
        assert!(limit_reached.knows(campaign, &shopper, &one));
        assert!(!limit_reached.knows(campaign, &shopper, &other));
        let stranger = ShopperId::parse("bob").unwrap();
        assert!(!limit_reached.knows(campaign, &stranger, &one));
    }
}
