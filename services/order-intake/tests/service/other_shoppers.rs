//! Nobody reads or changes the orders of another shopper.

use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::{CancelOrderRequest, GetOrderRequest, ListOrdersRequest, WatchOrderRequest},
    r#type::v1::{Order, OrderState},
};
use tidegate_test_kit::heard;
use tidegate_types::Reason;

use crate::suite::{Suite, code, item, lane_of};

/// What staff are told who ask, with a token that is bound to a shopper, for an order, for all of its
/// shopper's orders, and for its end.
async fn ask(suite: &Suite, order: &Order, bound_to: &str) -> [Result<Vec<Order>, Reason>; 3] {
    let mut staff = suite.orders(Identity::Staff);
    let (shopper_id, order_id) = (order.shopper_id.clone(), order.order_id.clone());
    let get = GetOrderRequest {
        shopper_id: shopper_id.clone(),
        order_id: order_id.clone(),
    };
    let list = ListOrdersRequest {
        shopper_id: shopper_id.clone(),
        ..ListOrdersRequest::default()
    };
    let cancel = CancelOrderRequest {
        shopper_id,
        order_id,
    };
    let bound_to = Some(bound_to);
    let get = suite.with_token(get, "orders:read", bound_to);
    let get = heard(staff.get_order(get).await);
    let list = suite.with_token(list, "orders:read", bound_to);
    let list = heard(staff.list_orders(list).await);
    let cancel = suite.with_token(cancel, "orders:write", bound_to);
    let cancel = heard(staff.cancel_order(cancel).await);
    [
        get.map(|answer| answer.order.into_iter().collect()),
        list.map(|answer| answer.orders),
        cancel.map(|answer| answer.order.into_iter().collect()),
    ]
}

#[tokio::test]
async fn a_token_bound_to_a_shopper_reads_and_cancels_the_orders_of_no_other() {
    let suite = Suite::start().await;
    let order = suite.order(item("alice", "r-1", &code(1))).await;
    for refused in ask(&suite, &order, "bob").await {
        assert_eq!(refused, Err(Reason::PermissionDenied));
    }
    let [got, listed, cancelled] = ask(&suite, &order, "alice").await;
    assert_eq!(got.unwrap(), std::slice::from_ref(&order));
    assert_eq!(listed.unwrap(), [order]);
    assert_eq!(cancelled.unwrap()[0].state(), OrderState::Cancelled);
}

#[tokio::test]
async fn nobody_reads_or_watches_another_shopper_s_order_by_its_id() {
    let suite = Suite::start().await;
    let order = suite.order(item("alice", "r-1", &code(1))).await;
    // In another lane nobody would look for it anyway.
    assert_eq!(lane_of("eve"), lane_of("alice"));
    let mut gateway = suite.orders(Identity::Gateway);
    let read = GetOrderRequest {
        shopper_id: "eve".to_owned(),
        order_id: order.order_id.clone(),
    };
    let read = heard(gateway.get_order(read).await);
    let watch = WatchOrderRequest {
        shopper_id: "eve".to_owned(),
        order_id: order.order_id,
    };
    let watched = heard(gateway.watch_order(watch).await);
    let told = [read.err(), watched.err()];
    assert_eq!(told, [Some(Reason::OrderNotFound); 2]);
}
