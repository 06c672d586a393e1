use std::time::Duration;

use tidegate_types::{
    CampaignNumber, ChangeReason, RequestId, ShopperId, Slot, TierNumber, Timestamp,
};
use uuid::Uuid;

use super::staff::ByStaff;
use crate::domain::{
    campaign::CouponControl,
    coupon::{MinimumValidity, StoredCoupon},
    purchase::TierSet,
};

pub enum Work {
    /// Give the shopper a coupon.
    Claim(Claim),
    /// Use a coupon for an order.
    Redeem(Redemption),
    /// Give a coupon back that an order holds, and keep the order from taking it later.
    Release(Release),
    /// Withdraw a coupon for ever.
    Revoke(Revocation),
}

impl Work {
    /// Whose coupon it is about.
    pub fn shopper(&self) -> &ShopperId {
        match self {
            Self::Claim(claim) => &claim.shopper,
            Self::Redeem(redemption) => &redemption.used.shopper,
            Self::Release(release) => &release.used.shopper,
            Self::Revoke(revocation) => &revocation.shopper,
        }
    }
}

/// A claim that has passed every check that needs no database.
pub struct Claim {
    pub shopper: ShopperId,
    pub campaign: CampaignNumber,
    pub request_id: RequestId,
    pub requested_tier: Option<TierNumber>,
    /// How many coupons the shopper may hold.
    pub limit: u8,
    /// How long the coupon will be valid.
    pub validity: Duration,
    /// False if only a coupon there already may be answered, because the campaign is not open for claims.
    pub may_issue: bool,
    /// Who of staff gives the coupon, which is recorded with it; none if its shopper claims it.
    pub granted_by: Option<Box<ByStaff>>,
}

/// A coupon and an order.
pub struct CouponUse {
    pub shopper: ShopperId,
    pub campaign: CampaignNumber,
    pub slot: Slot,
    pub order_id: Uuid,
}

/// A coupon that is to pay for an order.
pub struct Redemption {
    /// The coupon and the order.
    pub used: CouponUse,
    /// The tiers that may pay for the order. With a coupon of another only an order that holds it already is answered.
    pub payable_tiers: TierSet,
    /// What this replica has heard of its campaign's coupons; the database may know better.
    pub control: CouponControl,
}

/// A coupon that an order gives back, or will never take.
pub struct Release {
    /// The coupon and the order.
    pub used: CouponUse,
    /// The extension of its campaign.
    pub extended_valid_until: Option<Timestamp>,
    /// For how long it is valid from the release on at least, if the order held it.
    pub minimum_validity: Option<MinimumValidity>,
}

/// A coupon that staff withdraw.
pub struct Revocation {
    pub shopper: ShopperId,
    pub campaign: CampaignNumber,
    pub slot: Slot,
    pub reason: ChangeReason,
    /// Who of staff withdraws it, which is recorded with it.
    pub revoked_by: Option<Box<ByStaff>>,
}

#[derive(Debug)]
pub enum Done {
    /// The coupon is durable; `replayed` if an earlier claim produced it.
    Issued {
        coupon: Box<StoredCoupon>,
        /// Whether it was there before.
        replayed: bool,
        /// What staff have said of it since, in the database; nothing of a new one.
        in_force: Option<CouponControl>,
    },
    /// The shopper holds all the campaign allows.
    OverLimit,
    /// No stock in hand.
    NoStock,
    /// The coupon after a redemption was tried, and what was in force for it; `None` if it is not there.
    Coupon(Option<(Box<StoredCoupon>, CouponControl)>),
    /// Whether a release gave the coupon back.
    Released(bool),
    /// The coupon after a revocation was tried, and whether that changed it; `None` if it is not there.
    Revoked(Option<(Box<StoredCoupon>, bool)>),
}
