use std::time::{Duration, SystemTime};

use tidegate_proto::r#type::v1::{OrderState, Reason};
use tidegate_types::Refusal;
use tokio::time::sleep;

use crate::suite::{Suite, code, item, placed, refused};

#[tokio::test]
async fn an_order_whose_key_is_missing_is_refused_for_now_and_books_nothing() {
    let suite = Suite::start().await;
    suite.issuance.lose_key_of(&code(1), true);
    let refusal = refused(suite.place(item("alice", "r-1", &code(1))).await);
    assert_eq!(refusal.reason(), Reason::CouponKeyMissing);
    assert!(refusal.retry_after.is_some(), "it is not for ever");
    for kept in ["orders", "store_slots", "order_events"] {
        let count = format!("SELECT count(*) FROM {kept}");
        assert_eq!(suite.database.number(&count).await, 0, "{kept}");
    }
    suite.issuance.lose_key_of(&code(1), false);
    let order = placed(suite.place(item("alice", "r-1", &code(1))).await);
    assert_eq!(order.order.unwrap().state(), OrderState::Accepted);
}

#[tokio::test]
async fn a_retry_finds_its_order_also_while_the_key_of_its_code_is_missing() {
    let suite = Suite::start().await;
    let first = placed(suite.place(item("alice", "r-1", &code(1))).await);
    suite.issuance.lose_key_of(&code(1), true);
    let replay = placed(suite.place(item("alice", "r-1", &code(1))).await);
    assert!(replay.replayed);
    assert_eq!(replay.order, first.order);
}

/// Verified at one replica that has the key, and redeemed at one that has not.
async fn pending(suite: &Suite, latest: Duration) -> tidegate_proto::r#type::v1::Order {
    let missing = Refusal::coupon_key_missing();
    suite.issuance.refuse(Some(missing));
    let mut item = item("alice", "r-1", &code(1));
    item.latest_acceptable_at = Some((SystemTime::now() + latest).into());
    let order = placed(suite.place(item).await).order.unwrap();
    assert_eq!(order.state(), OrderState::Pending);
    order
}

#[tokio::test]
async fn an_order_that_is_pending_for_want_of_a_key_is_accepted_when_it_is_back() {
    let suite = Suite::start().await;
    let order = pending(&suite, Duration::from_secs(3_600)).await;
    // Long enough for the recovery worker to have asked in vain.
    sleep(Duration::from_secs(5)).await;
    assert_eq!(suite.get(&order).await.state(), OrderState::Pending);
    suite.issuance.refuse(None);
    suite.watch_until(&order, OrderState::Accepted).await;
    assert_eq!(suite.issuance.holder(&code(1)), Some(order.order_id));
}

#[tokio::test]
async fn an_order_that_is_pending_for_want_of_a_key_ends_at_its_latest_time_and_frees_its_coupon() {
    let suite = Suite::start().await;
    let order = pending(&suite, Duration::from_secs(5)).await;
    let seen = suite.watch_until(&order, OrderState::Rejected).await;
    assert_eq!(
        seen.last().unwrap().rejected_because(),
        Reason::OrderTooLate
    );
    while suite.get(&order).await.coupon_released_at.is_none() {
        sleep(Duration::from_millis(50)).await;
    }
    suite.issuance.refuse(None);
    let next = placed(suite.place(item("alice", "r-2", &code(1))).await);
    assert_eq!(next.order.unwrap().state(), OrderState::Accepted);
}
