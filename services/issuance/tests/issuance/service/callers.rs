//! Who may call what.

use std::collections::BTreeSet;

use tidegate_auth::{
    Identity::{self, Gateway, OrderIntake, Quota},
    Scope::{self, ChangesRead, CouponsRead, CouponsWrite},
};
use tidegate_issuance::grpc::RULES;
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
async fn each_method_is_for_its_own_services_only() {
    let (_suite, issuance) = serving().await;
    let mut wrong = Vec::new();
    for (method, services, _) in CALLERS {
        for identity in IDENTITIES {
            let told = refused(&issuance, identity, method, Request::new(())).await;
            if told.is_none() != services.contains(&identity) {
                wrong.push(format!("{method} by {identity}: {told:?}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_only_the_methods_of_its_scope_and_only_to_staff() {
    let (suite, issuance) = serving().await;
    let mut wrong = Vec::new();
    for (method, services, needed) in CALLERS {
        for scope in SCOPES {
            for identity in [Identity::Staff, Gateway] {
                let may_call = match identity {
                    Identity::Staff => needed == Some(scope),
                    _ => services.contains(&identity),
                };
                let request = suite.credentials.with_token((), scope.name(), None);
                let told = refused(&issuance, identity, method, request).await;
                let expected = (!may_call).then_some(Reason::PermissionDenied);
                if told != expected {
                    wrong.push(format!("{method} by {identity}, {scope:?}: {told:?}"));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}
