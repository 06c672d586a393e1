use std::time::{Duration, SystemTime};

use tidegate_proto::{
    order_intake::v1::{PlacedOrder, place_order_result::Outcome},
    r#type::v1::{Money, Order, OrderState, Reason},
};
use tidegate_test_kit::until;
use tidegate_types as types;
use tidegate_types::Refusal;
use tokio::time::sleep;

use crate::suite::{OPEN_ORDERS, Suite, code, item, placed, refused};

#[tokio::test]
async fn an_order_with_a_code_that_may_not_pay_books_nothing_and_a_retry_finds_its_order() {
    let suite = Suite::start().await;
    suite.issuance.state().false_codes.insert(code(1));
    let refusal = refused(suite.place(item("alice", "r-1", &code(1))).await);
    assert_eq!(refusal.reason(), Reason::CouponNotFound);
    suite.issuance.state().keyless_codes.insert(code(2));
    let refusal = refused(suite.place(item("alice", "r-2", &code(2))).await);
    assert_eq!(refusal.reason(), Reason::CouponKeyMissing);
    assert!(refusal.retry_after.is_some(), "it is not for ever");
    for kept in ["orders", "store_slots", "order_events"] {
        assert_eq!(suite.database.count(kept).await, 0, "{kept}");
    }
    suite.issuance.state().keyless_codes.clear();
    let orders = [("r-2", 2), ("r-3", 3)];
    for (request_id, number) in orders {
        let order = suite.order(item("alice", request_id, &code(number))).await;
        assert_eq!(order.state(), OrderState::Accepted);
    }
    suite.issuance.state().keyless_codes.insert(code(2));
    suite.issuance.state().false_codes.insert(code(3));
    for (request_id, number) in orders {
        let replay = placed(suite.place(item("alice", request_id, &code(number))).await);
        assert!(replay.replayed);
    }
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
    let outcomes = suite.place_all(items.collect()).await.into_iter();
    let (taken, others): (Vec<_>, Vec<_>) =
        outcomes.partition(|outcome| matches!(outcome, Outcome::Placed(_)));
    assert_eq!(taken.len(), usize::from(OPEN_ORDERS));
    let is_pending = |order: PlacedOrder| order.order.unwrap().state() == OrderState::Pending;
    assert!(taken.into_iter().map(placed).all(is_pending));
    for refusal in others.into_iter().map(refused) {
        assert_eq!(refusal.reason(), Reason::OpenOrderLimitReached);
        assert!(refusal.retry_after.is_some(), "it is not for ever");
    }
    suite.issuance.go_on();
}

/// Verified at one replica that has the key, and redeemed at one that has not.
async fn pending(suite: &Suite, latest: Duration) -> Order {
    let missing = Refusal::coupon_key_missing();
    suite.issuance.state().refusing = Some(missing);
    let mut item = item("alice", "r-1", &code(1));
    item.latest_acceptable_at = Some((SystemTime::now() + latest).into());
    let order = suite.order(item).await;
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
    suite.issuance.state().refusing = None;
    suite.watch_until(&order, OrderState::Accepted).await;
    assert_eq!(suite.issuance.holder(&code(1)), Some(order.order_id));
}

#[tokio::test]
async fn an_order_that_is_pending_for_want_of_a_key_ends_at_its_latest_time_and_frees_its_coupon() {
    let suite = Suite::start().await;
    let order = pending(&suite, Duration::from_secs(5)).await;
    let seen = suite.watch_until(&order, OrderState::Rejected).await;
    let because = seen.last().unwrap().rejected_because();
    assert_eq!(because, Reason::OrderTooLate);
    suite.until_released(&order).await;
    suite.issuance.state().refusing = None;
    let next = suite.order(item("alice", "r-2", &code(1))).await;
    assert_eq!(next.state(), OrderState::Accepted);
}

fn yuan(minor_units: i64) -> Option<Money> {
    Some(Money {
        currency_code: "CNY".to_owned(),
        minor_units,
    })
}

#[tokio::test]
async fn a_coupon_s_terms_are_told_and_the_total_beyond_all_bounds_is_refused() {
    let suite = Suite::start().await;
    suite.issuance.state().minimum_spend = 2_501;
    let refusal = refused(suite.place(item("alice", "r-1", &code(1))).await);
    assert_eq!(refusal.reason(), Reason::CouponNotApplicable);
    assert_eq!(refusal.metadata["minimum_spend_minor_units"], "2501");
    let asked = suite.issuance.state().calls.clone().concat().remove(0);
    assert_eq!((&*asked.store_id, &*asked.area), ("s-1", "west"));
    assert_eq!(asked.total, yuan(2_500));
    let mut dear = item("alice", "r-2", &code(1));
    dear.lines[0].quantity = 99;
    if let Some(price) = &mut dear.lines[0].unit_price {
        price.minor_units = 10_000_000;
    }
    dear.lines.push(dear.lines[0].clone());
    let refusal = refused(suite.place(dear).await);
    assert_eq!(refusal.reason(), Reason::InvalidField);
    assert_eq!(refusal.violations[0].field, "lines");
}

#[tokio::test]
async fn the_end_of_a_campaign_is_remembered_when_one_of_its_coupons_pays() {
    let suite = Suite::start().await;
    suite.issuance.state().campaign_closes_at = Some(types::Timestamp::UNIX_EPOCH);
    suite.order(item("alice", "r-1", &code(1))).await;
    let ends = async || {
        let ends = "campaign_ends WHERE closes_at = 'epoch'";
        suite.database.count(ends).await
    };
    until("it is remembered", async || ends().await > 0).await;
}
