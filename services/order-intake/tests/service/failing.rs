use futures_util::future::join_all;
use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::{FailOrderRequest, StreamOrdersRequest},
    r#type::v1::{Order, OrderState, Reason},
};
use tidegate_rpc::refusal::reason_of;
use tidegate_types as types;

use crate::suite::{Suite, code, item, placed};

async fn accepted(suite: &Suite, number: u32) -> Order {
    let item = item("alice", &format!("r-{number}"), &code(number));
    placed(suite.place(item).await).order.unwrap()
}

#[tokio::test]
async fn a_store_fails_an_order_at_any_step_and_the_coupon_comes_back_for_an_hour_at_least() {
    let suite = Suite::start().await;
    let steps = [OrderState::InPreparation, OrderState::Ready];
    for number in 0..3u32 {
        let order = accepted(&suite, number).await;
        for step in &steps[..number as usize] {
            suite.advance(&order, *step).await.unwrap();
        }
        let answers = join_all((0..5).map(|_| suite.fail(&order, "杯子用完了"))).await;
        for failed in answers {
            let failed = failed.unwrap();
            assert_eq!(failed.state(), OrderState::Failed);
            assert_eq!(failed.failed_because(), Reason::StoreFailed);
            assert_eq!(failed.failure_note, "杯子用完了");
            assert!(failed.coupon_released_at.is_some());
        }
        let release = suite.issuance.release_of(&order.order_id).unwrap();
        assert_eq!(release.minimum_validity.unwrap().seconds, 3_600);
        let later = suite.fail(&order, "another note").await.unwrap();
        assert_eq!(later.failure_note, "杯子用完了", "the first note stays");
    }
    assert_eq!(suite.issuance.given_back(), [code(0), code(1), code(2)]);
    let booked = "SELECT sum(booked)::bigint FROM store_slots";
    assert_eq!(suite.database.number(booked).await, 0);
}

#[tokio::test]
async fn what_is_not_taken_or_is_over_cannot_fail() {
    let suite = Suite::start().await;
    let done = accepted(&suite, 1).await;
    for step in [
        OrderState::InPreparation,
        OrderState::Ready,
        OrderState::Completed,
    ] {
        suite.advance(&done, step).await.unwrap();
    }
    let cancelled = accepted(&suite, 2).await;
    suite.cancel(&cancelled).await.unwrap();
    for order in [&done, &cancelled] {
        let refused = suite.fail(order, "no cups").await.unwrap_err();
        let expected = Some(types::Reason::OrderStateConflict);
        assert_eq!(reason_of(&refused), expected);
    }
    let nameless = suite.fail(&done, " ").await.unwrap_err();
    assert_eq!(reason_of(&nameless), Some(types::Reason::InvalidField));
    let message = FailOrderRequest {
        shopper_id: done.shopper_id,
        order_id: done.order_id,
        note: "no cups".to_owned(),
    };
    let writer = suite.with_token(message, "orders:write", None);
    let refused = suite.orders(Identity::Staff).fail_order(writer).await;
    let expected = Some(types::Reason::PermissionDenied);
    assert_eq!(reason_of(&refused.unwrap_err()), expected);
}

#[tokio::test]
async fn the_feed_and_who_watches_hear_that_an_order_failed_and_why() {
    let suite = Suite::start().await;
    let order = accepted(&suite, 1).await;
    let (seen, failed) = tokio::join!(
        suite.watch_until(&order, OrderState::Failed),
        suite.fail(&order, "out of cups")
    );
    failed.unwrap();
    let heard = seen.last().unwrap();
    assert_eq!(heard.failed_because(), Reason::StoreFailed);
    let [zh, en] = &heard.messages[..] else {
        panic!("{heard:?}");
    };
    assert!(zh.message.contains("优惠券") && en.message.contains("coupon comes back"));
    let message = StreamOrdersRequest {
        consumer: "kitchen".to_owned(),
        ..StreamOrdersRequest::default()
    };
    let request = suite.with_token(message, "feed:read", None);
    let mut pages = suite
        .feed()
        .stream_orders(request)
        .await
        .unwrap()
        .into_inner();
    let mut events = Vec::new();
    while events.len() < 3 {
        events.extend(pages.message().await.unwrap().unwrap().events);
    }
    let last = &events[2];
    assert_eq!(last.state(), OrderState::Failed);
    assert_eq!(last.failed_because(), Reason::StoreFailed);
    assert_eq!(last.failure_note, "out of cups");
}
