use std::time::Duration;

use futures_util::future::join_all;
use tidegate_proto::r#type::v1::{OrderState, Reason};
use tidegate_rpc::refusal::from_status;
use tidegate_types as types;
use tokio::time::sleep;

use crate::suite::{Suite, code, item, placed, refused};

async fn booked(suite: &Suite) -> i64 {
    let query = "SELECT coalesce(sum(booked), 0)::bigint FROM store_slots";
    suite.database.number(query).await
}

#[tokio::test]
async fn a_cancelled_order_gives_its_slot_and_its_coupon_back_once() {
    let suite = Suite::start().await;
    let order = placed(suite.place(item("alice", "r-1", &code(1))).await);
    let order = order.order.unwrap();
    assert_eq!(booked(&suite).await, 1);
    let cancelled = join_all((0..10).map(|_| suite.cancel(&order))).await;
    for answer in cancelled {
        let answer = answer.unwrap();
        assert_eq!(answer.state(), OrderState::Cancelled);
        assert!(answer.coupon_released_at.is_some());
    }
    assert_eq!(suite.issuance.given_back(), [code(1)]);
    assert_eq!(booked(&suite).await, 0);
    // A replay tells how the order stands, and the coupon pays for another one.
    let replay = placed(suite.place(item("alice", "r-1", &code(1))).await);
    assert!(replay.replayed);
    assert_eq!(replay.order.unwrap().state(), OrderState::Cancelled);
    let next = placed(suite.place(item("alice", "r-2", &code(1))).await);
    assert_eq!(next.order.unwrap().state(), OrderState::Accepted);
}

#[tokio::test]
async fn a_coupon_is_given_back_again_and_again_until_it_worked_also_by_the_next_process() {
    let suite = Suite::start().await;
    let order = placed(suite.place(item("alice", "r-1", &code(1))).await);
    suite.issuance.refuse_releases(true);
    let cancelled = suite.cancel(&order.order.unwrap()).await.unwrap();
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    assert_eq!(cancelled.coupon_released_at, None);
    suite.issuance.refuse_releases(false);
    while suite.get(&cancelled).await.coupon_released_at.is_none() {
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(suite.issuance.given_back(), [code(1)]);
}

#[tokio::test]
async fn a_new_order_with_a_coupon_that_is_on_its_way_back_waits_for_it() {
    let suite = Suite::start().await;
    let first = placed(suite.place(item("alice", "r-1", &code(1))).await);
    suite.issuance.refuse_releases(true);
    suite.cancel(&first.order.unwrap()).await.unwrap();
    let next = placed(suite.place(item("alice", "r-2", &code(1))).await);
    let next = next.order.unwrap();
    assert_eq!(next.state(), OrderState::Pending);
    suite.issuance.refuse_releases(false);
    suite.watch_until(&next, OrderState::Accepted).await;
    assert_eq!(suite.issuance.holder(&code(1)), Some(next.order_id));
}

#[tokio::test]
async fn an_order_cancelled_while_its_coupon_is_redeemed_does_not_keep_the_coupon() {
    let suite = Suite::start().await;
    suite.issuance.hang().await;
    let mut hasty = item("alice", "r-1", &code(1));
    hasty.deadline_ms = 300;
    let pending = placed(suite.place(hasty).await).order.unwrap();
    assert_eq!(pending.state(), OrderState::Pending);
    let cancelled = suite.cancel(&pending).await.unwrap();
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    suite.issuance.go_on();
    // Whichever came first at issuance, the coupon is free in the end and pays for the next order.
    let next = placed(suite.place(item("alice", "r-2", &code(1))).await);
    let next = next.order.unwrap();
    suite.watch_until(&next, OrderState::Accepted).await;
    assert_eq!(suite.get(&pending).await.state(), OrderState::Cancelled);
    assert_eq!(suite.issuance.holder(&code(1)), Some(next.order_id));
    assert_eq!(booked(&suite).await, 1);
}

#[tokio::test]
async fn a_rejected_order_cannot_be_cancelled_and_nobody_cancels_another_shopper_s() {
    let suite = Suite::start().await;
    placed(suite.place(item("alice", "r-1", &code(1))).await);
    refused(suite.place(item("alice", "r-2", &code(1))).await);
    let rejected = suite.list("alice").await.remove(0);
    assert_eq!(rejected.rejected_because(), Reason::CouponRedeemed);
    let refusal = from_status(&suite.cancel(&rejected).await.unwrap_err());
    assert_eq!(refusal.reason, types::Reason::OrderStateConflict);
    assert_eq!(
        refusal.metadata,
        [("state".to_owned(), "REJECTED".to_owned())]
    );
    let mut other = rejected;
    other.shopper_id = "bob".to_owned();
    let refusal = from_status(&suite.cancel(&other).await.unwrap_err());
    assert_eq!(refusal.reason, types::Reason::OrderNotFound);
}
