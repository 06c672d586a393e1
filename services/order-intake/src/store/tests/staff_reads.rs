use std::collections::BTreeSet;

use super::*;
use crate::domain::{PageSize, StateKind, StoreOrdersQuery, StoresQuery};

/// Orders of `busy`, so many a slot of ten minutes from the full hour on, in the states by turns.
fn fill(orders: usize, of_slot: usize, states: &str) -> String {
    format!(
        "INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, slot_starts_at, slot_minutes, state, rejected_because, rejection_metadata, failure_note, coupon_code, content_hash, created_at, updated_at)
        SELECT 0, 'shopper-' || number, 'r', gen_random_uuid(), 'busy', 'west', date_trunc('hour', now()) + make_interval(mins => number / {of_slot} * 10), 10, state,
            CASE state WHEN 3 THEN 'COUPON_EXPIRED' END, CASE state WHEN 3 THEN '{{}}'::jsonb END, CASE state WHEN 8 THEN 'no cups' END, lpad(number::text, 16, '0'), sha256(''), now(), now()
        FROM (SELECT number, ('{{{states}}}'::smallint[])[1 + number % cardinality('{{{states}}}'::smallint[])] AS state FROM generate_series(0, {orders} - 1) AS number) AS numbered;
        INSERT INTO order_details SELECT (created_at AT TIME ZONE 'UTC')::date, 0, order_id, '[{{\"sku\": \"tea\", \"quantity\": 1, \"currency_code\": \"CNY\", \"unit_price_minor_units\": 1}}]' FROM orders WHERE store_id = 'busy'"
    )
}

fn of(store: &str, states: &[StateKind], size: u32) -> StoreOrdersQuery {
    StoreOrdersQuery {
        store: StoreId::parse(store).unwrap(),
        states: states.to_vec(),
        after: PagePosition::OLDEST,
        until: PagePosition::NEWEST.created_at,
        size: PageSize::new(size).unwrap(),
    }
}

/// Every order that pages show, and how many pages there were.
async fn paged(fixture: &Fixture, mut query: StoreOrdersQuery) -> (Vec<Order>, usize) {
    let (mut shown, mut pages) = (Vec::new(), 0);
    loop {
        let page = fixture.store.list_store_orders(&query).await;
        let (orders, next) = page.unwrap();
        assert!(orders.len() <= usize::from(query.size.get()));
        shown.extend(orders);
        pages += 1;
        let Some(next) = next else {
            return (shown, pages);
        };
        assert!(next > query.after, "pages go on");
        query.after = next;
    }
}

fn ids(orders: &[Order]) -> BTreeSet<OrderId> {
    orders.iter().map(|order| order.standing.order_id).collect()
}

#[tokio::test]
async fn a_page_reads_so_many_orders_only_and_the_next_ones_find_the_rest() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("busy")).await;
    // One in 1,500 is ready, and one in 1,500 has failed.
    let states = format!("5,8,{}", ["6"; 1_498].join(","));
    fixture.database.execute(&fill(9_000, 100, &states)).await;
    let both = [StateKind::Ready, StateKind::Failed];
    let (shown, pages) = paged(&fixture, of("busy", &both, 100)).await;
    assert_eq!(shown.len(), 12);
    // About 2,000 of the other states in each.
    assert!((4..=6).contains(&pages), "{pages}");
    let (failed, pages) = paged(&fixture, of("busy", &[StateKind::Failed], 100)).await;
    assert_eq!((failed.len(), pages), (6, 1));
}

#[tokio::test]
async fn a_slot_with_more_orders_than_a_page_reads_is_shown_whole() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("busy")).await;
    fixture.database.execute(&fill(7_000, 3_500, "2,7")).await;
    let (shown, _) = paged(&fixture, of("busy", &StateKind::ALL, 100)).await;
    assert_eq!(shown.len(), 7_000);
    assert_eq!(ids(&shown).len(), 7_000);
}

#[tokio::test]
async fn an_order_without_details_is_not_shown_and_hides_none_behind_it() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("busy")).await;
    fixture.database.execute(&fill(9, 1, "2")).await;
    let forget = "DELETE FROM order_details WHERE order_id IN (SELECT order_id FROM orders WHERE store_id = 'busy' ORDER BY slot_starts_at LIMIT 5)";
    fixture.database.execute(forget).await;
    let (shown, pages) = paged(&fixture, of("busy", &StateKind::ALL, 2)).await;
    assert_eq!((shown.len(), pages), (4, 5));
}

#[tokio::test]
async fn an_order_is_found_by_its_id_until_its_details_are_forgotten() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    let id = order.standing.order_id;
    assert_eq!(fixture.store.find_order(id).await.unwrap(), order);
    let unknown = fixture.store.find_order(OrderId(Uuid::now_v7())).await;
    assert!(matches!(unknown, Err(OrderIntakeError::OrderNotFound)));
    fixture.database.execute("DELETE FROM order_details").await;
    let forgotten = fixture.store.find_order(id).await;
    assert!(matches!(forgotten, Err(OrderIntakeError::OrderNotFound)));
}

#[tokio::test]
async fn stores_are_listed_once_each_by_their_ids_their_area_and_their_state() {
    let fixture = Fixture::start().await;
    let store = |number: usize| StoreChange {
        area: Area::parse(["east", "west"][number % 2]).unwrap(),
        is_closed: Some(number.is_multiple_of(3)),
        ..shop(&format!("t-{number:02}"))
    };
    let stores = (0..24).map(store).collect();
    fixture.upsert_all(stores).await;
    for area in [None, Some("east"), Some("west")] {
        for is_closed in [None, Some(false), Some(true)] {
            let mut query = StoresQuery {
                area: area.map(|area| Area::parse(area).unwrap()),
                is_closed,
                after: StoreId::parse("s-1").ok(),
                size: PageSize::new(5).unwrap(),
            };
            let mut shown = Vec::new();
            loop {
                let (stores, next) = fixture.store.list_stores(&query).await.unwrap();
                shown.extend(stores.iter().map(|store| store.id.as_str().to_owned()));
                assert!(stores.len() == 5 || next.is_none());
                query.after = next;
                if query.after.is_none() {
                    break;
                }
            }
            let fits = |store: &StoreChange| {
                area.is_none_or(|area| store.area.as_str() == area)
                    && is_closed.is_none_or(|is_closed| store.is_closed == Some(is_closed))
            };
            let expected: Vec<_> = (0..24).map(store).filter(fits).collect();
            let expected: Vec<_> = expected.iter().map(|store| store.id.as_str()).collect();
            assert_eq!(shown, expected, "{area:?} {is_closed:?}");
        }
    }
}
