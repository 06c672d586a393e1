//! Orders that give a coupon back.

use futures_util::future::join_all;
use tidegate_issuance::domain::coupon::{
    CouponState, MAX_VALIDITY_GIVEN_BACK, MinimumValidity, StoredCoupon,
};
use tidegate_types::Timestamp;
use uuid::Uuid;

use crate::redeeming::coupon_uses::{redeem, release, release_for, revoke, with_coupons};

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
    let held = "coupons WHERE order_id IS NOT NULL";
    assert_eq!(lane.database.count(held).await, 0);
}

#[tokio::test]
async fn a_revoked_coupon_that_is_released_stays_revoked() {
    let (lane, writer) = with_coupons(&["ann", "bob"]).await;
    let order = Uuid::new_v4();
    revoke(&writer, "ann", "by mistake").await.unwrap();
    redeem(&writer, "bob", order).await.unwrap();
    // The service revokes no coupon that pays for an order; a person with a database client might.
    let by_hand = "UPDATE coupons SET revoked_at = now() WHERE shopper_id = 'bob'";
    lane.database.execute(by_hand).await;
    for (shopper, held) in [("ann", false), ("bob", true)] {
        assert_eq!(release(&writer, shopper, order).await, held, "{shopper}");
        let coupon = redeem(&writer, shopper, Uuid::new_v4()).await.unwrap();
        let state = coupon.state(None, Timestamp::now_utc());
        assert_eq!((state, coupon.order_id), (CouponState::Revoked, None));
    }
}

#[tokio::test]
async fn a_coupon_comes_back_with_the_life_asked_for_once_and_only_from_its_own_order() {
    let hour = time::Duration::HOUR;
    let least = MinimumValidity::new(hour.unsigned_abs()).ok();
    let (lane, writer) = with_coupons(&["ann"]).await;
    let (order, next) = (Uuid::new_v4(), Uuid::new_v4());
    redeem(&writer, "ann", order).await.unwrap();
    let nearly_over = "UPDATE coupons SET valid_until = now() + interval '1 minute'";
    lane.database.execute(nearly_over).await;
    assert!(!release_for(&writer, "ann", Uuid::new_v4(), least).await);
    let left = |coupon: &StoredCoupon| coupon.own_valid_until - Timestamp::now_utc();
    let held = redeem(&writer, "ann", order).await.unwrap();
    let minute = time::Duration::MINUTE;
    assert!(left(&held) < 2 * minute, "another order adds nothing");
    assert!(release_for(&writer, "ann", order, least).await);
    let taken = redeem(&writer, "ann", next).await.unwrap();
    assert!((hour - minute / 2..hour + minute / 2).contains(&left(&taken)));
    // The second order gives it back without asking for anything, and the first asks once more.
    release(&writer, "ann", next).await;
    let long = MinimumValidity::new(MAX_VALIDITY_GIVEN_BACK).ok();
    assert!(!release_for(&writer, "ann", order, long).await);
    let after = redeem(&writer, "ann", Uuid::new_v4()).await.unwrap();
    assert!(left(&after) < hour + minute);
}
