//! Nobody reads or changes the orders of another shopper.

use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::{CancelOrderRequest, GetOrderRequest, ListOrdersRequest, WatchOrderRequest},
    r#type::v1::{Order, OrderState},
};
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason;
use tonic::{Response, Status};

use crate::suite::{Suite, code, item, lane_of};

/// What staff are told who ask with a token that is bound to a shopper.
struct Answers {
    get: Result<Order, Reason>,
    list: Result<Vec<Order>, Reason>,
    cancel: Result<Order, Reason>,
}

/// Asks for an order, for all of its shopper's orders, and for its end.
async fn ask(suite: &Suite, order: &Order, bound_to: &str) -> Answers {
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
    Answers {
        get: get.map(|answer| answer.order.unwrap()),
        list: list.map(|answer| answer.orders),
        cancel: cancel.map(|answer| answer.order.unwrap()),
    }
}

fn heard<T>(answer: Result<Response<T>, Status>) -> Result<T, Reason> {
    let answer = answer.map(Response::into_inner);
    answer.map_err(|status| reason_of(&status).unwrap())
}

#[tokio::test]
async fn a_token_bound_to_a_shopper_reads_and_cancels_the_orders_of_no_other() {
    let suite = Suite::start().await;
    let order = suite.order(item("alice", "r-1", &code(1))).await;
    let by_bob = ask(&suite, &order, "bob").await;
    let told = [by_bob.get.err(), by_bob.list.err(), by_bob.cancel.err()];
    assert_eq!(told, [Some(Reason::PermissionDenied); 3]);
    let by_alice = ask(&suite, &order, "alice").await;
    assert_eq!(by_alice.get, Ok(order.clone()));
    assert_eq!(by_alice.list, Ok(vec![order]));
    assert_eq!(by_alice.cancel.unwrap().state(), OrderState::Cancelled);
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
