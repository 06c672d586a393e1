//! What staff have said of coupons is obeyed by whatever commits after it, whatever its replica has heard.

use std::time::Duration;

use sqlx::Connection as _;
use tidegate_issuance::{
    domain::campaign::{CouponControl, RedemptionControl},
    store::controls,
};
use uuid::Uuid;

use crate::{
    lane::{TestLane, campaign_of, only_lane},
    redeeming::coupon_uses::{redeem, with_coupons},
};

fn said(revision: u64, redemption: RedemptionControl) -> CouponControl {
    CouponControl {
        revision,
        redemption,
        ..CouponControl::default()
    }
}

async fn apply(test: &TestLane, control: &CouponControl) {
    let applied = controls::apply(&test.pool, only_lane(), campaign_of(1), control);
    applied.await.unwrap();
}

#[tokio::test]
async fn a_halt_in_the_database_stops_a_writer_that_has_heard_of_none_and_nothing_older_undoes_it()
{
    let (test, writer) = with_coupons(&["ann", "bob"]).await;
    let held = Uuid::new_v4();
    let paid = redeem(&writer, "ann", held).await.unwrap();
    assert_eq!(paid.order_id, Some(held));
    apply(&test, &said(7, RedemptionControl::Halted)).await;
    apply(&test, &said(6, RedemptionControl::Open)).await;
    let order = Uuid::new_v4();
    assert_eq!(redeem(&writer, "bob", order).await.unwrap().order_id, None);
    // Who holds the coupon is answered as before.
    let again = redeem(&writer, "ann", held).await.unwrap();
    assert_eq!(again.order_id, Some(held));
    apply(&test, &said(8, RedemptionControl::Open)).await;
    let paid = redeem(&writer, "bob", order).await.unwrap();
    assert_eq!(paid.order_id, Some(order));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_waits_for_the_redemptions_that_are_under_way_also_for_the_first_of_a_campaign() {
    let (test, _writer) = with_coupons(&["ann"]).await;
    for revision in [3, 4] {
        let mut connection = test.pool.acquire().await.unwrap();
        let mut redemption = connection.begin().await.unwrap();
        let campaigns = [campaign_of(1)];
        let seen = controls::lock(&mut redemption, only_lane(), &campaigns).await;
        assert!(seen.unwrap()[&campaign_of(1)].revision < revision);
        let pool = test.pool.clone();
        let halting = tokio::spawn(async move {
            let halt = said(revision, RedemptionControl::Halted);
            controls::apply(&pool, only_lane(), campaign_of(1), &halt).await
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!halting.is_finished(), "it is acknowledged too early");
        redemption.commit().await.unwrap();
        halting.await.unwrap().unwrap();
        let read = controls::read(&test.pool, only_lane(), &campaigns).await;
        assert_eq!(read.unwrap()[&campaign_of(1)].revision, revision);
    }
}
