use std::time::Duration;

use tidegate_proto::r#type::v1::{OrderState, Reason};
use tidegate_test_kit::until;
use tidegate_types as types;
use tokio::net::TcpListener;

use crate::suite::{Suite, code, item, lane_of, placed, refused};

fn overloaded() -> types::Refusal {
    types::Refusal::after(types::Reason::Overloaded, Duration::from_millis(100))
}

#[tokio::test]
async fn an_order_that_issuance_cannot_decide_stays_pending_and_is_recovered() {
    let suite = Suite::start().await;
    suite.issuance.state().refusing = Some(overloaded());
    let order = suite.order(item("alice", "r-1", &code(1))).await;
    assert_eq!(order.state(), OrderState::Pending);
    suite.issuance.state().refusing = None;
    let seen = suite.watch_until(&order, OrderState::Accepted).await;
    let states: Vec<_> = seen.iter().map(|order| order.state()).collect();
    assert_eq!(states, [OrderState::Pending, OrderState::Accepted]);
}

#[tokio::test]
async fn a_replay_of_a_pending_order_waits_for_its_outcome() {
    let suite = Suite::start().await;
    suite.issuance.state().refusing = Some(overloaded());
    placed(suite.place(item("alice", "r-1", &code(1))).await);
    suite.issuance.state().refusing = None;
    let replay = placed(suite.place(item("alice", "r-1", &code(1))).await);
    assert!(replay.replayed);
    assert_eq!(replay.order.unwrap().state(), OrderState::Accepted);
}

#[tokio::test]
async fn orders_that_a_crash_left_pending_are_finished_batch_by_batch() {
    let suite = Suite::start().await;
    // What a process leaves that was killed between the two commits, for more orders than one batch
    // of a sweep.
    let left_behind = format!(
        "INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, coupon_code, content_hash, created_at, updated_at)
         SELECT {}, 'alice', 'r-' || number, gen_random_uuid(), 's-1', 'west', date_trunc('hour', now()), 10, 1, lpad(number::text, 16, '0'), sha256(''), now() - interval '1 hour', now()
         FROM generate_series(1, 1200) AS number;
         INSERT INTO order_details
         SELECT (created_at AT TIME ZONE 'UTC')::date, lane, order_id, '[{{\"sku\": \"tea\", \"quantity\": 1, \"currency_code\": \"CNY\", \"unit_price_minor_units\": 5}}]'
         FROM orders",
        lane_of("alice")
    );
    suite.database.execute(&left_behind).await;
    let accepted = async || suite.database.count("orders WHERE state = 2").await;
    until("all are accepted", async || accepted().await == 1_200).await;
    let redeemed = suite.issuance.state().calls.clone().concat();
    assert_eq!(redeemed.len(), 1_200);
}

#[tokio::test]
async fn a_lost_database_connection_is_mended_without_a_caller_noticing() {
    let suite = Suite::start().await;
    suite.order(item("alice", "r-1", &code(1))).await;
    suite.database.lose_connections().await;
    let order = suite.order(item("alice", "r-2", &code(2))).await;
    assert_eq!(order.state(), OrderState::Accepted);
}

#[tokio::test]
async fn the_next_replica_of_issuance_is_asked_when_one_does_not_answer() {
    // A port that was free a moment ago, and where nobody listens now.
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = unused.local_addr().unwrap();
    drop(unused);
    let suite = Suite::start_with(Some(dead)).await;
    // Enough shoppers for every lane, some of which ask the dead replica first.
    for number in 0..16 {
        let shopper = format!("shopper-{number}");
        let order = suite.order(item(&shopper, "r-1", &code(number))).await;
        assert_eq!(order.state(), OrderState::Accepted, "{shopper}");
    }
}

#[tokio::test]
async fn an_order_whose_time_is_over_is_not_begun() {
    let suite = Suite::start().await;
    let mut hasty = item("alice", "r-1", &code(1));
    hasty.deadline_ms = 1;
    let refusal = refused(suite.place(hasty).await);
    assert_eq!(refusal.reason(), Reason::Overloaded);
    assert!(refusal.retry_after.is_some());
    assert_eq!(suite.database.count("orders").await, 0);
}
