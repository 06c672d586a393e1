//! Halts and extensions, as staff say them to quota.

use std::time::Duration;

use tidegate_proto::r#type::v1::{CampaignControl, IssuanceControl, Reason, RedemptionControl};
use tidegate_rpc::wire;
use tidegate_test_kit::until;
use tidegate_types::Timestamp;

use super::suite::{
    Suite, new_order,
    quota::{closes_in, control},
    serving,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_refuses_new_claims_and_answers_replays_also_after_a_restart_without_quota() {
    let (suite, issuance) = serving().await;
    let first = issuance.claim_in_the_end("ann").await;
    let resume_at = Timestamp::now_utc() + Duration::from_secs(600);
    let resume_at = wire::timestamp(resume_at.truncate_to_microsecond());
    suite.quota.change(|campaign| {
        campaign.control = Some(CampaignControl {
            resume_at: Some(resume_at),
            ..control(IssuanceControl::Halted, RedemptionControl::Open)
        });
    });
    let refusal = issuance.refuses_for(Reason::IssuanceHalted).await;
    assert_eq!(refusal.retry_at, Some(resume_at));
    assert!(refusal.metadata.contains_key("resume_at"));
    let replay = issuance.claim("ann").await.unwrap();
    assert!(replay.replayed);
    assert_eq!(replay.coupon, first.coupon);
    let issuance = suite.restart_without_quota(issuance).await;

    let refusal = issuance.claim("bob").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::IssuanceHalted);
    assert_eq!(refusal.retry_at, Some(resume_at));
    assert_eq!(issuance.claim("ann").await.unwrap().coupon, first.coupon);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_has_not_heard_of_a_halt_or_an_end_never_calls_the_campaign_sold_out() {
    for (is_halt, told) in [
        (true, Reason::IssuanceHalted),
        (false, Reason::CampaignClosed),
    ] {
        let (suite, issuance) = serving().await;
        // Quota refuses leases before it tells the watch.
        suite.quota.change_silently(|campaign| {
            campaign.revision += 1;
            if is_halt {
                let halted = control(IssuanceControl::Halted, RedemptionControl::Open);
                campaign.control = Some(halted);
            } else {
                closes_in(campaign, 0);
            }
        });
        assert_eq!(issuance.refusal("ann", "r-1", 0).await, Reason::Overloaded);
        // A gateway has seen it, and from then on the replica knows.
        assert_eq!(issuance.refusal("bob", "r-1", 2).await, told);
        assert_eq!(issuance.refusal("ann", "r-1", 0).await, told);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn halted_redemption_leaves_coupons_untouched_and_answers_the_order_that_holds_one() {
    let (suite, issuance) = serving().await;
    let (of_ann, of_bob) = (issuance.code("ann").await, issuance.code("bob").await);
    let (held, new) = (new_order(), new_order());
    issuance.redeem("ann", &of_ann, &held).await.unwrap();
    let open = IssuanceControl::Open;
    suite.quota.control(open, RedemptionControl::Halted);
    let checked = issuance.check_when_unusable("bob", &of_bob).await;
    assert_eq!(checked.unusable_because(), Reason::RedemptionHalted);
    let refusal = issuance.redeem("bob", &of_bob, &new).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::RedemptionHalted);
    issuance.redeem("ann", &of_ann, &held).await.unwrap();
    let refusal = issuance.redeem("ann", &of_ann, &new).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CouponRedeemed);
    suite.quota.control(open, RedemptionControl::Open);
    let redeeming = async || issuance.redeem("bob", &of_bob, &new).await.is_ok();
    until("redemption goes on", redeeming).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_shows_on_every_coupon_and_lets_an_expired_one_pay() {
    let suite = Suite::start().await;
    let second = wire::duration(Duration::from_secs(1));
    let quota = &suite.quota;
    quota.change(|campaign| campaign.coupon_validity = Some(second));
    let issuance = suite.issuance().await;
    let code = issuance.code("ann").await;
    let checked = issuance.check_when_unusable("ann", &code).await;
    assert_eq!(checked.unusable_because(), Reason::CouponExpired);
    let order = new_order();
    let refusal = issuance.redeem("ann", &code, &order).await;
    assert_eq!(refusal.unwrap_err().reason(), Reason::CouponExpired);
    let end = Timestamp::now_utc() + Duration::from_secs(3_600);
    let end = wire::timestamp(end.truncate_to_second());
    quota.change(|campaign| campaign.extended_valid_until = Some(end));
    let is_usable = async || issuance.check("ann", &code).await.usable;
    until("the coupon can be used", is_usable).await;
    let redeemed = issuance.redeem("ann", &code, &order).await.unwrap();
    assert_eq!(redeemed.valid_until, Some(end));
    let fresh = issuance.claim_in_the_end("bob").await.coupon.unwrap();
    assert_eq!(fresh.valid_until, Some(end));
}
