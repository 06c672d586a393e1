//! Orders that give a coupon back.

use std::time::Duration;

use futures_util::future::join_all;
use tidegate_issuance::domain::coupon::{
    CouponState, MAX_VALIDITY_GIVEN_BACK, MinimumValidity, StoredCoupon,
};
use tidegate_types::Timestamp;
use uuid::Uuid;

use crate::redeeming::coupon_uses::{
    every_tier, redeem, redeem_if, release, release_for, revoke, with_coupons,
};

fn is_about(gained: time::Duration, expected: Duration) -> bool {
    (expected..expected + Duration::from_secs(60)).contains(&gained.unsigned_abs())
        && !gained.is_negative()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_races_with_its_orders_redemption_leaves_the_coupon_free_and_says_whether_it_was_held()
 {
    let names: Vec<_> = (0..200).map(|number| format!("s-{number:03}")).collect();
    let shoppers: Vec<_> = names.iter().map(String::as_str).collect();
    let (lane, first) = with_coupons(&shoppers).await;
    let second = lane.writer();
    let outcomes = join_all(shoppers.iter().map(async |shopper| {
        let order = Uuid::new_v4();
        let (redeemed, released) = tokio::join!(
            redeem(&first, shopper, order),
            release(&second, shopper, order)
        );
        (redeemed.unwrap().order_id == Some(order), released)
    }));
    for (redeemed, released) in outcomes.await {
        assert_eq!(redeemed, released);
    }
    let held: i64 = lane
        .database
        .ask("SELECT count(*) FROM coupons WHERE order_id IS NOT NULL")
        .await;
    assert_eq!(held, 0);
}

#[tokio::test]
async fn a_revoked_coupon_that_is_released_stays_revoked() {
    let (lane, writer) = with_coupons(&["ann", "bob"]).await;
    let order = Uuid::new_v4();
    revoke(&writer, "ann", "by mistake").await.unwrap();
    redeem(&writer, "bob", order).await.unwrap();
    // The service revokes no coupon that pays for an order; a person with a database client might.
    lane.database
        .run("UPDATE coupons SET revoked_at = now() WHERE shopper_id = 'bob'")
        .await;
    for (shopper, held) in [("ann", false), ("bob", true)] {
        assert_eq!(release(&writer, shopper, order).await, held, "{shopper}");
        let coupon = redeem(&writer, shopper, Uuid::new_v4()).await.unwrap();
        let state = coupon.state(None, Timestamp::now_utc());
        assert_eq!((state, coupon.order_id), (CouponState::Revoked, None));
    }
}

#[tokio::test]
async fn only_tiers_that_may_pay_change_hands_and_the_holder_is_answered_all_the_same() {
    let (_lane, writer) = with_coupons(&["ann"]).await;
    let order = Uuid::new_v4();
    let others = (1..16).map(crate::lane::tier_of).collect();
    let free = redeem_if(&writer, "ann", order, others, None)
        .await
        .unwrap();
    assert_eq!(free.order_id, None);
    let held = redeem_if(&writer, "ann", order, every_tier(), None).await;
    assert_eq!(held.as_ref().unwrap().order_id, Some(order));
    assert_eq!(redeem_if(&writer, "ann", order, others, None).await, held);
}

#[tokio::test]
async fn a_coupon_comes_back_with_the_life_asked_for_once_and_only_from_its_own_order() {
    let hour = Duration::from_secs(3_600);
    let least = Some(MinimumValidity::new(hour).unwrap());
    let (lane, writer) = with_coupons(&["ann"]).await;
    let (order, next) = (Uuid::new_v4(), Uuid::new_v4());
    redeem(&writer, "ann", order).await.unwrap();
    lane.database
        .run("UPDATE coupons SET valid_until = now() + interval '1 minute'")
        .await;
    assert!(!release_for(&writer, "ann", Uuid::new_v4(), least).await);
    let left = |coupon: &StoredCoupon| coupon.own_valid_until - Timestamp::now_utc();
    let held = redeem(&writer, "ann", order).await.unwrap();
    assert!(
        left(&held) < Duration::from_secs(120),
        "another order adds nothing"
    );
    assert!(release_for(&writer, "ann", order, least).await);
    let taken = redeem(&writer, "ann", next).await.unwrap();
    assert!(is_about(left(&taken), hour - Duration::from_secs(30)));
    // The second order gives it back without asking for anything, and the first asks once more.
    release(&writer, "ann", next).await;
    let long = MinimumValidity::new(MAX_VALIDITY_GIVEN_BACK).ok();
    assert!(!release_for(&writer, "ann", order, long).await);
    let after = redeem(&writer, "ann", Uuid::new_v4()).await.unwrap();
    assert!(left(&after) < hour + Duration::from_secs(60));
}
