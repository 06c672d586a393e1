//! Coupons that staff withdraw and grant.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tidegate_issuance::coupon_admin::MAX_GRANT_STREAMS;
use tidegate_proto::{
    issuance::v1::*,
    r#type::v1::{CouponState, IssuanceControl, Reason, RedemptionControl},
};
use tidegate_rpc::{refusal::reason_of, wire};
use tidegate_test_kit::{eventually, until};
use tidegate_types::Reason as Refused;
use tokio::sync::oneshot;
use tonic::Status;

use super::suite::{Suite, granted, new_order, serving};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_needs_a_reason_and_the_shoppers_own_code() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff(&issuance);
    let (of_ann, of_bob) = (issuance.code("ann").await, issuance.code("bob").await);
    for (code, reason, refused) in [
        (&of_ann, "not his", Refused::CouponNotFound),
        (&of_bob, " ", Refused::InvalidField),
    ] {
        let revoked = staff.revoke("bob", code, reason).await;
        assert_eq!(revoked.unwrap_err(), refused, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_revokes_a_coupon_of_a_campaign_it_has_not_heard_of() {
    let suite = Suite::start().await;
    suite.quota.keep_from_watch();
    let (issuing, revoking) = (suite.issuance().await, suite.issuance().await);
    let code = issuing.code("ann").await;
    let staff = suite.staff(&revoking);
    let revoked = staff.revoke("ann", &code, "by mistake").await.unwrap();
    assert_eq!(revoked.coupon.unwrap().state(), CouponState::Revoked);
    let refused = issuing.redeem("ann", &code, &new_order()).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::CouponRevoked);
}

fn grant(shopper_id: &str, tier_id: &str) -> Grant {
    Grant {
        shopper_id: shopper_id.to_owned(),
        request_id: "grant-1".to_owned(),
        tier_id: tier_id.to_owned(),
    }
}

fn part(campaign_id: &str, grants: Vec<Grant>) -> GrantCouponsRequest {
    GrantCouponsRequest {
        campaign_id: campaign_id.to_owned(),
        reason: "an apology".to_owned(),
        grants,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_grant_and_a_part_of_no_campaign_are_refused_alone_and_one_without_grants_ends_it() {
    let (suite, issuance) = serving().await;
    let grants = ["milk-tea", "gold"].map(|tier| grant("ann", tier));
    let parts = vec![
        part("spring", grants.to_vec()),
        part("no-such-campaign", vec![grant("bob", "")]),
        part("Spring!", Vec::new()),
    ];
    let request = suite.staff(&issuance).request(stream::iter(parts));
    let answers = issuance.coupon_admin().grant_coupons(request).await;
    let mut answers = answers.unwrap().into_inner();
    let mut next = async || answers.message().await.map(|answer| answer.map(granted));
    let first = next().await.unwrap().unwrap();
    let [Ok(_), Err(bad)] = &first[..] else {
        panic!("{first:?}");
    };
    assert_eq!(bad.violations[0].field, "grants[1].tier_id");
    let refusal = next().await.unwrap().unwrap().remove(0).unwrap_err();
    assert_eq!(refusal.reason(), Reason::CampaignNotFound);
    let refused = next().await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::InvalidField));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_only_time_can_mend_is_tried_again_before_it_is_answered() {
    let (suite, issuance) = serving().await;
    let held = IssuanceControl::QueueOnly;
    suite.quota.control(held, RedemptionControl::Open);
    let refusal = issuance.refuses_for(Reason::Overloaded).await;
    let two_seconds = wire::duration(Duration::from_secs(2));
    assert_eq!(refusal.retry_after, Some(two_seconds));
    let refusals = || issuance.metric(r#"tidegate_refusals_total{reason="OVERLOADED"}"#);
    let before = refusals();
    let staff = suite.staff(&issuance);
    let opening = async {
        until("the grant is refused once", async || refusals() > before).await;
        let open = IssuanceControl::Open;
        suite.quota.control(open, RedemptionControl::Open);
    };
    let (granted, ()) = tokio::join!(staff.grant(&["ann"], "g-1", ""), opening);
    granted[0].as_ref().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_grants_are_bounded_and_end_when_the_replica_stops() {
    let (suite, issuance) = serving().await;
    let admin = issuance.coupon_admin();
    // A stream whose caller sends nothing, and ends it by dropping the sender.
    let open = async || {
        let (sender, nothing) = oneshot::channel::<GrantCouponsRequest>();
        let parts = stream::once(nothing).filter_map(async |part| part.ok());
        let request = suite.staff(&issuance).request(Box::pin(parts));
        let answers = admin.clone().grant_coupons(request).await?;
        Ok::<_, Status>((sender, answers.into_inner()))
    };
    let mut streams = Vec::new();
    for _ in 0..MAX_GRANT_STREAMS {
        streams.push(open().await.unwrap());
    }
    let refused = open().await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::Overloaded));
    let (sender, mut answers) = streams.pop().unwrap();
    drop(sender);
    assert!(answers.message().await.unwrap().is_none());
    let freed = eventually("a stream that has ended makes room", async || {
        open().await.ok()
    });
    streams.push(freed.await);
    issuance.stop().await;
    for (_, answers) in &mut streams {
        let ended = answers.message().await.unwrap_err();
        assert_eq!(reason_of(&ended), Some(Refused::Overloaded));
    }
}
