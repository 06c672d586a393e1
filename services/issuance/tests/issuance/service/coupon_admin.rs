//! Coupons that staff withdraw and grant.

use futures_util::{StreamExt as _, stream};
use tidegate_issuance::coupon_admin::MAX_GRANT_STREAMS;
use tidegate_proto::{
    issuance::v1::*,
    r#type::v1::{CouponState, IssuanceControl, Reason, RedemptionControl},
};
use tidegate_rpc::refusal::reason_of;
use tidegate_test_kit::{eventually, until};
use tidegate_types::Reason as Refused;
use tokio::sync::oneshot;
use tonic::{Status, Streaming};

use super::suite::{Issuance, Suite, granted, new_order, quota::STOCK, serving};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coupon_is_revoked_once_and_one_that_paid_for_an_order_is_not() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff(&issuance);
    let (of_ann, of_bob) = (issuance.code("ann").await, issuance.code("bob").await);
    let first = staff.revoke("ann", &of_ann, "by mistake").await.unwrap();
    assert!(!first.replayed);
    assert_eq!(first.coupon.as_ref().unwrap().state(), CouponState::Revoked);
    let again = staff.revoke("ann", &of_ann, "by mistake").await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.coupon, first.coupon);
    let order = new_order();
    let refusal = issuance.redeem("ann", &of_ann, &order).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CouponRevoked);
    issuance.redeem("bob", &of_bob, &order).await.unwrap();
    for (code, reason, refused) in [
        (&of_bob, "too late", Refused::CouponRedeemed),
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

/// A stream of grants, and its answers.
async fn open(
    (suite, issuance): (&Suite, &Issuance),
    parts: Vec<GrantCouponsRequest>,
) -> Streaming<GrantCouponsResponse> {
    let request = suite.staff(issuance).request(stream::iter(parts));
    let answers = issuance.coupon_admin().grant_coupons(request).await;
    answers.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_are_given_once_and_a_bad_one_is_refused_alone() {
    const MANY: u64 = 200;
    const { assert!(MANY < STOCK) };
    let (suite, issuance) = serving().await;
    let many = (0..MANY).map(|number| grant(&format!("s-{number}"), ""));
    let mixed = vec![
        grant("s-0", ""),
        grant("not a shopper", "gold"),
        grant("ann", "milk-tea"),
    ];
    let parts = vec![
        part("spring", many.collect()),
        part("spring", mixed),
        part("no-such-campaign", vec![grant("bob", "")]),
    ];
    let mut answers = open((&suite, &issuance), parts).await;
    let mut next = async || granted(answers.message().await.unwrap().unwrap());
    let first = next().await;
    assert_eq!(first.len() as u64, MANY);
    assert!(first.into_iter().all(|granted| !granted.unwrap().replayed));
    let second = next().await;
    let [Ok(replay), Err(bad), Ok(fresh)] = &second[..] else {
        panic!("{second:?}");
    };
    assert!(replay.replayed && !fresh.replayed);
    assert_eq!(bad.reason(), Reason::InvalidField);
    let fields = bad.violations.iter().map(|bad| bad.field.as_str());
    let fields: Vec<_> = fields.collect();
    assert_eq!(fields, ["grants[1].shopper_id", "grants[1].tier_id"]);
    let third = next().await;
    let [Err(unknown)] = &third[..] else {
        panic!("{third:?}");
    };
    assert_eq!(unknown.reason(), Reason::CampaignNotFound);
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_only_time_can_mend_is_tried_again_before_it_is_answered() {
    let (suite, issuance) = serving().await;
    let held = IssuanceControl::QueueOnly;
    suite.quota.control(held, RedemptionControl::Open);
    issuance.refuses_for(Reason::Overloaded).await;
    let refusals = || issuance.metric(r#"tidegate_refusals_total{reason="OVERLOADED"}"#);
    let before = refusals();
    let parts = vec![part("spring", vec![grant("ann", "")])];
    let mut answers = open((&suite, &issuance), parts).await;
    let answer = tokio::spawn(async move { answers.message().await });
    until("the grant is refused once", async || refusals() > before).await;
    let open = IssuanceControl::Open;
    suite.quota.control(open, RedemptionControl::Open);
    let answer = answer.await.unwrap().unwrap().unwrap();
    granted(answer).remove(0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_grants_ends_the_stream() {
    let (suite, issuance) = serving().await;
    let parts = vec![
        part("spring", vec![grant("ann", "")]),
        part("Spring!", Vec::new()),
    ];
    let mut answers = open((&suite, &issuance), parts).await;
    assert_eq!(answers.message().await.unwrap().unwrap().results.len(), 1);
    let refused = answers.message().await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::InvalidField));
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
