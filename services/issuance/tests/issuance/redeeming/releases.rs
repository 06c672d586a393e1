//! Orders that give a coupon back.

use std::time::Duration;

use futures_util::future::join_all;
use tidegate_issuance::domain::coupon::{
    CouponState, MAX_RELEASED_ORDERS, MAX_VALIDITY_GIVEN_BACK, MinimumValidity, StoredCoupon,
};
use tidegate_types::Timestamp;
use uuid::Uuid;

use crate::{
    lane::TestLane,
    redeeming::coupon_uses::{
        every_tier, redeem, redeem_if, release, release_for, revoke, with_coupons,
    },
};

/// Lets the coupon be held for this long already; a time below zero is what a clock that jumped back makes of it.
async fn held_for(lane: &TestLane, seconds: i32) {
    let held = "UPDATE coupons SET redeemed_at = now() - make_interval(secs => $1)";
    sqlx::query(held)
        .bind(f64::from(seconds))
        .execute(&lane.pool)
        .await
        .expect("a coupon that is held");
}

/// By how much the coupon is valid for longer than before.
fn gained(before: &StoredCoupon, after: &StoredCoupon) -> time::Duration {
    after.own_valid_until - before.own_valid_until
}

fn is_about(gained: time::Duration, expected: Duration) -> bool {
    (expected..expected + Duration::from_secs(60)).contains(&gained.unsigned_abs())
        && !gained.is_negative()
}

#[tokio::test]
async fn a_release_gives_back_once_and_only_what_its_own_order_holds() {
    let (_lane, writer) = with_coupons(&["ann"]).await;
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    redeem(&writer, "ann", first).await.unwrap();
    assert!(!release(&writer, "ann", Uuid::new_v4()).await);
    assert_eq!(
        redeem(&writer, "ann", first).await.unwrap().order_id,
        Some(first),
        "another order's release changes nothing for the one that holds it"
    );
    assert!(release(&writer, "ann", first).await);
    assert!(!release(&writer, "ann", first).await);
    assert_eq!(
        redeem(&writer, "ann", second).await.unwrap().order_id,
        Some(second)
    );
    assert!(
        !release(&writer, "ann", first).await,
        "a late repeat must not take it from the next order"
    );
    assert_eq!(
        redeem(&writer, "ann", second).await.unwrap().order_id,
        Some(second)
    );
}

