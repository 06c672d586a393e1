use tidegate_types::{Reason, Timestamp};

use super::*;
use crate::{
    close::Closer,
    domain::{ClosingReason, ClosingScope, PendingOrders, StoreClosing, StoreState},
    metrics::Metrics,
};

fn closing(request_id: &str, pending_orders: PendingOrders) -> StoreClosing {
    StoreClosing {
        request_id: RequestId::parse(request_id).unwrap(),
        scope: ClosingScope::Area(Area::parse("west").unwrap()),
        reason: ClosingReason::parse("out of cups").unwrap(),
        pending_orders,
    }
}

fn closer(store: &Store) -> Closer {
    let metrics = Metrics::register(&mut Registry::default());
    let closer = Closer::new(store.clone(), metrics, CancellationToken::new());
    tokio::spawn(closer.clone().run());
    closer
}

fn numbered(number: usize, store: &str) -> Draft {
    Draft {
        store: StoreId::parse(store).unwrap(),
        latest_acceptable_at: None,
        ..with_code(
            draft("alice", &format!("r-{number}")),
            &format!("{number:016}"),
        )
    }
}

/// How many orders are in each of some states, by their numbers.
async fn in_states(fixture: &Fixture, states: [i16; 4]) -> Vec<i64> {
    let mut counts = Vec::new();
    for state in states {
        let count = format!("SELECT count(*) FROM orders WHERE state = {state}");
        counts.push(fixture.database.number(&count).await);
    }
    counts
}

#[tokio::test]
async fn a_closing_ends_what_its_stores_have_not_begun_once_and_counts_it() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("s-2")).await;
    let far = StoreChange {
        area: Area::parse("east").unwrap(),
        ..shop("s-3")
    };
    fixture.upsert(far).await;
    let mut orders = Vec::new();
    for number in 0..8 {
        let store = ["s-1", "s-2", "s-3"][number % 3];
        orders.push(fixture.placed(&numbered(number, store)).await);
    }
    // Of the west 0 and 3 are accepted, 1 is in preparation, 4, 6 and 7 are pending; 2 and 5 are
    // elsewhere.
    for number in [0, 1, 3, 2] {
        fixture.settle(&orders[number], accept()).await;
    }
    fixture.moved(&orders[1], Move::Prepare).await.unwrap();
    let asked = closing("c-1", PendingOrders::Fail);
    let first = closer(&fixture.store)
        .close(asked.clone(), None, soon())
        .await;
    let first = first.unwrap();
    assert!(first.finished_at.is_some());
    assert_eq!(first.stores, 2);
    assert_eq!((first.orders_failed, first.orders_rejected), (2, 3));
    // ACCEPTED and PENDING are those of the east.
    assert_eq!(in_states(&fixture, [8, 3, 2, 1]).await, [2, 3, 1, 1]);
    let again = closer(&fixture.other_replica())
        .close(asked, None, soon())
        .await;
    assert_eq!(again.unwrap(), first);
    let told = "SELECT count(*) FROM order_events WHERE state = 8 AND failure_note = 'out of cups'";
    assert_eq!(fixture.database.number(told).await, 2);
    let owing = "SELECT count(*) FROM orders WHERE owes_coupon";
    assert_eq!(fixture.database.number(owing).await, 5);
    let booked = "SELECT sum(booked)::bigint FROM store_slots";
    assert_eq!(fixture.database.number(booked).await, 3);
    let pending = fixture
        .store
        .get_order(&orders[4].draft.shopper, orders[4].standing.order_id)
        .await
        .unwrap();
    let OrderState::Rejected(why) = pending.standing.state else {
        panic!("{pending:?}");
    };
    assert_eq!(why.because(), Reason::StoreClosed);
}

#[tokio::test]
async fn a_closing_that_keeps_orders_closes_the_stores_and_nothing_else() {
    let fixture = Fixture::start().await;
    fixture.placed(&numbered(1, "s-1")).await;
    let keep = closing("c-1", PendingOrders::Keep);
    let closed = fixture
        .store
        .begin_closing(&keep, None, Timestamp::now_utc())
        .await
        .unwrap();
    assert!(closed.finished_at.is_some());
    assert_eq!(in_states(&fixture, [1, 2, 3, 8]).await, [1, 0, 0, 0]);
    let id = StoreId::parse("s-1").unwrap();
    let store = fixture.store.get_store(&id).await.unwrap();
    assert!(matches!(store.state, StoreState::Closed(Some(_))));
    let other = closing("c-1", PendingOrders::Fail);
    let conflict = fixture
        .store
        .begin_closing(&other, None, Timestamp::now_utc())
        .await;
    assert!(matches!(conflict, Err(OrderIntakeError::RequestIdConflict)));
    let nowhere = StoreClosing {
        scope: ClosingScope::Area(Area::parse("north").unwrap()),
        ..closing("c-2", PendingOrders::Fail)
    };
    let missing = fixture
        .store
        .begin_closing(&nowhere, None, Timestamp::now_utc())
        .await;
    assert!(matches!(missing, Err(OrderIntakeError::StoreNotFound)));
    let rows = "SELECT count(*) FROM store_closings";
    assert_eq!(fixture.database.number(rows).await, 1);
}

