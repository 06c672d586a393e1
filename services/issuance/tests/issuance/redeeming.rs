//! What becomes of a coupon after it was issued: orders that use it, and the wallet.

mod controls;
pub mod coupon_uses;
mod random_uses;
mod releases;

use coupon_uses::{redeem, release, revoke, with_coupons};
use futures_util::future::join_all;
use tidegate_issuance::{domain::claim::Claim, store::coupons};
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
    assert_eq!(redeem(&writer, "nobody", order).await, None);
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
async fn a_wallet_shows_what_comes_after_a_coupon_of_all_campaigns_or_of_one() {
    let (lane, writer) = with_coupons(&["bob"]).await;
    for campaign in 1..=3u32 {
        let lease = lane.lease(&[(0, 10)]).await;
        writer.hold(campaign, lease, &[(0, 10)]);
        for request in ["r-1", "r-2"] {
            let wanted = Claim {
                campaign: campaign_of(campaign),
                limit: 2,
                ..claim("ann", request)
            };
            writer.claim_coupon(wanted).await;
        }
    }
    let ann = shopper_of("ann");
    for (start, campaign, expected) in [
        ((9, 1), None, &[(3, 2), (3, 1), (2, 2), (2, 1)][..]),
        ((3, 1), None, &[(2, 2), (2, 1), (1, 2), (1, 1)]),
        ((1, 1), None, &[]),
        ((9, 1), Some(campaign_of(2)), &[(2, 2), (2, 1)]),
    ] {
        let page = coupons::list(&lane.pool, only_lane(), &ann, start, campaign, 4);
        let coupons = page.await.unwrap().into_iter();
        let keys = coupons.map(|coupon| (coupon.campaign.get(), coupon.slot.get()));
        assert_eq!(keys.collect::<Vec<_>>(), expected, "{start:?}");
    }
}
