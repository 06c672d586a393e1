use std::time::Duration;

use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::CancelOrderRequest,
    r#type::v1::{OrderState, Reason},
};
use tidegate_rpc::refusal::from_status;
use tidegate_test_kit::until;
use tidegate_types as types;
use tokio::time::timeout;
use tonic::Request;

use crate::suite::{Suite, code, item, lane_of, refused};

#[tokio::test]
async fn a_coupon_is_given_back_again_and_again_until_it_worked_also_by_the_next_process() {
    let suite = Suite::start().await;
    let order = suite.order(item("alice", "r-1", &code(1))).await;
    suite.issuance.state().refusing_releases = true;
    let cancelled = suite.cancel(&order).await.unwrap();
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    assert_eq!(cancelled.coupon_released_at, None);
    suite.issuance.state().refusing_releases = false;
    suite.until_released(&cancelled).await;
    assert_eq!(suite.issuance.state().given_back, [code(1)]);
}

#[tokio::test]
async fn an_order_cancelled_while_its_coupon_is_redeemed_leaves_the_coupon_to_the_next() {
    let suite = Suite::start().await;
    suite.issuance.hang().await;
    let mut impatient = item("alice", "r-1", &code(1));
    impatient.deadline_ms = 300;
    let pending = suite.order(impatient).await;
    assert_eq!(pending.state(), OrderState::Pending);
    let cancelled = suite.cancel(&pending).await.unwrap();
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    suite.issuance.go_on();
    suite.until_released(&pending).await;
    let next = suite.order(item("alice", "r-2", &code(1))).await;
    assert_eq!(next.state(), OrderState::Accepted);
    // However often the first one is cancelled.
    suite.cancel(&pending).await.unwrap();
    assert_eq!(suite.issuance.holder(&code(1)), Some(next.order_id));
}

#[tokio::test]
async fn a_new_order_with_a_coupon_that_is_on_its_way_back_waits_for_it() {
    let suite = Suite::start().await;
    let first = suite.order(item("alice", "r-1", &code(1))).await;
    suite.issuance.state().refusing_releases = true;
    suite.cancel(&first).await.unwrap();
    let next = suite.order(item("alice", "r-2", &code(1))).await;
    assert_eq!(next.state(), OrderState::Pending);
    suite.issuance.state().refusing_releases = false;
    suite.watch_until(&next, OrderState::Accepted).await;
    assert_eq!(suite.issuance.holder(&code(1)), Some(next.order_id));
}

#[tokio::test]
async fn a_rejected_order_cannot_be_cancelled_and_nobody_cancels_another_shopper_s() {
    let suite = Suite::start().await;
    suite.order(item("alice", "r-1", &code(1))).await;
    refused(suite.place(item("alice", "r-2", &code(1))).await);
    let rejected = suite.list("alice").await.remove(0);
    assert_eq!(rejected.rejected_because(), Reason::CouponRedeemed);
    let refusal = from_status(&suite.cancel(&rejected).await.unwrap_err());
    assert_eq!(refusal.reason, types::Reason::OrderStateConflict);
    let state = ("state".to_owned(), "REJECTED".to_owned());
    assert_eq!(refusal.metadata, [state]);
    let mut other = rejected;
    other.shopper_id = "eve".to_owned();
    // In another lane nobody would look for it anyway.
    assert_eq!(lane_of("eve"), lane_of("alice"));
    let refusal = from_status(&suite.cancel(&other).await.unwrap_err());
    assert_eq!(refusal.reason, types::Reason::OrderNotFound);
}

#[tokio::test]
async fn a_process_that_ends_does_not_wait_for_an_issuance_that_takes_nothing_back() {
    let mut suite = Suite::start().await;
    let order = suite.order(item("alice", "r-1", &code(1))).await;
    suite.issuance.state().refusing_releases = true;
    let stopper = suite.stopper();
    let ending = async {
        let is_cancelled = async || suite.get(&order).await.state() == OrderState::Cancelled;
        until("it is cancelled", is_cancelled).await;
        stopper.cancel();
    };
    let mut request = Request::new(CancelOrderRequest {
        shopper_id: order.shopper_id.clone(),
        order_id: order.order_id.clone(),
    });
    let patience = Duration::from_secs(10);
    request.set_timeout(patience);
    let mut gateway = suite.orders(Identity::Gateway);
    // Well before its own deadline.
    let cancelling = timeout(patience / 2, gateway.cancel_order(request));
    let (cancelled, ()) = tokio::join!(cancelling, ending);
    let cancelled = cancelled.unwrap().unwrap().into_inner().order.unwrap();
    assert_eq!(cancelled.coupon_released_at, None);
    suite.finish().await;
}