#[tokio::test]
async fn a_store_that_is_open_again_keeps_the_orders_that_have_not_failed_by_then() {
    let fixture = Fixture::start().await;
    fixture.placed(&numbered(1, "s-1")).await;
    let fail = closing("c-1", PendingOrders::Fail);
    let begun = fixture
        .store
        .begin_closing(&fail, None, Timestamp::now_utc())
        .await;
    assert!(begun.unwrap().finished_at.is_none());
    let id = StoreId::parse("s-1").unwrap();
    fixture
        .store
        .set_store_state(&id, &StoreState::Open, None, Timestamp::now_utc())
        .await
        .unwrap();
    let closed = closer(&fixture.store)
        .close(fail, None, soon())
        .await
        .unwrap();
    assert!(closed.finished_at.is_some());
    assert_eq!((closed.orders_failed, closed.orders_rejected), (0, 0));
    assert_eq!(in_states(&fixture, [1, 2, 3, 8]).await, [1, 0, 0, 0]);
}

#[tokio::test]
async fn what_a_process_left_undone_another_one_ends() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&numbered(1, "s-1")).await;
    fixture.settle(&order, accept()).await;
    let fail = closing("c-1", PendingOrders::Fail);
    fixture
        .store
        .begin_closing(&fail, None, Timestamp::now_utc())
        .await
        .unwrap();
    let _closer = closer(&fixture.other_replica());
    while in_states(&fixture, [8, 8, 8, 8]).await[0] == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_store_that_is_closed_again_is_left_to_the_closing_that_fails_its_orders() {
    for again in ["closing", "state"] {
        let fixture = Fixture::start().await;
        let order = fixture.placed(&numbered(1, "s-1")).await;
        fixture.settle(&order, accept()).await;
        fixture.placed(&numbered(2, "s-1")).await;
        let fail = closing("c-1", PendingOrders::Fail);
        let now = Timestamp::now_utc();
        fixture.store.begin_closing(&fail, None, now).await.unwrap();
        if again == "closing" {
            let keep = closing("c-2", PendingOrders::Keep);
            fixture.store.begin_closing(&keep, None, now).await.unwrap();
        } else {
            let id = StoreId::parse("s-1").unwrap();
            let closed = StoreState::Closed(ClosingReason::parse("no milk").ok());
            fixture
                .store
                .set_store_state(&id, &closed, None, Timestamp::now_utc())
                .await
                .unwrap();
        }
        let closed = closer(&fixture.store)
            .close(fail, None, soon())
            .await
            .unwrap();
        assert!(closed.finished_at.is_some(), "{again}");
        assert_eq!((closed.orders_failed, closed.orders_rejected), (1, 1));
    }
}

#[tokio::test]
async fn a_closing_of_a_store_that_somebody_holds_gives_up_and_its_connection_is_free() {
    let fixture = Fixture::start().await;
    let opened = Database::parse(&fixture.database.url(), "holder").unwrap();
    let mut holder = opened.connect_writer().await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT * FROM stores FOR UPDATE")
        .execute(&mut holder)
        .await
        .unwrap();
    let fail = closing("c-1", PendingOrders::Fail);
    let begun = fixture
        .store
        .begin_closing(&fail, None, Timestamp::now_utc())
        .await;
    assert!(matches!(begun, Err(OrderIntakeError::DatabaseAway)));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    assert_eq!(fixture.database.number(waiting).await, 0);
    let rows = "SELECT count(*) FROM store_closings";
    assert_eq!(fixture.database.number(rows).await, 0);
}

#[tokio::test]
async fn a_closing_that_cannot_go_on_does_not_keep_those_behind_it() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("s-2")).await;
    fixture.placed(&numbered(1, "s-1")).await;
    fixture.placed(&numbered(2, "s-2")).await;
    // What an order of the first was made of cannot be read.
    let spoil = "UPDATE order_details SET lines = '[]' FROM orders WHERE orders.order_id = order_details.order_id AND orders.store_id = 's-1'";
    fixture.database.execute(spoil).await;
    for number in [1, 2] {
        let one = StoreClosing {
            scope: ClosingScope::Store(StoreId::parse(format!("s-{number}")).unwrap()),
            ..closing(&format!("c-{number}"), PendingOrders::Fail)
        };
        let now = Timestamp::now_utc() + time::Duration::milliseconds(number);
        fixture.store.begin_closing(&one, None, now).await.unwrap();
    }
    let _closer = closer(&fixture.store);
    let finished =
        "SELECT count(*) FROM store_closings WHERE finished_at IS NOT NULL AND request_id = 'c-2'";
    let until = Instant::now() + Duration::from_secs(10);
    while fixture.database.number(finished).await == 0 {
        assert!(Instant::now() < until, "the second waits for the first");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let left = "SELECT count(*) FROM store_closings WHERE finished_at IS NULL";
    assert_eq!(fixture.database.number(left).await, 1);
}
