use tidegate_auth::Identity::{self, Gateway, Issuance, Staff};
use tidegate_proto::{
    order_intake::v1::{CancelOrderRequest, GetOrderRequest, ListOrdersRequest, WatchOrderRequest},
    r#type::v1::{Order, OrderState},
};
use tidegate_test_kit::heard;
use tidegate_types::Reason::{self, InvalidField, PermissionDenied, Unauthenticated};

use crate::suite::{Suite, code, item, lane_of};

/// Who calls with which token's scope and the shopper it is bound to, what it is told, and the methods.
type Told = (
    Identity,
    Option<(&'static str, Option<&'static str>)>,
    Reason,
    &'static str,
);

const ANY: &str = "orders:write stores:read feed:read changes:read";

/// Only the gateway places and watches orders, and it does no more than its shoppers may. Staff
/// bring a token, and its scope is that of the call. What is of all shoppers is not for a token that
/// is bound to one. Those whom a call is for come as far as its fields, which are empty.
#[rustfmt::skip]
const TOLD: &[Told] = &[
    (Staff, Some(("orders:write", None)), PermissionDenied, "OrderIntakeService/PlaceOrders"),
    (Issuance, None, PermissionDenied, "OrderIntakeService/PlaceOrders"),
    (Staff, Some(("orders:read", None)), PermissionDenied, "OrderIntakeService/WatchOrder FeedService/StreamOrders"),
    (Gateway, None, PermissionDenied, "OrderIntakeService/FindOrder OrderIntakeService/ListStoreOrders OrderIntakeService/AdvanceOrder \
        OrderIntakeService/FailOrder StoreService/GetStore StoreService/ListStores StoreService/ListChanges StoreService/CloseStores \
        FeedService/StreamOrders"),
    (Staff, None, Unauthenticated, "OrderIntakeService/ListOrders OrderIntakeService/FindOrder OrderIntakeService/ListStoreOrders \
        StoreService/GetStore StoreService/ListChanges"),
    (Staff, Some((ANY, None)), PermissionDenied, "OrderIntakeService/ListOrders OrderIntakeService/FindOrder \
        OrderIntakeService/ListStoreOrders OrderIntakeService/AdvanceOrder OrderIntakeService/FailOrder StoreService/UpsertStores \
        StoreService/CloseStores"),
    (Staff, Some(("stores:write", None)), PermissionDenied, "StoreService/ListStores"),
    (Staff, Some(("stores:read", None)), PermissionDenied, "StoreService/ListChanges"),
    (Staff, Some(("orders:read", Some("ann"))), PermissionDenied, "OrderIntakeService/ListStoreOrders"),
    (Staff, Some(("changes:read", Some("ann"))), PermissionDenied, "StoreService/ListChanges"),
    (Gateway, None, InvalidField, "OrderIntakeService/ListOrders"),
    (Staff, Some(("orders:read", None)), InvalidField, "OrderIntakeService/ListOrders"),
    (Staff, Some(("orders:fulfil", None)), InvalidField, "OrderIntakeService/FailOrder"),
    (Staff, Some(("stores:read", None)), InvalidField, "StoreService/GetStore"),
    (Staff, Some(("stores:write", None)), InvalidField, "StoreService/CloseStores"),
    (Staff, Some(("feed:read", None)), InvalidField, "FeedService/StreamOrders"),
];

#[tokio::test]
async fn each_call_is_for_those_alone_whom_it_is_for() {
    let suite = Suite::start().await;
    for (identity, token, reason, methods) in TOLD {
        for method in methods.split(' ') {
            let told = suite.call(*identity, method, *token).await;
            let by = format!("{method} by {identity} with {token:?}");
            assert_eq!(told, Some(*reason), "{by}");
        }
    }
}

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
