use super::*;

/// Writers whose last statement was one that reads nothing first. Under locks it is the COMMIT.
const FROM_MEMORY: &str = "pg_stat_activity WHERE datname = current_database() AND query LIKE '-- Places orders and accepts others%'";

/// Minutes from the slot of the first of these orders to those of all.
fn offsets(orders: &[Order]) -> Vec<i64> {
    let slots = orders.iter().map(|order| order.standing.slot.starts_at());
    let first = orders[0].standing.slot.starts_at();
    slots.map(|slot| (slot - first).whole_minutes()).collect()
}

#[tokio::test]
async fn an_order_to_a_store_of_late_and_its_acceptance_are_one_statement_each() {
    let fixture = Fixture::start().await;
    fixture.placed(&numbered(1)).await;
    assert_eq!(fixture.count(FROM_MEMORY).await, 0, "nothing is known yet");
    let order = fixture.placed(&numbered(2)).await;
    assert_eq!(fixture.count(FROM_MEMORY).await, 1);
    fixture.moved(&order, Move::Cancel).await.unwrap();
    assert_eq!(fixture.count(FROM_MEMORY).await, 0);
    let order = fixture.placed(&numbered(3)).await;
    assert_eq!(fixture.settle(&order, accept()).await, OrderState::Accepted);
    assert_eq!(fixture.count(FROM_MEMORY).await, 1);
    let events = "order_events JOIN orders USING (order_id) WHERE order_events.slot_starts_at = orders.slot_starts_at AND order_events.placed_on = orders.created_at::date";
    assert_eq!(fixture.count(events).await, 5);
    let read = fixture.read(&order).await.unwrap();
    assert_eq!(read.draft, order.draft);
    assert_eq!(read.standing.discount_minor_units, Some(1_000));
    assert_eq!(read.standing.created_at, order.standing.created_at);
}

#[tokio::test]
async fn what_another_replica_booked_is_not_booked_again() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop_of("s-1", 4)).await;
    let other = fixture.other_replica();
    let mut orders = Vec::new();
    for number in (0..12).step_by(2) {
        orders.push(fixture.placed(&numbered(number)).await);
        orders.push(placed_at(&other, numbered(number + 1)).await);
    }
    assert_eq!(
        offsets(&orders),
        [0, 0, 0, 0, 10, 10, 10, 10, 20, 20, 20, 20]
    );
    assert_eq!(fixture.booked().await, 12);
}

#[tokio::test]
async fn a_place_that_another_replica_gave_back_is_booked_next() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop_of("s-1", 1)).await;
    let other = fixture.other_replica();
    let mut orders = fixture.orders(2).await;
    move_at(&other, &orders[0], Move::Cancel, None)
        .await
        .unwrap();
    orders.push(fixture.placed(&numbered(2)).await);
    orders.push(fixture.placed(&numbered(3)).await);
    assert_eq!(offsets(&orders), [0, 10, 0, 20]);
}

#[tokio::test]
async fn a_store_that_staff_change_elsewhere_takes_no_order_by_what_it_was() {
    let fixture = Fixture::start().await;
    fixture.placed(&numbered(1)).await;
    let other = fixture.other_replica();
    let closed = StoreState::Closed(None);
    let (store, now) = (store_id("s-1"), Timestamp::now_utc());
    let set = other.set_store_state(&store, &closed, None, now);
    set.await.unwrap();
    let refused = fixture.place(&numbered(2)).await.map(|_| ());
    assert!(matches!(refused, Err(OrderIntakeError::StoreClosed { .. })));
    assert_eq!(fixture.count("orders").await, 1);
}

#[tokio::test]
async fn an_acceptance_that_was_decided_before_a_cancellation_changes_nothing() {
    let fixture = Fixture::start().await;
    fixture.placed(&numbered(1)).await;
    let order = fixture.placed(&numbered(2)).await;
    let other = fixture.other_replica();
    move_at(&other, &order, Move::Cancel, None).await.unwrap();
    assert_eq!(
        fixture.settle(&order, accept()).await,
        OrderState::Cancelled
    );
    assert_eq!(fixture.booked().await, 1);
}

#[tokio::test]
async fn a_coupon_that_paid_elsewhere_pays_for_no_order_that_is_accepted_from_memory() {
    let fixture = Fixture::start().await;
    let other = fixture.other_replica();
    let first = placed_at(&other, draft("alice", "r-1")).await;
    let second = fixture.placed(&draft("alice", "r-2")).await;
    move_at(&other, &first, accept(), None).await.unwrap();
    assert_eq!(fixture.settle(&second, accept()).await, rejected_by(&first));
}
