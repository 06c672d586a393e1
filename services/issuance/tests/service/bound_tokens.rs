//! Tokens that are bound to one shopper, at the desk of staff.

use futures_util::stream;
use tidegate_auth::Identity;
use tidegate_proto::{
    issuance::v1::{grant_result::Outcome, *},
    r#type::v1::Reason,
};
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason as Refused;
use tonic::Status;

use crate::suite::{Issuance, Suite};

/// What ann's token is good for, if its scopes were all.
const SCOPES: &str = "coupons:read coupons:write changes:read";

async fn find(
    (suite, issuance): (&Suite, &Issuance),
    (shopper_id, coupon_code): (&str, &str),
) -> Result<FindCouponsResponse, Status> {
    let request = FindCouponsRequest {
        shopper_id: shopper_id.to_owned(),
        coupon_code: coupon_code.to_owned(),
        ..FindCouponsRequest::default()
    };
    let request = suite.with_token_of("ann", request, SCOPES);
    let found = issuance.desk(Identity::Staff).find_coupons(request).await;
    found.map(|answer| answer.into_inner())
}

async fn revoke(
    (suite, issuance): (&Suite, &Issuance),
    (shopper_id, coupon_code): (&str, &str),
) -> Result<RevokeCouponResponse, Status> {
    let request = RevokeCouponRequest {
        shopper_id: shopper_id.to_owned(),
        coupon_code: coupon_code.to_owned(),
        reason: "by mistake".to_owned(),
    };
    let request = suite.with_token_of("ann", request, SCOPES);
    let revoked = issuance.desk(Identity::Staff).revoke_coupon(request).await;
    revoked.map(|answer| answer.into_inner())
}

fn is_denied<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let refused = answer.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::PermissionDenied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_bound_to_a_shopper_finds_and_revokes_only_that_shoppers_coupons() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let at = (&suite, &issuance);
    let code = async |shopper| {
        let issued = issuance.claim_in_the_end(shopper).await;
        issued.coupon.unwrap().code
    };
    let (of_ann, of_bob) = (code("ann").await, code("bob").await);
    for mine in ["", &of_ann] {
        let found = find(at, ("ann", mine)).await.unwrap().coupons;
        assert_eq!(found[0].coupon.as_ref().unwrap().code, of_ann);
    }
    for (shopper, code) in [
        ("bob", ""),
        ("bob", &*of_bob),
        ("bob", &of_ann),
        ("", &of_bob),
        ("", &of_ann),
    ] {
        is_denied(find(at, (shopper, code)).await);
    }
    is_denied(revoke(at, ("bob", &of_bob)).await);
    assert!(issuance.check("bob", &of_bob).await.usable);
    assert!(!revoke(at, ("ann", &of_ann)).await.unwrap().replayed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_bound_to_a_shopper_grants_to_no_other_and_lists_no_changes() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    issuance.claim_in_the_end("carl").await;
    let grants = ["ann", "bob"].map(|shopper_id| Grant {
        shopper_id: shopper_id.to_owned(),
        request_id: "g-1".to_owned(),
        tier_id: String::new(),
    });
    let parts = stream::iter([GrantCouponsRequest {
        campaign_id: "spring".to_owned(),
        reason: "an apology".to_owned(),
        grants: grants.to_vec(),
    }]);
    let request = suite.with_token_of("ann", parts, SCOPES);
    let mut desk = issuance.desk(Identity::Staff);
    let answers = desk.grant_coupons(request).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let outcomes = answer.results.into_iter();
    let outcomes: Vec<_> = outcomes.map(|result| result.outcome.unwrap()).collect();
    let [Outcome::Granted(_), Outcome::Refused(refused)] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(refused.reason(), Reason::PermissionDenied);
    let changes = suite.with_token_of("ann", ListChangesRequest::default(), SCOPES);
    is_denied(desk.list_changes(changes).await);
}
