//! One step in a coupon's life, as a writer commits it.

use tidegate_issuance::{
    domain::{
        campaign::CouponControl,
        coupon::{MinimumValidity, StoredCoupon},
        purchase::TierSet,
    },
    lane_work::{CouponUse, Done, Redemption, Release, Revocation, Work},
};
use tidegate_types::{ChangeReason, MAX_TIERS, Slot, Timestamp};
use uuid::Uuid;

use crate::lane::{TestLane, Writer, answered, campaign_of, claim, shopper_of, tier_of};

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
    match writer.commit(Work::Redeem(redemption)).await {
        Ok(Done::Coupon(coupon)) => coupon.map(|(coupon, _)| *coupon),
        other => panic!("{other:?}"),
    }
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
    match writer.commit(Work::Release(release)).await {
        Ok(Done::Released(changed)) => changed,
        other => panic!("{other:?}"),
    }
}

/// A lane with one writer, and a coupon for each of these shoppers.
pub async fn with_coupons(shoppers: &[&str]) -> (TestLane, Writer) {
    let lane = TestLane::create().await.expect("a database");
    let writer = lane.writer().expect("a writer");
    let lease = lane.lease(&[(0, 1_000)]).await.expect("a lease");
    writer.hold(1, lease, &[(0, 1_000)]);
    for shopper in shoppers {
        answered(writer.claim(claim(shopper, "r-1")).await).expect("a coupon");
    }
    assert_eq!(lane.issued().await.expect("a count"), shoppers.len() as i64);
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
    match writer.commit(Work::Revoke(revocation)).await {
        Ok(Done::Revoked(coupon)) => coupon.map(|(coupon, changed)| (*coupon, changed)),
        other => panic!("{other:?}"),
    }
}
