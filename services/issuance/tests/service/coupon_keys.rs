//! Keys of coupons that change, and keys that are missing.

use tidegate_auth::Identity;
use tidegate_proto::{
    issuance::v1::*,
    r#type::v1::{CouponState, Reason},
};
use tidegate_rpc::refusal::{from_status, reason_of};
use tidegate_types::{Reason as Refused, Retry};
use uuid::Uuid;

use crate::suite::{Issuance, Suite, eventually, quota::CAMPAIGN};

/// Waits until the metrics tell which key makes new codes.
async fn active(issuance: &Issuance, key_id: u64) {
    eventually("the keys are read again", async || {
        (issuance.metric("tidegate_coupon_key_active") == key_id).then_some(())
    })
    .await;
}

fn code_of(issued: IssuedCoupon) -> String {
    issued.coupon.unwrap().code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_change_are_read_again_and_a_bad_file_keeps_those_from_before() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let of_ann = code_of(issuance.claim_in_the_end("ann").await);
    active(&issuance, 1).await;
    suite.write_keys(2, &[1, 2]);
    active(&issuance, 2).await;
    let known = "tidegate_coupon_keys_known{key_id=\"2\"}";
    assert_eq!(issuance.metric(known), 1);
    let of_bob = code_of(issuance.claim_in_the_end("bob").await);
    for broken in ["{", r#"{"active":3,"keys":{}}"#] {
        suite.write_keys_file(broken);
        eventually("the bad file is noticed", async || {
            (issuance.metric("tidegate_coupon_keys_file_usable") == 0).then_some(())
        })
        .await;
        assert!(issuance.check("ann", &of_ann).await.usable);
        assert!(issuance.check("bob", &of_bob).await.usable);
        suite.write_keys(2, &[2, 1]);
        eventually("the good file is noticed", async || {
            (issuance.metric("tidegate_coupon_keys_file_usable") == 1).then_some(())
        })
        .await;
    }
    // Bob's code was made with the new key: without the old one it is as good.
    suite.write_keys(2, &[2]);
    eventually("the old key is gone", async || {
        let known = "tidegate_coupon_keys_known{key_id=\"1\"}";
        (issuance.metric(known) == 0).then_some(())
    })
    .await;
    assert!(issuance.check("bob", &of_bob).await.usable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_key_is_a_refusal_for_now_everywhere_and_loses_nothing() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let (of_ann, of_bob) = (
        code_of(issuance.claim_in_the_end("ann").await),
        code_of(issuance.claim_in_the_end("bob").await),
    );
    let order = Uuid::new_v4().to_string();
    issuance.redeem("bob", &of_bob, &order).await.unwrap();
    suite.write_keys(2, &[2]);
    active(&issuance, 2).await;

    let mut client = issuance.issuance(Identity::Gateway);
    let check = CheckCouponRequest {
        shopper_id: "ann".to_owned(),
        coupon_code: of_ann.clone(),
    };
    let status = client.check_coupon(check.clone()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert_eq!(reason_of(&status), Some(Refused::CouponKeyMissing));
    assert_ne!(
        from_status(&status).retry,
        Retry::Never,
        "it is not for ever"
    );

    let refusal = issuance.claim("ann").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CouponKeyMissing);
    let next = Uuid::new_v4().to_string();
    let refusal = issuance.redeem("ann", &of_ann, &next).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::CouponKeyMissing);
    assert!(refusal.retry_after.is_some(), "it is not for ever");
    let revocation = RevokeCouponRequest {
        shopper_id: "ann".to_owned(),
        coupon_code: of_ann.clone(),
        reason: "by mistake".to_owned(),
    };
    let revocation = suite.with_token(revocation, "coupons:write");
    let mut desk = issuance.desk(Identity::Staff);
    let refused = desk.revoke_coupon(revocation).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::CouponKeyMissing));

    assert_lookups_and_lists(&issuance).await;
    assert_verdicts(&issuance, &of_ann).await;
    // What an order holds is given back without the key: only the order that holds it can.
    assert!(!issuance.release("bob", &of_bob, &next).await);
    assert!(issuance.release("bob", &of_bob, &order).await);

    suite.write_keys(2, &[1, 2]);
    eventually("the key is back", async || {
        let checked = client.check_coupon(check.clone()).await;
        checked
            .is_ok_and(|checked| checked.into_inner().usable)
            .then_some(())
    })
    .await;
    assert_eq!(code_of(issuance.claim("ann").await.unwrap()), of_ann);
    let returned = issuance.check("bob", &of_bob).await.coupon.unwrap();
    assert_eq!(returned.state(), CouponState::Issued);
    issuance.redeem("ann", &of_ann, &next).await.unwrap();
}

async fn assert_lookups_and_lists(issuance: &Issuance) {
    let mut client = issuance.issuance(Identity::Gateway);
    let lookup = |shopper_id: &str| LookupItem {
        campaign_number: CAMPAIGN,
        shopper_id: shopper_id.to_owned(),
        request_id: "r-1".to_owned(),
        ..LookupItem::default()
    };
    let items = vec![lookup("ann"), lookup("nobody")];
    let found = client.lookup_claims(LookupClaimsRequest { items }).await;
    let found = found.unwrap().into_inner().results;
    let refused = found[0].refused.as_ref().unwrap();
    assert_eq!(refused.reason(), Reason::CouponKeyMissing);
    assert_eq!(found[1], LookupResult::default());

    let page = ListCouponsRequest {
        shopper_id: "ann".to_owned(),
        page_size: 10,
        ..ListCouponsRequest::default()
    };
    let listed = client.list_coupons(page).await.unwrap().into_inner();
    let [coupon] = &listed.coupons[..] else {
        panic!("{listed:?}");
    };
    assert_eq!(coupon.code, "");
    assert_eq!(coupon.code_missing_because(), Reason::CouponKeyMissing);
    assert_eq!(coupon.state(), CouponState::Issued);
}

async fn assert_verdicts(issuance: &Issuance, of_ann: &str) {
    let item = |coupon_code: &str| CodeOfShopper {
        shopper_id: "ann".to_owned(),
        coupon_code: coupon_code.to_owned(),
    };
    let items = vec![item(of_ann), item("no code")];
    let mut client = issuance.issuance(Identity::OrderIntake);
    let verified = client.verify_codes(VerifyCodesRequest { items }).await;
    let VerifyCodesResponse {
        is_true,
        key_is_missing,
    } = verified.unwrap().into_inner();
    assert_eq!(is_true, [true, false], "a missing key makes no code false");
    assert_eq!(key_is_missing, [true, false]);
}
