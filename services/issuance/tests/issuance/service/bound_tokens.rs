//! Staff's tokens that are bound to one shopper.

use tidegate_proto::{
    issuance::v1::{FindCouponsRequest, ListChangesRequest},
    r#type::v1,
};
use tidegate_types::Reason;

use super::suite::serving;

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
