use futures_util::future::join_all;

use super::*;
use crate::domain::PagePosition;

async fn booked(fixture: &Fixture) -> i64 {
    let query = "SELECT coalesce(sum(booked), 0)::bigint FROM store_slots";
    fixture.database.number(query).await
}

#[tokio::test]
async fn an_order_that_is_paid_knows_what_the_coupon_takes_off() {
    let fixture = Fixture::start().await;
    let mut order = fixture.placed(&draft("alice", "r-1")).await;
    assert_eq!(order.bill(), None);
    order.standing = fixture.moved(&order, accept()).await.unwrap();
    let read = fixture
        .store
        .get_order(&order.draft.shopper, order.standing.order_id)
        .await
        .unwrap();
    assert_eq!(read, order);
    let bill = read.bill().unwrap();
    assert_eq!(bill.discount().minor_units, 1_000);
    assert_eq!(bill.amount_to_pay().minor_units, 1_500);
}

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
    let refusal = refused.into_refusal();
    assert_eq!(refusal.reason, tidegate_types::Reason::OrderStateConflict);
    assert_eq!(
        refusal.metadata,
        [("state".to_owned(), "COMPLETED".to_owned())]
    );
    assert_eq!(booked(&fixture).await, 1);
}

#[tokio::test]
async fn rejected_and_cancelled_orders_give_their_places_back_once() {
    let fixture = Fixture::start().await;
    let mut orders = Vec::new();
    for number in 0..3 {
        orders.push(
            fixture
                .placed(&draft("alice", &format!("r-{number}")))
                .await,
        );
    }
    fixture.settle(&orders[0], accept()).await;
    assert_eq!(booked(&fixture).await, 3);
    fixture.settle(&orders[1], reject_for(&orders[0])).await;
    fixture.settle(&orders[1], reject_for(&orders[0])).await;
    assert_eq!(booked(&fixture).await, 2);
    let cancelling = (0..10).map(|_| fixture.moved(&orders[2], Move::Cancel));
    let answers = join_all(cancelling).await;
    let first = answers[0].as_ref().unwrap();
    assert_eq!(first.state, OrderState::Cancelled);
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap() == first)
    );
    assert_eq!(booked(&fixture).await, 1);
}

#[tokio::test]
async fn cancellation_and_outcome_that_race_leave_the_books_right_whoever_wins() {
    let fixture = Fixture::start().await;
    let other = fixture.other_replica();
    let mut orders = Vec::new();
    for number in 0..40 {
        let draft = with_code(
            draft("alice", &format!("r-{number}")),
            &format!("{number:016}"),
        );
        orders.push(fixture.placed(&draft).await);
    }
    let accepting = orders.iter().map(|order| fixture.moved(order, accept()));
    let cancelling = orders.iter().map(|order| {
        let trace = TraceContext::new_root(false);
        other.move_order(order, Move::Cancel, None, trace, soon())
    });
    let (accepted, cancelled) = tokio::join!(join_all(accepting), join_all(cancelling));
    for answer in &cancelled {
        // Cancelling is allowed before and after acceptance, so it wins in the end.
        assert_eq!(answer.as_ref().unwrap().state, OrderState::Cancelled);
    }
    assert!(accepted.iter().all(Result::is_ok));
    assert_eq!(booked(&fixture).await, 0);
    let cancelled = "SELECT count(*) FROM orders WHERE state = 7";
    assert_eq!(fixture.database.number(cancelled).await, 40);
}

#[tokio::test]
async fn a_cancelled_order_waits_for_its_coupon_s_release_and_is_then_done() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    fixture.moved(&order, Move::Cancel).await.unwrap();
    let unreleased = async || {
        let read = fixture
            .store
            .unreleased_orders(fixture.lane, PagePosition::OLDEST, 10);
        read.await.unwrap()
    };
    let found = unreleased().await;
    assert_eq!(found[0].standing.order_id, order.standing.order_id);
    let trace = TraceContext::new_root(false);
    let noted = fixture.store.note_release(&order, trace, soon());
    let released = noted.await.unwrap();
    assert!(released.coupon_released_at.is_some());
    assert_eq!(unreleased().await, []);
    let again = fixture.store.note_release(&order, trace, soon()).await;
    assert_eq!(again.unwrap(), released);
    // The coupon may pay for another order.
    let next = fixture.placed(&draft("alice", "r-2")).await;
    assert_eq!(fixture.settle(&next, accept()).await, OrderState::Accepted);
}

#[tokio::test]
async fn an_order_whose_coupon_was_not_given_back_cannot_be_marked_so_by_hand() {
    let fixture = Fixture::start().await;
    fixture.placed(&draft("alice", "r-1")).await;
    let opened = Database::parse(&fixture.database.url(), "by hand").unwrap();
    let refused = sqlx::query("UPDATE orders SET coupon_released_at = now()")
        .execute(&opened.pool(1))
        .await
        .unwrap_err();
    assert_eq!(
        tidegate_pg::constraint(&refused),
        Some("orders_only_ended_ones_release")
    );
}
