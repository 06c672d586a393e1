use std::time::Duration;

use futures_util::future::join_all;
use tidegate_auth::Identity;
use tidegate_proto::{order_intake::v1::PlaceOrdersRequest, r#type::v1::OrderState};
use tidegate_telemetry::TraceContext;
use tidegate_test_kit::{eventually, until};
use tonic::Request;

use crate::suite::{LANES, Suite, code, item, lane_of, placed};

#[tokio::test]
async fn an_order_with_a_good_coupon_is_accepted_and_reads_back_the_same_everywhere() {
    let suite = Suite::start().await;
    let asked = item("alice", "r-1", &code(1));
    let answer = placed(suite.place(asked.clone()).await);
    let order = answer.order.unwrap();
    assert_eq!(order.state(), OrderState::Accepted);
    assert!(!answer.replayed);
    assert_eq!(order.lines, asked.lines);
    assert_eq!(order.masked_coupon_code, "************0001");
    let amounts = [&order.total, &order.discount, &order.amount_to_pay];
    let amounts = amounts.map(|amount| amount.as_ref().unwrap().minor_units);
    assert_eq!(amounts, [2_500, 1_000, 1_500]);
    let trace = TraceContext::parse(&asked.traceparent).unwrap();
    assert_eq!(order.trace_id, trace.trace_id());
    assert_eq!(suite.get(&order).await, order);
    assert_eq!(suite.list("alice").await, std::slice::from_ref(&order));
    let seen = suite.watch_until(&order, OrderState::Accepted).await;
    assert_eq!(seen, [order]);
}

#[tokio::test]
async fn issuance_is_told_the_order_and_its_story() {
    let suite = Suite::start().await;
    let asked = item("alice", "r-1", &code(1));
    let order = suite.order(asked.clone()).await;
    let calls = suite.issuance.state().calls.clone();
    let [redemption] = &calls[0][..] else {
        panic!("{calls:?}");
    };
    assert_eq!(redemption.order_id, order.order_id);
    assert_eq!(redemption.shopper_id, "alice");
    assert_eq!(redemption.coupon_code, code(1));
    let story = TraceContext::parse(&redemption.traceparent).unwrap();
    assert_eq!(story.trace_id(), order.trace_id);
    assert!(redemption.deadline_ms > 0);
}

#[tokio::test]
async fn orders_that_arrive_while_a_call_to_issuance_is_in_flight_share_the_next_one() {
    let suite = Suite::start().await;
    suite.issuance.hang().await;
    let placing = join_all((0..200).map(|number| {
        let item = item("alice", &format!("r-{number}"), &code(number));
        suite.order(item)
    }));
    let pending = async {
        let pending = async || suite.database.count("orders WHERE state = 1").await;
        until("all are pending", async || pending().await == 200).await;
        suite.issuance.go_on();
    };
    let (answers, ()) = tokio::join!(placing, pending);
    for order in answers {
        assert_eq!(order.state(), OrderState::Accepted);
    }
    let calls = suite.issuance.state().calls.clone();
    assert_eq!(calls.iter().map(Vec::len).sum::<usize>(), 200);
    assert!(calls.len() <= 20, "{} calls for 200 orders", calls.len());
}

#[tokio::test]
async fn an_order_goes_on_when_its_caller_hangs_up() {
    let suite = Suite::start().await;
    suite.issuance.hang().await;
    let mut request = Request::new(PlaceOrdersRequest {
        lane: lane_of("alice"),
        lanes: LANES.into(),
        items: vec![item("alice", "r-1", &code(1))],
        ..PlaceOrdersRequest::default()
    });
    request.set_timeout(Duration::from_secs(5));
    let mut gateway = suite.orders(Identity::Gateway);
    let order = tokio::select! {
        _ = gateway.place_orders(request) => panic!("issuance hangs, so this cannot be over"),
        order = eventually("an order", async || suite.list("alice").await.pop()) => order,
    };
    suite.issuance.go_on();
    suite.watch_until(&order, OrderState::Accepted).await;
}

#[tokio::test]
async fn what_is_under_way_reaches_its_outcome_before_the_process_ends() {
    let mut suite = Suite::start().await;
    suite.issuance.hang().await;
    let mut impatient = item("alice", "r-1", &code(1));
    impatient.deadline_ms = 300;
    let order = suite.order(impatient).await;
    assert_eq!(order.state(), OrderState::Pending);
    let issuance = suite.issuance.clone();
    tokio::join!(suite.finish(), async { issuance.go_on() });
    let accepted = suite.database.count("orders WHERE state = 2").await;
    assert_eq!(accepted, 1);
}