#[tokio::test]
async fn a_redemption_later_than_its_orders_release_does_not_take_the_coupon() {
    let (_lane, writer) = with_coupons(&["ann", "bob", "cyd"]).await;
    let (order, other) = (Uuid::new_v4(), Uuid::new_v4());
    // Of ann the order held the coupon, of bob it never did, and of cyd another order does.
    redeem(&writer, "ann", order).await.unwrap();
    redeem(&writer, "cyd", other).await.unwrap();
    for (shopper, held) in [("ann", true), ("bob", false), ("cyd", false)] {
        assert_eq!(release(&writer, shopper, order).await, held, "{shopper}");
    }
    assert!(release(&writer, "cyd", other).await);
    for shopper in ["ann", "bob", "cyd"] {
        let late = redeem(&writer, shopper, order).await.unwrap();
        assert_eq!(late.order_id, None, "{shopper}");
        assert!(late.released_order_ids.contains(&order), "{shopper}");
        let next = Uuid::new_v4();
        let taken = redeem(&writer, shopper, next).await.unwrap();
        assert_eq!(taken.order_id, Some(next), "{shopper}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_races_with_its_orders_redemption_leaves_the_coupon_free_and_says_whether_it_was_held()
 {
    let names: Vec<_> = (0..200).map(|number| format!("s-{number:03}")).collect();
    let shoppers: Vec<_> = names.iter().map(String::as_str).collect();
    let (lane, first) = with_coupons(&shoppers).await;
    let second = lane.writer().unwrap();
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
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM coupons WHERE order_id IS NOT NULL")
        .fetch_one(&lane.pool)
        .await
        .unwrap();
    assert_eq!(held, 0);
}

#[tokio::test]
async fn a_release_adds_the_time_the_order_held_the_coupon_once() {
    let (lane, writer) = with_coupons(&["ann"]).await;
    let (order, next) = (Uuid::new_v4(), Uuid::new_v4());
    let before = redeem(&writer, "ann", order).await.unwrap();
    held_for(&lane, 600).await;
    release(&writer, "ann", order).await;
    release(&writer, "ann", order).await;
    release(&writer, "ann", next).await;
    let after = redeem(&writer, "ann", Uuid::new_v4()).await.unwrap();
    let gained = gained(&before, &after);
    assert!(is_about(gained, Duration::from_secs(600)), "{gained}");
}

#[tokio::test]
async fn clocks_that_jump_neither_shorten_the_validity_nor_add_more_than_a_week() {
    for (seconds, expected) in [
        (-3_600, Duration::ZERO),
        (100_000_000, MAX_VALIDITY_GIVEN_BACK),
    ] {
        let (lane, writer) = with_coupons(&["ann"]).await;
        let order = Uuid::new_v4();
        let before = redeem(&writer, "ann", order).await.unwrap();
        held_for(&lane, seconds).await;
        assert!(release(&writer, "ann", order).await);
        let after = redeem(&writer, "ann", order).await.unwrap();
        assert_eq!(gained(&before, &after), expected);
    }
}

#[tokio::test]
async fn a_coupon_that_expired_while_it_was_held_can_be_used_for_as_long_as_was_left() {
    let (lane, writer) = with_coupons(&["ann"]).await;
    let order = Uuid::new_v4();
    redeem(&writer, "ann", order).await.unwrap();
    // Redeemed an hour ago, when 20 minutes were left.
    held_for(&lane, 3_600).await;
    sqlx::query("UPDATE coupons SET valid_until = redeemed_at + interval '20 minutes'")
        .execute(&lane.pool)
        .await
        .unwrap();
    release(&writer, "ann", order).await;
    let next = Uuid::new_v4();
    let taken = redeem(&writer, "ann", next).await.unwrap();
    assert_eq!(taken.order_id, Some(next));
    let left = taken.own_valid_until - Timestamp::now_utc();
    assert!(left <= Duration::from_secs(20 * 60), "{left}");
}

#[tokio::test]
async fn two_orders_may_alternate_until_each_has_given_the_coupon_back() {
    let (_lane, writer) = with_coupons(&["ann"]).await;
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let holder = async |order| redeem(&writer, "ann", order).await.unwrap().order_id;
    assert_eq!(holder(first).await, Some(first));
    assert_eq!(holder(second).await, Some(first));
    assert!(release(&writer, "ann", first).await);
    assert_eq!(holder(first).await, None);
    assert_eq!(holder(second).await, Some(second));
    assert_eq!(holder(first).await, Some(second));
    assert!(release(&writer, "ann", second).await);
    assert_eq!(holder(second).await, None);
    assert_eq!(holder(first).await, None);
}

#[tokio::test]
async fn the_newest_releases_are_remembered_whoever_holds_the_coupon() {
    let (_lane, writer) = with_coupons(&["ann"]).await;
    let holder = Uuid::new_v4();
    redeem(&writer, "ann", holder).await.unwrap();
    let kept = usize::from(MAX_RELEASED_ORDERS);
    let orders: Vec<_> = (0..kept + 3).map(|_| Uuid::new_v4()).collect();
    for order in &orders {
        assert!(!release(&writer, "ann", *order).await);
    }
    let coupon = redeem(&writer, "ann", holder).await.unwrap();
    assert_eq!(coupon.order_id, Some(holder));
    assert_eq!(coupon.released_order_ids, orders[3..]);
}

#[tokio::test]
async fn a_revoked_coupon_that_is_released_stays_revoked() {
    let (lane, writer) = with_coupons(&["ann", "bob"]).await;
    let order = Uuid::new_v4();
    revoke(&writer, "ann", "by mistake").await.unwrap();
    redeem(&writer, "bob", order).await.unwrap();
    // The service revokes no coupon that pays for an order; a person with a database client might.
    sqlx::query("UPDATE coupons SET revoked_at = now() WHERE shopper_id = 'bob'")
        .execute(&lane.pool)
        .await
        .unwrap();
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
    sqlx::query("UPDATE coupons SET valid_until = now() + interval '1 minute'")
        .execute(&lane.pool)
        .await
        .unwrap();
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

#[tokio::test]
async fn a_longer_life_is_not_shortened_by_the_least_one() {
    let (_lane, writer) = with_coupons(&["ann"]).await;
    let order = Uuid::new_v4();
    let before = redeem(&writer, "ann", order).await.unwrap();
    let least = MinimumValidity::new(Duration::from_secs(1)).ok();
    assert!(release_for(&writer, "ann", order, least).await);
    let after = redeem(&writer, "ann", Uuid::new_v4()).await.unwrap();
    assert!(after.own_valid_until >= before.own_valid_until);
}
