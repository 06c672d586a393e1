use futures_util::{StreamExt as _, stream};
use tidegate_auth::Identity;
use tidegate_issuance::coupon_desk::MAX_GRANT_STREAMS;
use tidegate_proto::{
    issuance::v1::{grant_result::Outcome, *},
    r#type::v1::{CampaignControl, CouponState, IssuanceControl, Reason},
};
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason as Refused;
use tokio::sync::oneshot;
use tonic::Status;
use uuid::Uuid;

use crate::suite::{Suite, eventually, quota::STOCK};

const SCOPE: &str = "coupons:write";

fn revocation(shopper_id: &str, coupon_code: &str, reason: &str) -> RevokeCouponRequest {
    RevokeCouponRequest {
        shopper_id: shopper_id.to_owned(),
        coupon_code: coupon_code.to_owned(),
        reason: reason.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coupon_is_revoked_once_and_one_that_paid_for_an_order_is_not() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let code = async |shopper| {
        issuance
            .claim_in_the_end(shopper)
            .await
            .coupon
            .unwrap()
            .code
    };
    let (of_ann, of_bob) = (code("ann").await, code("bob").await);
    let revoke = async |shopper, code: &str, reason| {
        let request = suite.with_token(revocation(shopper, code, reason), SCOPE);
        let revoked = issuance.desk(Identity::Staff).revoke_coupon(request).await;
        revoked.map(|answer| answer.into_inner())
    };
    let first = revoke("ann", &of_ann, "by mistake").await.unwrap();
    assert!(!first.replayed);
    assert_eq!(first.coupon.as_ref().unwrap().state(), CouponState::Revoked);
    let again = revoke("ann", &of_ann, "by mistake").await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.coupon, first.coupon);
    let order = Uuid::new_v4().to_string();
    let refusal = issuance.redeem("ann", &of_ann, &order).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CouponRevoked);
    issuance.redeem("bob", &of_bob, &order).await.unwrap();
    let refused = revoke("bob", &of_bob, "too late").await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::CouponRedeemed));
    let forged = revoke("bob", &of_ann, "not his").await.unwrap_err();
    assert_eq!(reason_of(&forged), Some(Refused::CouponNotFound));
    let nameless = revoke("bob", &of_bob, " ").await.unwrap_err();
    assert_eq!(reason_of(&nameless), Some(Refused::InvalidField));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_revokes_a_coupon_of_a_campaign_it_has_not_heard_of() {
    let suite = Suite::start().await;
    suite.quota.keep_from_watch();
    let (issuing, revoking) = (suite.issuance().await, suite.issuance().await);
    let issued = issuing.claim_in_the_end("ann").await;
    let code = issued.coupon.unwrap().code;
    let request = suite.with_token(revocation("ann", &code, "by mistake"), SCOPE);
    let revoked = revoking.desk(Identity::Staff).revoke_coupon(request).await;
    let revoked = revoked.unwrap().into_inner().coupon.unwrap();
    assert_eq!(revoked.state(), CouponState::Revoked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desk_is_for_staff_with_the_scope_only() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    for (identity, scope) in [
        (Identity::Gateway, SCOPE),
        (Identity::Quota, SCOPE),
        (Identity::Staff, "campaigns:write"),
    ] {
        let request = suite.with_token(revocation("ann", "code", "by mistake"), scope);
        let refused = issuance.desk(identity).revoke_coupon(request).await;
        assert_eq!(
            reason_of(&refused.unwrap_err()),
            Some(Refused::PermissionDenied)
        );
    }
    let request = revocation("ann", "code", "by mistake");
    let refused = issuance.desk(Identity::Staff).revoke_coupon(request).await;
    assert_eq!(
        reason_of(&refused.unwrap_err()),
        Some(Refused::Unauthenticated)
    );
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
async fn grants_are_given_once_and_a_bad_one_is_refused_alone() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let many: Vec<_> = (0..200)
        .map(|number| grant(&format!("s-{number}"), ""))
        .collect();
    let parts = [
        part("spring", many.clone()),
        part(
            "spring",
            vec![
                grant("s-0", ""),
                grant("not a shopper", "gold"),
                grant("ann", "milk-tea"),
            ],
        ),
        part("no-such-campaign", vec![grant("bob", "")]),
    ];
    let request = suite.with_token(stream::iter(parts), SCOPE);
    let mut desk = issuance.desk(Identity::Staff);
    let mut answers = desk.grant_coupons(request).await.unwrap().into_inner();
    let mut next = async || -> Vec<Outcome> {
        let answer = answers.message().await.unwrap().unwrap();
        answer
            .results
            .into_iter()
            .filter_map(|result| result.outcome)
            .collect()
    };
    let first = next().await;
    assert_eq!(first.len(), many.len());
    assert!(
        first
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Granted(granted) if !granted.replayed))
    );
    let second = next().await;
    let [
        Outcome::Granted(replay),
        Outcome::Refused(bad),
        Outcome::Granted(fresh),
    ] = &second[..]
    else {
        panic!("{second:?}");
    };
    assert!(replay.replayed && !fresh.replayed);
    assert_eq!(bad.reason(), Reason::InvalidField);
    let fields: Vec<_> = bad
        .violations
        .iter()
        .map(|bad| bad.field.as_str())
        .collect();
    assert_eq!(fields, ["grants[1].shopper_id", "grants[1].tier_id"]);
    let third = next().await;
    let [Outcome::Refused(unknown)] = &third[..] else {
        panic!("{third:?}");
    };
    assert_eq!(unknown.reason(), Reason::CampaignNotFound);
    assert!(answers.message().await.unwrap().is_none());
    assert!(many.len() < STOCK as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_only_time_can_mend_is_tried_again_before_it_is_answered() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let hold = |control: IssuanceControl| {
        suite.quota.change(|campaign| {
            campaign.control = Some(CampaignControl {
                issuance: control.into(),
                ..CampaignControl::default()
            });
        })
    };
    hold(IssuanceControl::QueueOnly);
    eventually("claims are held back", async || {
        let refusal = issuance.claim(&Uuid::new_v4().to_string()).await.err()?;
        (refusal.reason() == Reason::Overloaded).then_some(())
    })
    .await;
    let refusals = || issuance.metric(r#"tidegate_refusals_total{reason="OVERLOADED"}"#);
    let before = refusals();
    let parts = [part("spring", vec![grant("ann", "")])];
    let request = suite.with_token(stream::iter(parts), SCOPE);
    let mut desk = issuance.desk(Identity::Staff);
    let mut answers = desk.grant_coupons(request).await.unwrap().into_inner();
    let answer = tokio::spawn(async move { answers.message().await });
    eventually("the grant is refused once", async || {
        (refusals() > before).then_some(())
    })
    .await;
    hold(IssuanceControl::Open);
    let answer = answer.await.unwrap().unwrap().unwrap();
    let outcome = answer.results[0].outcome.clone();
    assert!(matches!(outcome, Some(Outcome::Granted(_))), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_grants_ends_the_stream() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let parts = [
        part("spring", vec![grant("ann", "")]),
        part("Spring!", Vec::new()),
    ];
    let request = suite.with_token(stream::iter(parts), SCOPE);
    let mut desk = issuance.desk(Identity::Staff);
    let mut answers = desk.grant_coupons(request).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().results.len(), 1);
    let refused = answers.message().await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::InvalidField));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_grants_are_bounded_and_end_when_the_replica_stops() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let desk = issuance.desk(Identity::Staff);
    // A stream whose caller sends nothing, and ends it by dropping the sender.
    let open = async || {
        let (sender, nothing) = oneshot::channel::<GrantCouponsRequest>();
        let parts = stream::once(nothing).filter_map(async |part| part.ok());
        let request = suite.with_token(Box::pin(parts), SCOPE);
        let answers = desk.clone().grant_coupons(request).await?;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_hears_which_order_each_coupon_pays_for() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let mut codes = Vec::new();
    for shopper in ["ann", "bob"] {
        codes.push(
            issuance
                .claim_in_the_end(shopper)
                .await
                .coupon
                .unwrap()
                .code,
        );
    }
    let order = Uuid::new_v4().to_string();
    issuance.redeem("ann", &codes[0], &order).await.unwrap();
    let item = |shopper_id: &str, coupon_code: &str| CodeOfShopper {
        shopper_id: shopper_id.to_owned(),
        coupon_code: coupon_code.to_owned(),
    };
    let asked = || LookupRedemptionsRequest {
        items: vec![
            item("bob", &codes[1]),
            item("ann", &codes[0]),
            item("bob", &codes[0]),
            item("ann", "no code"),
        ],
    };
    let mut client = issuance.issuance(Identity::OrderIntake);
    let found = client.lookup_redemptions(asked()).await.unwrap();
    assert_eq!(found.into_inner().order_ids, ["", &*order, "", ""]);
    let none = LookupRedemptionsRequest { items: Vec::new() };
    let refused = client.lookup_redemptions(none).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::InvalidField));
    let mut gateway = issuance.issuance(Identity::Gateway);
    let refused = gateway.lookup_redemptions(asked()).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::PermissionDenied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_told_to_be_true_only_for_their_own_shopper() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let coupon = issuance.claim_in_the_end("ann").await.coupon.unwrap();
    let item = |shopper_id: &str, coupon_code: &str| CodeOfShopper {
        shopper_id: shopper_id.to_owned(),
        coupon_code: coupon_code.to_owned(),
    };
    let items = vec![
        item("ann", &coupon.code),
        item("bob", &coupon.code),
        item("ann", "0123456789ABCDEF"),
        item("ann", "no code"),
        item("", &coupon.code),
    ];
    let mut client = issuance.issuance(Identity::OrderIntake);
    let verified = client.verify_codes(VerifyCodesRequest { items }).await;
    let verified = verified.unwrap().into_inner();
    // The third names a key that is not here, as a mistyped one may: nobody can tell.
    assert_eq!(verified.is_true, [true, false, true, false, false]);
    assert_eq!(verified.key_is_missing, [false, false, true, false, false]);
    let none = VerifyCodesRequest { items: Vec::new() };
    let refused = client.verify_codes(none).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::InvalidField));
    let mut gateway = issuance.issuance(Identity::Gateway);
    let items = vec![item("ann", &coupon.code)];
    let refused = gateway.verify_codes(VerifyCodesRequest { items }).await;
    assert_eq!(
        reason_of(&refused.unwrap_err()),
        Some(Refused::PermissionDenied)
    );
}
