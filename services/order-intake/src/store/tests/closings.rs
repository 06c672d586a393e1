use super::*;
use crate::{close::Closer, domain::Closed, metrics::Metrics};

fn closer(store: &Store) -> Closer {
    let metrics = Metrics::register(&mut Registry::default());
    let closer = Closer::new(store.clone(), metrics, CancellationToken::new());
    tokio::spawn(closer.clone().run());
    closer
}

/// A process that has the closing done, and how far it has come.
async fn close(store: &Store, closing: StoreClosing) -> Closed {
    let closed = closer(store).close(closing, None, soon()).await;
    closed.unwrap()
}

async fn begin(fixture: &Fixture, closing: &StoreClosing) -> Result<Closed, OrderIntakeError> {
    let now = Timestamp::now_utc();
    fixture.store.begin_closing(closing, None, now).await
}

/// How many orders are in each of some states, by their numbers.
async fn in_states(fixture: &Fixture, states: [i16; 4]) -> Vec<i64> {
    let mut counts = Vec::new();
    for state in states {
        let in_state = format!("orders WHERE state = {state}");
        counts.push(fixture.count(&in_state).await);
    }
    counts
}

#[tokio::test]
async fn a_closing_ends_what_its_stores_have_not_begun_once_and_counts_it() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("s-2")).await;
    fixture.upsert(east("s-3")).await;
    let mut orders = Vec::new();
    for number in 0..8 {
        let store = ["s-1", "s-2", "s-3"][number % 3];
        orders.push(fixture.placed(&at_store(store, numbered(number))).await);
    }
    // Of the west 0 and 3 are accepted, 1 is in preparation, 4, 6 and 7 are pending; 2 and 5 are
    // elsewhere.
    for number in [0, 1, 3, 2] {
        fixture.settle(&orders[number], accept()).await;
    }
    fixture.moved(&orders[1], Move::Prepare).await.unwrap();
    let asked = closing("c-1", PendingOrders::Fail);
    let first = close(&fixture.store, asked.clone()).await;
    assert!(first.finished_at.is_some());
    assert_eq!(first.stores, 2);
    assert_eq!((first.orders_failed, first.orders_rejected), (2, 3));
    // ACCEPTED and PENDING are those of the east.
    assert_eq!(in_states(&fixture, [8, 3, 2, 1]).await, [2, 3, 1, 1]);
    assert_eq!(close(&fixture.other_replica(), asked).await, first);
    let told = "order_events WHERE state = 8 AND failure_note = 'out of cups'";
    assert_eq!(fixture.count(told).await, 2);
    assert_eq!(fixture.count("orders WHERE owes_coupon").await, 5);
    assert_eq!(fixture.booked().await, 3);
    let pending = fixture.read(&orders[4]).await.unwrap();
    let why = pending.standing.state.rejection().map(Rejection::because);
    assert_eq!(why, Some(Reason::StoreClosed));
}

#[tokio::test]
async fn a_closing_that_keeps_orders_closes_the_stores_and_nothing_else() {
    let fixture = Fixture::start().await;
    fixture.placed(&numbered(1)).await;
    let closed = begin(&fixture, &closing("c-1", PendingOrders::Keep)).await;
    assert!(closed.unwrap().finished_at.is_some());
    assert_eq!(in_states(&fixture, [1, 2, 3, 8]).await, [1, 0, 0, 0]);
    let store = fixture.store.get_store(&store_id("s-1")).await.unwrap();
    assert!(matches!(store.state, StoreState::Closed(Some(_))));
    let conflict = begin(&fixture, &closing("c-1", PendingOrders::Fail)).await;
    assert!(matches!(conflict, Err(OrderIntakeError::RequestIdConflict)));
    let nowhere = StoreClosing {
        scope: ClosingScope::Area(area("north")),
        ..closing("c-2", PendingOrders::Fail)
    };
    let missing = begin(&fixture, &nowhere).await;
    assert!(matches!(missing, Err(OrderIntakeError::StoreNotFound)));
    assert_eq!(fixture.count("store_closings").await, 1);
}

#[tokio::test]
async fn a_closing_ends_orders_unless_its_store_is_open_again_whoever_closes_it_once_more() {
    for (then, ended) in [("opened", 0), ("closed by a closing", 1), ("closed", 1)] {
        let fixture = Fixture::start().await;
        let orders = fixture.orders(2).await;
        fixture.settle(&orders[0], accept()).await;
        let fail = closing("c-1", PendingOrders::Fail);
        assert!(begin(&fixture, &fail).await.unwrap().finished_at.is_none());
        match then {
            "opened" => fixture.set_state("s-1", None).await,
            "closed" => fixture.set_state("s-1", Some("no milk")).await,
            _ => {
                let keep = closing("c-2", PendingOrders::Keep);
                begin(&fixture, &keep).await.unwrap();
            }
        }
        let closed = close(&fixture.store, fail).await;
        assert!(closed.finished_at.is_some(), "{then}");
        let found = (closed.orders_failed, closed.orders_rejected);
        assert_eq!(found, (ended, ended), "{then}");
    }
}

#[tokio::test]
async fn a_closing_of_a_store_that_somebody_holds_gives_up_and_its_connection_is_free() {
    let fixture = Fixture::start().await;
    let mut holder = fixture.by_hand().begin().await.unwrap();
    let held = sqlx::query("SELECT FROM stores FOR UPDATE");
    held.execute(&mut *holder).await.unwrap();
    let begun = begin(&fixture, &closing("c-1", PendingOrders::Fail)).await;
    assert!(matches!(begun, Err(OrderIntakeError::DatabaseAway)));
    assert_eq!(fixture.count(WAITING_FOR_LOCK).await, 0);
    assert_eq!(fixture.count("store_closings").await, 0);
}

#[tokio::test]
async fn any_process_ends_what_was_begun_and_one_that_cannot_go_on_keeps_none_behind_it() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("s-2")).await;
    for number in [1, 2] {
        let store = format!("s-{number}");
        fixture.placed(&at_store(&store, numbered(number))).await;
        let one = StoreClosing {
            scope: ClosingScope::Store(store_id(&store)),
            ..closing(&format!("c-{number}"), PendingOrders::Fail)
        };
        begin(&fixture, &one).await.unwrap();
    }
    // What an order of the first was made of cannot be read.
    let spoil = "UPDATE order_details SET lines = '[]' FROM orders WHERE orders.order_id = order_details.order_id AND orders.store_id = 's-1'";
    fixture.database.execute(spoil).await;
    let _closer = closer(&fixture.other_replica());
    let finished = "store_closings WHERE finished_at IS NOT NULL AND request_id = 'c-2'";
    let until = Instant::now() + Duration::from_secs(10);
    while fixture.count(finished).await == 0 {
        assert!(Instant::now() < until, "the second waits for the first");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let unfinished = "store_closings WHERE finished_at IS NULL";
    assert_eq!(fixture.count(unfinished).await, 1);
}
