use tidegate_telemetry::TraceContext;
use tidegate_types::{
    CampaignNumber, CouponCode, Money, RequestId, Slot, TierId, TierNumber, Timestamp,
};
use uuid::Uuid;

/// A coupon as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCoupon {
    /// The campaign.
    pub campaign: CampaignNumber,
    /// Which of the shopper's coupons.
    pub slot: Slot,
    /// The claim that produced it.
    pub request_id: RequestId,
    /// The tier that claim named.
    pub requested_tier: Option<TierNumber>,
    /// The tier it got.
    pub tier: TierNumber,
    /// The key its code is made with.
    pub key_id: u8,
    /// When it became durable.
    pub issued_at: Timestamp,
    /// Its own end.
    pub valid_until: Timestamp,
    /// The order it pays for.
    pub order_id: Option<Uuid>,
    /// Withdrawn.
    pub revoked: bool,
    /// The story of its claim, if that was recorded.
    pub claim_trace: Option<TraceContext>,
}

/// A coupon as callers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// Its row.
    pub stored: StoredCoupon,
    /// Its code, derived.
    pub code: CouponCode,
    /// Its campaign's public name.
    pub campaign_id: tidegate_types::CampaignId,
    /// Its tier's public name.
    pub tier_id: TierId,
    /// What it takes off an order.
    pub face_value: Money,
}

/// Where a coupon stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CouponState {
    /// Can be used.
    Issued,
    /// Pays for this order.
    Redeemed(Uuid),
    /// Its validity is over.
    Expired,
    /// Withdrawn; final.
    Revoked,
}

impl StoredCoupon {
    /// Where the coupon stands at `now`. What it paid for outlasts its validity.
    pub fn state(&self, now: Timestamp) -> CouponState {
        match self.order_id {
            _ if self.revoked => CouponState::Revoked,
            Some(order) => CouponState::Redeemed(order),
            None if self.valid_until <= now => CouponState::Expired,
            None => CouponState::Issued,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_redeemed_coupon_stays_redeemed_after_its_validity_and_a_revoked_one_is_final() {
        let now = Timestamp::now_utc();
        let coupon = |order_id, revoked| StoredCoupon {
            campaign: CampaignNumber::new(1u32).unwrap(),
            slot: Slot::new(1u8).unwrap(),
            request_id: RequestId::parse("r").unwrap(),
            requested_tier: None,
            tier: TierNumber::new(0u8).unwrap(),
            key_id: 1,
            issued_at: now,
            valid_until: now + Duration::from_secs(10),
            order_id,
            revoked,
            claim_trace: None,
        };
        let (order, late) = (Uuid::nil(), now + Duration::from_secs(10));
        assert_eq!(coupon(None, false).state(now), CouponState::Issued);
        assert_eq!(coupon(None, false).state(late), CouponState::Expired);
        assert_eq!(
            coupon(Some(order), false).state(late),
            CouponState::Redeemed(order)
        );
        assert_eq!(coupon(Some(order), true).state(now), CouponState::Revoked);
    }
}
