//! One step in a coupon's life, as a writer commits it.

use tidegate_issuance::{
    domain::{
        campaign::CouponControl,
        coupon::{MinimumValidity, StoredCoupon},
        purchase::TierSet,
    },
    lane_work::{CouponUse, Redemption, Release, Revocation, Work},
};
use tidegate_types::{ChangeReason, MAX_TIERS, Slot, Timestamp};
use uuid::Uuid;

use crate::lane::{TestLane, Writer, answered, campaign_of, claim, shopper_of, stocked, tier_of};

/// Every tier a campaign can have.
pub fn every_tier() -> TierSet {
    (0..MAX_TIERS).map(tier_of).collect()
}

pub fn used(shopper: &str, slot: u8, order_id: Uuid) -> CouponUse {
    CouponUse {
        shopper: shopper_of(shopper),
        campaign: campaign_of(1),
        slot: Slot::new(slot).expect("a slot"),
        order_id,
    }
}

/// The coupon as it is after a redemption was tried.
pub async fn redeem(writer: &Writer, shopper: &str, order: Uuid) -> Option<StoredCoupon> {
    redeem_if(writer, shopper, order, every_tier(), None).await
}

/// The same if only some tiers may pay, and under an extension.
pub async fn redeem_if(
    writer: &Writer,
    shopper: &str,
    order: Uuid,
    payable_tiers: TierSet,
    extended_valid_until: Option<Timestamp>,
) -> Option<StoredCoupon> {
    let redemption = Redemption {
        used: used(shopper, 1, order),
        payable_tiers,
        control: CouponControl {
            extended_valid_until,
            ..CouponControl::default()
        },
    };
    let redeemed = writer.commit(|reply| Work::Redeem(redemption, reply)).await;
    redeemed.unwrap().map(|tried| tried.0)
}

/// Whether a release gave the coupon back.
pub async fn release(writer: &Writer, shopper: &str, order: Uuid) -> bool {
    release_for(writer, shopper, order, None).await
}

/// The same, and the coupon is to be valid for a while at least.
pub async fn release_for(
    writer: &Writer,
    shopper: &str,
    order: Uuid,
    minimum_validity: Option<MinimumValidity>,
) -> bool {
    let release = Release {
        used: used(shopper, 1, order),
        extended_valid_until: None,
        minimum_validity,
    };
    let released = writer.commit(|reply| Work::Release(release, reply));
    released.await.unwrap()
}

/// A lane with one writer, and a coupon for each of these shoppers.
pub async fn with_coupons(shoppers: &[&str]) -> (TestLane, Writer) {
    let (lane, writer, _) = stocked(&[(0, 1_000)]).await;
    for shopper in shoppers {
        answered(writer.claim(claim(shopper, "r-1")).await).expect("a coupon");
    }
    assert_eq!(lane.issued().await, shoppers.len() as i64);
    (lane, writer)
}

/// The coupon after a revocation was tried, and whether that changed it.
pub async fn revoke(writer: &Writer, shopper: &str, reason: &str) -> Option<(StoredCoupon, bool)> {
    let revocation = Revocation {
        shopper: shopper_of(shopper),
        campaign: campaign_of(1),
        slot: Slot::new(1u8).expect("a slot"),
        reason: ChangeReason::parse(reason).expect("a reason"),
        revoked_by: None,
    };
    let revoked = writer.commit(|reply| Work::Revoke(revocation, reply)).await;
    revoked.unwrap().map(|tried| *tried)
}
