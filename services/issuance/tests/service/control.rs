use std::time::Duration;

use tidegate_proto::r#type::v1::{
    CampaignControl, IssuanceControl, Reason, RedemptionControl, Refusal,
};
use tidegate_rpc::wire;
use tidegate_types::Timestamp;
use uuid::Uuid;

use crate::suite::{Issuance, Suite, eventually};

fn control(issuance: IssuanceControl, redemption: RedemptionControl) -> CampaignControl {
    CampaignControl {
        issuance: issuance.into(),
        redemption: redemption.into(),
        ..CampaignControl::default()
    }
}

/// Claims for new shoppers until one is refused for this reason.
async fn refused_for(issuance: &Issuance, reason: Reason) -> Refusal {
    eventually("a refusal", async || {
        let refusal = issuance.claim(&Uuid::new_v4().to_string()).await.err()?;
        (refusal.reason() == reason).then_some(refusal)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_refuses_new_claims_and_answers_replays_also_after_a_restart_without_quota() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let first = issuance.claim_in_the_end("ann").await;
    let resume_at = Timestamp::now_utc() + Duration::from_secs(600);
    let resume_at = wire::timestamp(resume_at.truncate_to_microsecond());
    suite.quota.change(|campaign| {
        campaign.control = Some(CampaignControl {
            resume_at: Some(resume_at),
            ..control(IssuanceControl::Halted, RedemptionControl::Open)
        });
    });
    let refusal = refused_for(&issuance, Reason::IssuanceHalted).await;
    assert_eq!(refusal.retry_at, Some(resume_at));
    assert!(refusal.metadata.contains_key("resume_at"));
    let replay = issuance.claim("ann").await.unwrap();
    assert!(replay.replayed);
    assert_eq!(replay.coupon, first.coupon);
    issuance.stop().await;

    let issuance = suite.issuance_without_quota().await;
    let refusal = issuance.claim("bob").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::IssuanceHalted);
    assert_eq!(refusal.retry_at, Some(resume_at));
    assert_eq!(issuance.claim("ann").await.unwrap().coupon, first.coupon);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_only_asks_new_claims_to_come_again_and_opening_serves_them() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    issuance.claim_in_the_end("ann").await;
    suite.quota.change(|campaign| {
        campaign.control = Some(control(IssuanceControl::QueueOnly, RedemptionControl::Open));
    });
    let refusal = eventually("a refusal", async || {
        issuance.claim(&Uuid::new_v4().to_string()).await.err()
    })
    .await;
    assert_eq!(refusal.reason(), Reason::Overloaded);
    assert_eq!(
        refusal.retry_after,
        Some(wire::duration(Duration::from_secs(2)))
    );
    assert!(issuance.claim("ann").await.unwrap().replayed);
    suite.quota.change(|campaign| {
        campaign.control = Some(control(IssuanceControl::Open, RedemptionControl::Open));
    });
    issuance.claim_in_the_end("bob").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_has_not_heard_of_a_halt_never_calls_the_campaign_sold_out() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    // Quota refuses leases before it tells the watch.
    suite.quota.change_silently(|campaign| {
        campaign.control = Some(control(IssuanceControl::Halted, RedemptionControl::Open));
    });
    let refusal = issuance.claim("ann").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::StockReturning);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_asks_quota_before_it_serves_a_claim_of_a_gateway_that_has_seen_more() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    issuance.claim_in_the_end("ann").await;
    suite.quota.change_silently(|campaign| {
        campaign.revision += 1;
        campaign.control = Some(control(IssuanceControl::QueueOnly, RedemptionControl::Open));
    });
    issuance.claim_seeing("bob", 1).await.unwrap();
    let refusal = issuance.claim_seeing("carl", 2).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Overloaded);
    // What it learned it knows from then on.
    let refusal = issuance.claim("dora").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Overloaded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn halted_redemption_leaves_coupons_untouched_and_answers_the_order_that_holds_one() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let code = async |shopper| {
        let issued = issuance.claim_in_the_end(shopper).await;
        issued.coupon.unwrap().code
    };
    let (of_ann, of_bob) = (code("ann").await, code("bob").await);
    let (held, new) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    issuance.redeem("ann", &of_ann, &held).await.unwrap();
    suite.quota.change(|campaign| {
        campaign.control = Some(control(IssuanceControl::Open, RedemptionControl::Halted));
    });
    let checked = eventually("a coupon that cannot be used", async || {
        Some(issuance.check("bob", &of_bob).await).filter(|checked| !checked.usable)
    })
    .await;
    assert_eq!(checked.unusable_because(), Reason::RedemptionHalted);
    let refusal = issuance.redeem("bob", &of_bob, &new).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::RedemptionHalted);
    issuance.redeem("ann", &of_ann, &held).await.unwrap();
    let refusal = issuance.redeem("ann", &of_ann, &new).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CouponRedeemed);
    suite.quota.change(|campaign| {
        campaign.control = Some(control(IssuanceControl::Open, RedemptionControl::Open));
    });
    eventually("redemption goes on", async || {
        issuance.redeem("bob", &of_bob, &new).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_shows_on_every_coupon_and_lets_an_expired_one_pay() {
    let suite = Suite::start().await;
    suite.quota.change(|campaign| {
        campaign.coupon_validity = Some(wire::duration(Duration::from_secs(1)));
    });
    let issuance = suite.issuance().await;
    let coupon = issuance.claim_in_the_end("ann").await.coupon.unwrap();
    let checked = eventually("the coupon expires", async || {
        Some(issuance.check("ann", &coupon.code).await).filter(|checked| !checked.usable)
    })
    .await;
    assert_eq!(checked.unusable_because(), Reason::CouponExpired);
    let order = Uuid::new_v4().to_string();
    let refusal = issuance.redeem("ann", &coupon.code, &order).await;
    assert_eq!(refusal.unwrap_err().reason(), Reason::CouponExpired);
    let end = Timestamp::now_utc() + Duration::from_secs(3_600);
    let end = wire::timestamp(end.truncate_to_second());
    suite
        .quota
        .change(|campaign| campaign.extended_valid_until = Some(end));
    eventually("the coupon can be used", async || {
        let checked = issuance.check("ann", &coupon.code).await;
        checked.usable.then_some(())
    })
    .await;
    let redeemed = issuance.redeem("ann", &coupon.code, &order).await.unwrap();
    assert_eq!(redeemed.valid_until, Some(end));
    let fresh = issuance.claim_in_the_end("bob").await.coupon.unwrap();
    assert_eq!(fresh.valid_until, Some(end));
}
