//! One step in a coupon's life, as a writer commits it.

use tidegate_issuance::{
    domain::{
        campaign::CouponControl,
        coupon::{MinimumValidity, StoredCoupon},
        purchase::TierSet,
    },
    lane_work::{CouponUse, LaneCommit, Redemption, Release, Revocation, Work},
};
use tidegate_pg::Commit as _;
use tidegate_types::{ChangeReason, MAX_TIERS, Slot};
use uuid::Uuid;

use crate::lane::{TestLane, Writer, campaign_of, claim, shopper_of, stocked, tier_of};

/// Every tier a campaign can have.
pub fn every_tier() -> TierSet {
    (0..MAX_TIERS).map(tier_of).collect()
}

/// Claims that fill the queue leave places for it, and it goes before them.
fn urgent(work: Work) -> Work {
    assert!(LaneCommit::urgent(&work));
    work
}

fn used(shopper: &str, order_id: Uuid) -> CouponUse {
    CouponUse {
        shopper: shopper_of(shopper),
        campaign: campaign_of(1),
        slot: Slot::new(1u8).unwrap(),
        order_id,
    }
}

/// The coupon as it is after a redemption was tried.
pub async fn redeem(writer: &Writer, shopper: &str, order: Uuid) -> Option<StoredCoupon> {
    let redemption = Redemption {
        used: used(shopper, order),
        payable_tiers: every_tier(),
        control: CouponControl::default(),
    };
    let redeeming = writer.commit(|reply| urgent(Work::Redeem(redemption, reply)));
    let redeemed = redeeming.await;
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
        used: used(shopper, order),
        extended_valid_until: None,
        minimum_validity,
    };
    let released = writer.commit(|reply| urgent(Work::Release(release, reply)));
    released.await.unwrap()
}

/// A lane with one writer, and a coupon for each of these shoppers.
pub async fn with_coupons(shoppers: &[&str]) -> (TestLane, Writer) {
    let (lane, writer, _) = stocked(&[(0, 1_000)]).await;
    for shopper in shoppers {
        writer.claim_coupon(claim(shopper, "r-1")).await;
    }
    assert_eq!(lane.issued().await, shoppers.len() as i64);
    (lane, writer)
}

/// The coupon after a revocation was tried, and whether that changed it.
pub async fn revoke(writer: &Writer, shopper: &str, reason: &str) -> Option<(StoredCoupon, bool)> {
    let revocation = Revocation {
        shopper: shopper_of(shopper),
        campaign: campaign_of(1),
        slot: Slot::new(1u8).unwrap(),
        reason: ChangeReason::parse(reason).unwrap(),
        revoked_by: None,
    };
    let revoked = writer.commit(|reply| Work::Revoke(revocation, reply)).await;
    revoked.unwrap().map(|tried| *tried)
}
