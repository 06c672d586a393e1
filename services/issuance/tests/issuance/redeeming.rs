//! What becomes of a coupon after it was issued: orders that use it, and the wallet.

mod controls;
pub mod coupon_uses;
mod random_uses;
mod releases;

use coupon_uses::{redeem, release, revoke, with_coupons};
use futures_util::future::join_all;
use tidegate_issuance::{domain::coupon::CouponState, lane_work::Claim, store::coupons};
use tidegate_types::Timestamp;
use uuid::Uuid;

use crate::lane::{campaign_of, claim, only_lane, shopper_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_orders_that_race_for_a_coupon_one_wins_and_the_other_sees_which() {
    let names: Vec<_> = (0..100).map(|number| format!("s-{number:03}")).collect();
    let shoppers: Vec<_> = names.iter().map(String::as_str).collect();
    let (lane, first) = with_coupons(&shoppers).await;
    let second = lane.writer();
    let outcomes = join_all(shoppers.iter().map(async |shopper| {
        let orders = [Uuid::new_v4(), Uuid::new_v4()];
        let (one, other) = tokio::join!(
            redeem(&first, shopper, orders[0]),
            redeem(&second, shopper, orders[1])
        );
        (orders, one.unwrap().order_id, other.unwrap().order_id)
    }))
    .await;
    for (orders, one, other) in outcomes {
        assert_eq!(one, other, "both must be told the same winner");
        assert!(orders.contains(&one.unwrap()));
    }
    assert_eq!(lane.unbalanced().await, []);
}

#[tokio::test]
async fn expired_and_revoked_and_missing_coupons_are_not_redeemed() {
    let (lane, writer) = with_coupons(&["expired", "revoked", "good"]).await;
    let past =
        "UPDATE coupons SET valid_until = now() - interval '1 second' WHERE shopper_id = 'expired';
        UPDATE coupons SET revoked_at = now() - interval '1 second' WHERE shopper_id = 'revoked'";
    lane.database.execute(past).await;
    let order = Uuid::new_v4();
    for (shopper, state) in [
        ("expired", CouponState::Expired),
        ("revoked", CouponState::Revoked),
        ("good", CouponState::Redeemed(order)),
    ] {
        let coupon = redeem(&writer, shopper, order).await.unwrap();
        assert_eq!(coupon.state(None, Timestamp::now_utc()), state, "{shopper}");
        let free = !matches!(state, CouponState::Redeemed(_));
        assert_eq!(coupon.order_id.is_none(), free, "{shopper}");
    }
    assert_eq!(redeem(&writer, "nobody", order).await, None);
}

#[tokio::test]
async fn a_revoked_coupon_keeps_its_first_reason_and_a_redeemed_one_is_not_revoked() {
    let (lane, writer) = with_coupons(&["ann", "bob"]).await;
    let (revoked, changed) = revoke(&writer, "ann", "by mistake").await.unwrap();
    assert!(revoked.revoked && changed);
    let again = revoke(&writer, "ann", "again").await;
    assert_eq!(again, Some((revoked.clone(), false)));
    let reason = "SELECT revoked_reason FROM coupons WHERE shopper_id = 'ann'";
    assert_eq!(lane.database.ask::<String>(reason).await, "by mistake");
    let order = Uuid::new_v4();
    assert_eq!(redeem(&writer, "ann", order).await, Some(revoked));
    redeem(&writer, "bob", order).await.unwrap();
    let (redeemed, changed) = revoke(&writer, "bob", "too late").await.unwrap();
    assert!(!redeemed.revoked && !changed);
    assert_eq!(redeemed.order_id, Some(order));
    assert_eq!(revoke(&writer, "nobody", "no coupon").await, None);
}

#[tokio::test]
async fn redemptions_releases_and_claims_of_one_batch_are_all_committed() {
    let (lane, writer) = with_coupons(&["ann", "bob"]).await;
    let (ann, bob) = (Uuid::new_v4(), Uuid::new_v4());
    redeem(&writer, "bob", bob).await.unwrap();
    let (redeemed, released, issued) = tokio::join!(
        redeem(&writer, "ann", ann),
        release(&writer, "bob", bob),
        writer.claim_coupon(claim("cyd", "r-1")),
    );
    assert!(!issued.1);
    assert_eq!(redeemed.unwrap().order_id, Some(ann));
    assert!(released);
    // All were handed in before the writer ran, and so went into one transaction.
    let transactions = "SELECT count(DISTINCT xmin::text) FROM coupons";
    assert_eq!(lane.database.ask::<i64>(transactions).await, 1);
    assert_eq!(lane.issued().await, 3);
    assert_eq!(lane.unbalanced().await, []);
}

#[tokio::test]
async fn a_wallet_pages_through_every_coupon_without_gaps_or_repeats_newest_campaign_first() {
    let (lane, writer) = with_coupons(&["bob"]).await;
    let mut expected = Vec::new();
    for campaign in (1..=7u32).rev() {
        let lease = lane.lease(&[(0, 10)]).await;
        writer.hold(campaign, lease, &[(0, 10)]);
        for slot in 1..=3u8 {
            let wanted = Claim {
                campaign: campaign_of(campaign),
                limit: 3,
                ..claim("ann", &format!("r-{slot}"))
            };
            writer.claim_coupon(wanted).await;
        }
        expected.extend((1..=3u8).rev().map(|slot| (campaign, slot)));
    }
    let (ann, first) = (shopper_of("ann"), (i32::MAX as u32, u8::MAX));
    let page = async |start, campaign, size| -> Vec<(u32, u8)> {
        let page = coupons::list(&lane.pool, only_lane(), &ann, start, campaign, size);
        let coupons = page.await.unwrap().into_iter();
        let keys = coupons.map(|coupon| (coupon.campaign.get(), coupon.slot.get()));
        keys.collect()
    };
    for page_size in 1..=22 {
        let (mut seen, mut start) = (Vec::new(), first);
        loop {
            let keys = page(start, None, page_size).await;
            assert!(keys.len() <= page_size as usize);
            let Some(last) = keys.last() else { break };
            start = *last;
            seen.extend(keys);
            assert!(seen.len() <= expected.len(), "repeated: {seen:?}");
        }
        assert_eq!(seen, expected, "pages of {page_size}");
    }
    let of_one = page(first, Some(campaign_of(4)), 50).await;
    assert_eq!(of_one, [(4, 3), (4, 2), (4, 1)]);
}
