use std::{sync::Arc, time::Duration};

use tidegate_types::{Actor, CampaignNumber, ChangeReason, RequestId, ShopperId, TierNumber};

use super::campaign::Campaign;

/// A claim that has passed every check that needs no database.
pub struct Claim {
    pub shopper: ShopperId,
    pub campaign: CampaignNumber,
    pub request_id: RequestId,
    pub requested_tier: Option<TierNumber>,
    pub limit: u8,
    pub validity: Duration,
    /// False if only a coupon there already may be answered, because the campaign is not open for claims.
    pub may_issue: bool,
    /// Who of staff gives the coupon, which is recorded with it; none if its shopper claims it.
    pub granted_by: Option<Box<ByStaff>>,
}

/// Who of staff changes coupons, and of which campaign.
#[derive(Debug, Clone)]
pub struct ByStaff {
    pub actor: Actor,
    pub reason: ChangeReason,
    /// The campaign as this replica knows it.
    pub campaign: Arc<Campaign>,
}
