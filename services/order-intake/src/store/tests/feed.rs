use std::collections::HashMap;

use futures_util::future::join_all;
use tidegate_types::ConsumerId;

use super::*;
use crate::domain::{FeedCursor, FeedFilter, OrderEvent};

/// Adds an event as a batch does, in a transaction that the test holds open.
const EVENT_BY_HAND: &str = "
    WITH head AS (
        INSERT INTO feed_heads (lane, last_position) VALUES (0, 1)
        ON CONFLICT ON CONSTRAINT feed_heads_key DO UPDATE SET last_position = feed_heads.last_position + 1
        RETURNING last_position
    )
    INSERT INTO order_events (happened_on, lane, position, order_id, shopper_id, store_id, area, state, placed_on, slot_starts_at, slot_minutes, happened_at)
    SELECT current_date, 0, last_position, '00000000-0000-0000-0000-000000000001', 'slow', 's-1', 'west', 1, current_date, now(), 10, now() FROM head";

fn start(fixture: &Fixture) -> FeedCursor {
    FeedCursor::start(fixture.store.lanes())
}

async fn read(fixture: &Fixture, cursor: &mut FeedCursor) -> Vec<OrderEvent> {
    let (lanes, everything) = ([fixture.lane], FeedFilter::default());
    let read = fixture.store.read_feed(cursor, &lanes, &everything, 500);
    let (events, passed_over) = read.await.unwrap();
    assert_eq!(passed_over, 0);
    events
}

#[tokio::test]
async fn nobody_overtakes_an_event_that_commits_late() {
    let fixture = Fixture::start().await;
    let mut slow = fixture.by_hand().begin().await.unwrap();
    let event = sqlx::query(EVENT_BY_HAND);
    event.execute(&mut *slow).await.unwrap();
    let quick = draft("alice", "r-1");
    let mut placing = std::pin::pin!(fixture.place(&quick));
    let mut cursor = start(&fixture);
    tokio::select! {
        biased;
        _ = &mut placing => panic!("it has overtaken the event before it"),
        events = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            read(&fixture, &mut cursor).await
        } => assert_eq!(events, []),
    }
    slow.commit().await.unwrap();
    placing.await.unwrap();
    let events = read(&fixture, &mut cursor).await;
    let shoppers: Vec<_> = events.iter().map(|event| event.shopper.as_str()).collect();
    assert_eq!(shoppers, ["slow", "alice"]);
}

#[tokio::test]
async fn a_reader_beside_two_replicas_sees_every_change_once_and_each_order_s_in_order() {
    let fixture = Fixture::start().await;
    let other = fixture.other_replica();
    let work = async |store: &Store, number: usize| {
        let order = placed_at(store, numbered(number)).await;
        for step in [accept(), Move::Prepare, Move::MakeReady] {
            move_at(store, &order, step, None).await.unwrap();
        }
    };
    let here = join_all((0..50).map(|number| work(&fixture.store, number)));
    let there = join_all((50..100).map(|number| work(&other, number)));
    let reading = async {
        let (mut cursor, mut seen) = (start(&fixture), HashMap::<_, Vec<_>>::new());
        let mut count = 0;
        while count < 400 {
            for event in read(&fixture, &mut cursor).await {
                assert!(event.lines.is_some());
                let states = seen.entry(event.order_id).or_default();
                states.push(event.state.name());
                count += 1;
            }
        }
        (cursor, seen)
    };
    let (_, _, (cursor, seen)) = tokio::join!(here, there, reading);
    assert_eq!(seen.len(), 100);
    let way = ["PENDING", "ACCEPTED", "IN_PREPARATION", "READY"];
    assert!(seen.values().all(|states| *states == way));
    assert_eq!(cursor, fixture.store.feed_end().await.unwrap());
    let gaps = "SELECT max(position) - count(*) FROM order_events";
    assert_eq!(fixture.database.number(gaps).await, 0);
}

#[tokio::test]
async fn a_filter_leaves_out_other_stores_and_the_cursor_goes_past_them() {
    let fixture = Fixture::start().await;
    fixture.upsert(east("s-2")).await;
    for (number, store) in ["s-1", "s-2", "s-1"].into_iter().enumerate() {
        fixture.placed(&at_store(store, numbered(number))).await;
    }
    let by_store = FeedFilter {
        store: Some(store_id("s-2")),
        area: None,
    };
    let by_area = FeedFilter {
        store: None,
        area: Some(area("east")),
    };
    for filter in [by_store, by_area] {
        let mut cursor = start(&fixture);
        let lanes = [fixture.lane];
        let read = fixture.store.read_feed(&mut cursor, &lanes, &filter, 500);
        let events = read.await.unwrap().0.into_iter();
        let stores: Vec<_> = events.map(|event| event.store).collect();
        assert_eq!(stores, [store_id("s-2")]);
        assert_eq!(cursor.position(fixture.lane), 3);
    }
}

#[tokio::test]
async fn an_acknowledged_cursor_is_kept_and_never_goes_back() {
    let fixture = Fixture::start().await;
    let kitchen = ConsumerId::parse("kitchen").unwrap();
    fixture.orders(3).await;
    let at = |position| {
        let mut cursor = start(&fixture);
        cursor.advance(fixture.lane, position);
        cursor
    };
    assert_eq!(fixture.store.feed_cursor(&kitchen).await.unwrap(), None);
    for position in [2, 1] {
        let reached = at(position);
        let acknowledged = fixture.store.acknowledge_feed(&kitchen, &reached);
        acknowledged.await.unwrap();
        let kept = fixture.store.feed_cursor(&kitchen).await.unwrap();
        assert_eq!(kept, Some(at(2)));
    }
    let lags = fixture.store.feed_lags().await.unwrap();
    assert_eq!(lags, [("kitchen".to_owned(), 1)]);
    assert_eq!(fixture.store.count_consumers().await.unwrap(), 1);
}
