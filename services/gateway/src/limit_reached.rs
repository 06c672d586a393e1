//! Claims that were refused a moment ago because their shopper holds all the campaign allows: asked
//! again at once, they are answered here.

use std::time::Duration;

use moka::sync::Cache;
use tidegate_types::{CampaignNumber, RequestId, ShopperId};

/// Claims remembered at once.
const MAX_REMEMBERED: u64 = 100_000;
/// Long enough for a client that hammers.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// The claims refused lately, with the revision of the campaign that they were refused by: staff
/// may raise a limit. Only the very same claim is answered from here: another request id of the
/// shopper may be the one that has the coupon. Cheap to clone.
#[derive(Clone)]
pub struct LimitReached(Cache<(CampaignNumber, ShopperId, RequestId), u64>);

impl Default for LimitReached {
    fn default() -> Self {
        let claims = Cache::builder()
            .max_capacity(MAX_REMEMBERED)
            .time_to_live(REMEMBERED_FOR);
        Self(claims.build())
    }
}

impl LimitReached {
    /// The claim was refused for its shopper's limit, by this revision of the campaign.
    pub fn remember(
        &self,
        (campaign, revision): (CampaignNumber, u64),
        shopper: &ShopperId,
        request_id: &RequestId,
    ) {
        let claim = (campaign, shopper.clone(), request_id.clone());
        self.0.insert(claim, revision);
    }

    /// Whether the claim was refused so a moment ago, by the same revision of the campaign.
    pub fn knows(
        &self,
        (campaign, revision): (CampaignNumber, u64),
        shopper: &ShopperId,
        request_id: &RequestId,
    ) -> bool {
        // The identifiers are shared texts: these are counters, not copies.
        let claim = (campaign, shopper.clone(), request_id.clone());
        self.0.get(&claim) == Some(revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_claim_that_was_refused_is_known_and_only_while_its_campaign_is_the_same() {
        let limit_reached = LimitReached::default();
        let campaign = CampaignNumber::new(1u32).unwrap();
        let shopper = ShopperId::parse("alice").unwrap();
        let [one, other] = ["r-1", "r-2"].map(|id| RequestId::parse(id).unwrap());
        limit_reached.remember((campaign, 3), &shopper, &one);
        assert!(limit_reached.knows((campaign, 3), &shopper, &one));
        assert!(!limit_reached.knows((campaign, 4), &shopper, &one));
        assert!(!limit_reached.knows((campaign, 3), &shopper, &other));
        let stranger = ShopperId::parse("bob").unwrap();
        assert!(!limit_reached.knows((campaign, 3), &stranger, &one));
    }
}
