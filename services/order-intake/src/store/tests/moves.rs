use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn fulfilment_moves_an_order_to_its_end_and_the_coupon_stays_used() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    fixture.settle(&order, accept()).await;
    for step in [Move::Prepare, Move::MakeReady, Move::Complete] {
        let once = fixture.moved(&order, step.clone()).await.unwrap();
        let again = fixture.moved(&order, step).await.unwrap();
        assert_eq!(again, once);
        let second = fixture.placed(&draft("alice", once.state.name())).await;
        assert_eq!(fixture.settle(&second, accept()).await, rejected_by(&order));
    }
    let refused = fixture.moved(&order, Move::Cancel).await.unwrap_err();
    assert_eq!(refused.to_string(), "the order is COMPLETED");
    assert_eq!(fixture.booked().await, 1);
}

#[tokio::test]
async fn rejected_and_cancelled_orders_give_their_places_back_once() {
    let fixture = Fixture::start().await;
    let orders = fixture.orders(3).await;
    fixture.settle(&orders[0], accept()).await;
    assert_eq!(fixture.booked().await, 3);
    for _ in 0..2 {
        fixture.settle(&orders[1], reject_for(&orders[0])).await;
        assert_eq!(fixture.booked().await, 2);
    }
    let cancelling = (0..10).map(|_| fixture.moved(&orders[2], Move::Cancel));
    let answers: Vec<_> = join_all(cancelling).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers[0].state, OrderState::Cancelled);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(fixture.booked().await, 1);
    assert_eq!(fixture.count("order_events WHERE state = 7").await, 1);
}

#[tokio::test]
async fn cancellation_and_outcome_that_race_leave_the_books_right_whoever_wins() {
    let fixture = Fixture::start().await;
    let other = fixture.other_replica();
    let orders = fixture.orders(40).await;
    let accepting = orders.iter().map(|order| fixture.moved(order, accept()));
    let cancelling = orders
        .iter()
        .map(|order| move_at(&other, order, Move::Cancel, None));
    let (accepted, cancelled) = tokio::join!(join_all(accepting), join_all(cancelling));
    for answer in &cancelled {
        // Cancelling is allowed before and after acceptance, so it wins in the end.
        assert_eq!(answer.as_ref().unwrap().state, OrderState::Cancelled);
    }
    assert!(accepted.iter().all(Result::is_ok));
    assert_eq!(fixture.booked().await, 0);
    assert_eq!(fixture.count("orders WHERE state = 7").await, 40);
}

#[tokio::test]
async fn the_database_itself_refuses_what_no_batch_may_write() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop_of("s-1", 1)).await;
    for request_id in ["r-1", "r-2"] {
        fixture.placed(&draft("alice", request_id)).await;
    }
    for (change, constraint) in [
        (
            "UPDATE orders SET state = 2",
            "orders_one_paid_per_coupon_of_shopper",
        ),
        (
            "UPDATE orders SET coupon_released_at = now()",
            "orders_only_ended_ones_release",
        ),
        (
            "UPDATE store_slots SET booked = booked + 1",
            "store_slots_within_capacity",
        ),
    ] {
        let refused = sqlx::query(change).execute(&fixture.by_hand()).await;
        let refused = refused.unwrap_err();
        assert_eq!(tidegate_pg::constraint(&refused), Some(constraint));
    }
}
