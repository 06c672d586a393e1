use futures_util::future::join_all;
use tidegate_proto::{
    order_intake::v1::place_order_result::Outcome,
    r#type::v1::{OrderState, Reason},
};

use crate::suite::{OPEN_ORDERS, Suite, code, item, placed, refused};

#[tokio::test]
async fn a_crowd_of_false_codes_books_nothing_and_leaves_no_row() {
    let suite = Suite::start().await;
    (0..50).for_each(|number| suite.issuance.deny(&code(number)));
    let crowd = (0..50).map(|number| {
        let item = item(&format!("shopper-{number}"), "r", &code(number));
        suite.place(item)
    });
    for outcome in join_all(crowd).await {
        assert_eq!(refused(outcome).reason(), Reason::CouponNotFound);
    }
    for kept in ["orders", "store_slots", "order_events"] {
        let count = format!("SELECT count(*) FROM {kept}");
        assert_eq!(suite.database.number(&count).await, 0, "{kept}");
    }
}

#[tokio::test]
async fn a_retry_finds_its_order_also_when_its_code_is_not_known_any_more() {
    let suite = Suite::start().await;
    let first = placed(suite.place(item("alice", "r-1", &code(1))).await);
    suite.issuance.deny(&code(1));
    let replay = placed(suite.place(item("alice", "r-1", &code(1))).await);
    assert!(replay.replayed);
    assert_eq!(replay.order, first.order);
}

#[tokio::test]
async fn while_nobody_can_tell_codes_a_shopper_has_no_more_orders_to_come_than_may_be() {
    let suite = Suite::start().await;
    suite.issuance.hang().await;
    let items = (0..=u32::from(OPEN_ORDERS)).map(|number| {
        let mut item = item("alice", &format!("r-{number}"), &code(number));
        item.deadline_ms = 1_500;
        item
    });
    let (placed_ones, refused_ones): (Vec<_>, Vec<_>) = suite
        .place_all(items.collect())
        .await
        .into_iter()
        .partition(|outcome| matches!(outcome, Outcome::Placed(_)));
    assert_eq!(placed_ones.len(), usize::from(OPEN_ORDERS));
    for outcome in placed_ones {
        assert_eq!(placed(outcome).order.unwrap().state(), OrderState::Pending);
    }
    for outcome in refused_ones {
        let refusal = refused(outcome);
        assert_eq!(refusal.reason(), Reason::OpenOrderLimitReached);
        assert!(refusal.retry_after.is_some(), "it is not for ever");
    }
    suite.issuance.go_on();
}
