use std::time::Duration;

use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::{AuditOrdersRequest, AuditOrdersResponse},
    r#type::v1::OrderState,
};
use tokio::time::sleep;

use crate::suite::{Suite, code, item};

async fn audit(suite: &Suite) -> AuditOrdersResponse {
    let request = suite.with_token(AuditOrdersRequest {}, "stores:read", None);
    let audited = suite.stores(Identity::Staff).audit_orders(request).await;
    audited.unwrap().into_inner()
}

/// Orders compared, those without a coupon, coupons not given back, and whether that was all.
fn found(audited: &AuditOrdersResponse) -> (u64, u64, u64, bool) {
    (
        audited.orders,
        audited.orders_without_coupon,
        audited.coupons_not_given_back,
        audited.is_complete,
    )
}

#[tokio::test]
async fn an_audit_of_sound_orders_finds_nothing_and_says_what_it_covered() {
    let suite = Suite::start().await;
    suite.order(item("alice", "r-1", &code(1))).await;
    let ended = suite.order(item("bob", "r-1", &code(2))).await;
    suite.cancel(&ended).await.unwrap();
    let audited = audit(&suite).await;
    assert_eq!(found(&audited), (2, 0, 0, true));
    assert!(audited.slots >= 1 && audited.slots_from.is_some());
    assert_eq!(audited.slots_over_capacity, 0);
    assert_eq!(audited.slots_booked_otherwise, 0);
    assert_eq!(audited.orders_paid_twice, 0);
}

#[tokio::test]
async fn an_audit_finds_orders_and_coupons_that_two_databases_tell_differently() {
    let suite = Suite::start().await;
    for (shopper, number) in [("alice", 1), ("bob", 2), ("carl", 3)] {
        let order = suite.order(item(shopper, "r-1", &code(number))).await;
        assert_eq!(order.state(), OrderState::Accepted);
    }
    let ended = suite.order(item("dora", "r-1", &code(4))).await;
    let ended = suite.cancel(&ended).await.unwrap();
    // As after a fail-over of issuance's database that lost what was acknowledged.
    let of_alice = ("alice".to_owned(), code(1));
    suite.issuance.state().paid_orders.remove(&of_alice);
    suite.issuance.pay_for("bob", &code(2), &ended.order_id);
    suite.issuance.pay_for("dora", &code(4), &ended.order_id);
    assert_eq!(found(&audit(&suite).await), (4, 2, 1, true));
}

#[tokio::test]
async fn an_order_that_is_cancelled_while_it_is_audited_is_no_difference() {
    let suite = Suite::start().await;
    let order = suite.order(item("alice", "r-1", &code(1))).await;
    suite.issuance.hang().await;
    let cancelling = async {
        // By then the audit has read the order and asks for its coupon.
        sleep(Duration::from_millis(500)).await;
        suite.cancel(&order).await.unwrap();
        assert_eq!(suite.issuance.state().given_back, [code(1)]);
        suite.issuance.go_on();
    };
    let (audited, ()) = tokio::join!(audit(&suite), cancelling);
    assert_eq!(found(&audited), (1, 0, 0, true));
}

#[tokio::test]
async fn an_audit_without_an_answer_of_issuance_says_that_it_left_orders_out() {
    let suite = Suite::start().await;
    suite.order(item("alice", "r-1", &code(1))).await;
    suite.issuance.hang().await;
    assert_eq!(found(&audit(&suite).await), (0, 0, 0, false));
    suite.issuance.go_on();
    assert_eq!(found(&audit(&suite).await), (1, 0, 0, true));
}
