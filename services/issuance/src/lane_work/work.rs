use tidegate_pg::Reply;
use tidegate_types::{CampaignNumber, ChangeReason, ShopperId, Slot, Timestamp};
use uuid::Uuid;

use crate::domain::{
    campaign::CouponControl,
    claim::{ByStaff, Claim},
    coupon::{MinimumValidity, StoredCoupon},
    purchase::TierSet,
};

/// What a lane commits, each kind with the reply to whoever waits for it.
pub enum Work {
    Claim(Claim, Reply<Claimed>),
    /// Use a coupon for an order. The coupon after that was tried, and what was in force for it.
    Redeem(Redemption, Reply<Option<Tried<CouponControl>>>),
    /// Give a coupon back that an order holds, and keep the order from taking it later. Whether that
    /// gave it back.
    Release(Release, Reply<bool>),
    /// Withdraw a coupon for ever. The coupon after that was tried, and whether that changed it.
    Revoke(Revocation, Reply<Option<Tried<bool>>>),
}

/// A coupon as it is after something was tried with it, and what is to be known of that.
pub type Tried<T> = Box<(StoredCoupon, T)>;

impl Work {
    pub fn shopper(&self) -> &ShopperId {
        match self {
            Self::Claim(claim, _) => &claim.shopper,
            Self::Redeem(redemption, _) => &redemption.used.shopper,
            Self::Release(release, _) => &release.used.shopper,
            Self::Revoke(revocation, _) => &revocation.shopper,
        }
    }
}

#[derive(Debug)]
pub enum Claimed {
    Issued(Box<Issued>),
    OverLimit,
    NoStock,
}

/// A claim that was served: its coupon is durable.
#[derive(Debug)]
pub struct Issued {
    pub coupon: StoredCoupon,
    /// Whether an earlier claim with this request id produced it.
    pub replayed: bool,
    /// What staff have said of it since, in the database; nothing of a new one.
    pub in_force: Option<CouponControl>,
}

pub struct CouponUse {
    pub shopper: ShopperId,
    pub campaign: CampaignNumber,
    pub slot: Slot,
    pub order_id: Uuid,
}

pub struct Redemption {
    pub used: CouponUse,
    /// The tiers that may pay for the order. With a coupon of another only an order that holds it already is answered.
    pub payable_tiers: TierSet,
    /// What this replica has heard of its campaign's coupons; the database may know better.
    pub control: CouponControl,
}

/// A coupon that an order gives back, or will never take.
pub struct Release {
    pub used: CouponUse,
    pub extended_valid_until: Option<Timestamp>,
    /// For how long it is valid from the release on at least, if the order held it.
    pub minimum_validity: Option<MinimumValidity>,
}

pub struct Revocation {
    pub shopper: ShopperId,
    pub campaign: CampaignNumber,
    pub slot: Slot,
    pub reason: ChangeReason,
    /// Who of staff withdraws it, which is recorded with it.
    pub revoked_by: Option<Box<ByStaff>>,
}
