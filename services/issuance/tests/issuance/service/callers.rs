//! Who may call what.

use std::collections::BTreeSet;

use tidegate_auth::{
    Identity::{self, Gateway, OrderIntake, Quota, Staff},
    Scope::{self, ChangesRead, CouponsRead, CouponsWrite},
};
use tidegate_issuance::grpc::RULES;
use tidegate_proto::{
    issuance::v1::{FindCouponsRequest, ListChangesRequest},
    r#type::v1,
};
use tidegate_test_kit::{IDENTITIES, call_by_path};
use tidegate_types::Reason;
use tonic::Request;

use super::suite::{Issuance, serving};

/// Every scope that a token of staff may have here.
const SCOPES: [Scope; 3] = [CouponsWrite, CouponsRead, ChangesRead];

/// A method, the services that may call it, and the scope of a token that opens it.
type Callers = (&'static str, &'static [Identity], Option<Scope>);

const CALLERS: [Callers; 18] = [
    ("IssuanceService/IssueCoupons", &[Gateway], None),
    ("IssuanceService/LookupClaims", &[Gateway], None),
    ("IssuanceService/StreamShoppers", &[Gateway], None),
    ("IssuanceService/ListCoupons", &[Gateway], None),
    ("IssuanceService/CheckCoupon", &[Gateway, OrderIntake], None),
    ("IssuanceService/RedeemCoupons", &[OrderIntake], None),
    ("IssuanceService/ReleaseCoupons", &[OrderIntake], None),
    ("IssuanceService/VerifyCodes", &[OrderIntake], None),
    ("IssuanceService/LookupRedemptions", &[OrderIntake], None),
    ("LeaseFenceService/SealLeases", &[Quota], None),
    ("LeaseFenceService/InspectLeases", &[Quota], None),
    ("LeaseFenceService/CountCoupons", &[Quota], None),
    ("LeaseFenceService/ApplyControl", &[Quota], None),
    ("LeaseFenceService/RetireCampaign", &[Quota], None),
    ("CouponAdminService/RevokeCoupon", &[], Some(CouponsWrite)),
    ("CouponAdminService/GrantCoupons", &[], Some(CouponsWrite)),
    ("CouponAdminService/FindCoupons", &[], Some(CouponsRead)),
    ("CouponAdminService/ListChanges", &[], Some(ChangesRead)),
];

/// Calls a method with an empty message: nothing if it came through to the method.
async fn refused(
    issuance: &Issuance,
    identity: Identity,
    method: &str,
    request: Request<()>,
) -> Option<Reason> {
    let path = format!("tidegate.issuance.v1.{method}");
    let refused = call_by_path(issuance.channel(identity), &path, request).await;
    let denied = [Reason::PermissionDenied, Reason::Unauthenticated];
    refused.filter(|reason| denied.contains(reason))
}

#[test]
fn it_is_known_of_each_method_who_calls_it() {
    let known = CALLERS.map(|(method, ..)| format!("/tidegate.issuance.v1.{method}"));
    let ruled = RULES.iter().map(|rule| rule.path.to_owned());
    assert_eq!(BTreeSet::from(known), ruled.collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_method_is_for_its_own_services_and_for_staff_whose_token_has_its_scope() {
    let (suite, issuance) = serving().await;
    let mut wrong = Vec::new();
    for (method, services, needed) in CALLERS {
        for identity in IDENTITIES {
            let told = refused(&issuance, identity, method, Request::new(())).await;
            if told.is_none() != services.contains(&identity) {
                wrong.push(format!("{method} by {identity}: {told:?}"));
            }
        }
        for (scope, identity) in SCOPES
            .into_iter()
            .flat_map(|scope| [(scope, Staff), (scope, Gateway)])
        {
            let is_for_it =
                identity == Staff && needed == Some(scope) || services.contains(&identity);
            let request = suite.credentials.with_token((), scope.name(), None);
            let told = refused(&issuance, identity, method, request).await;
            if told != (!is_for_it).then_some(Reason::PermissionDenied) {
                wrong.push(format!("{method} by {identity}, {scope:?}: {told:?}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

fn asked(shopper_id: &str, coupon_code: &str) -> FindCouponsRequest {
    FindCouponsRequest {
        shopper_id: shopper_id.to_owned(),
        coupon_code: coupon_code.to_owned(),
        ..FindCouponsRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_bound_to_a_shopper_finds_and_revokes_only_that_shoppers_coupons() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff_of("ann", &issuance);
    let (of_ann, of_bob) = (issuance.code("ann").await, issuance.code("bob").await);
    for mine in ["", &of_ann] {
        let found = staff.find(asked("ann", mine)).await.unwrap().coupons;
        assert_eq!(found[0].coupon.as_ref().unwrap().code, of_ann);
    }
    for (shopper, code) in [
        ("bob", ""),
        ("bob", &*of_bob),
        ("bob", &of_ann),
        ("", &of_bob),
        ("", &of_ann),
    ] {
        let found = staff.find(asked(shopper, code)).await;
        assert_eq!(found.unwrap_err(), Reason::PermissionDenied);
    }
    let revoked = staff.revoke("bob", &of_bob, "by mistake").await;
    assert_eq!(revoked.unwrap_err(), Reason::PermissionDenied);
    assert!(issuance.check("bob", &of_bob).await.usable);
    let revoked = staff.revoke("ann", &of_ann, "by mistake").await;
    assert!(!revoked.unwrap().replayed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_bound_to_a_shopper_grants_to_no_other_and_lists_no_changes() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff_of("ann", &issuance);
    issuance.claim_in_the_end("carl").await;
    let granted = staff.grant(&["ann", "bob"], "g-1", "").await;
    let [Ok(_), Err(refused)] = &granted[..] else {
        panic!("{granted:?}");
    };
    assert_eq!(refused.reason(), v1::Reason::PermissionDenied);
    let changes = staff.changes(ListChangesRequest::default()).await;
    assert_eq!(changes.unwrap_err(), Reason::PermissionDenied);
}
