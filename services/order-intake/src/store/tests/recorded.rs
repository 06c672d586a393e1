use futures_util::future::join_all;
use tidegate_types::{Change, ChangeQuery, ResourceKind};

use super::*;
use crate::domain::StoreZone;

fn colleague() -> Actor {
    Actor {
        subject: RequestId::parse("ann").unwrap(),
        certificate_identity: "staff",
    }
}

fn closing_of_store(request_id: &str) -> StoreClosing {
    StoreClosing {
        scope: ClosingScope::Store(store_id("s-1")),
        ..closing(request_id, PendingOrders::Fail)
    }
}

/// Everything recorded, the oldest first.
async fn recorded(fixture: &Fixture) -> Vec<Change> {
    let all = ChangeQuery {
        resource_kind: None,
        resource_id: None,
        subject: None,
        since: None,
        before: None,
        page_size: 100,
    };
    let recorded = fixture.store.list_changes(&all).await.unwrap();
    let oldest_first = recorded.changes.into_iter().rev();
    oldest_first.map(|recorded| recorded.change).collect()
}

/// What a change says, field by field, each as it was and as it is.
fn told(change: &Change) -> Vec<String> {
    let fields = change.fields.iter();
    fields
        .map(|field| format!("{}: {} > {}", field.field, field.before, field.after))
        .collect()
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_changed_either() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    let full = "ALTER TABLE change_log.changes ADD CONSTRAINT full_up CHECK (FALSE) NOT VALID";
    fixture.database.execute(full).await;
    let (by, now, store) = (colleague(), Timestamp::now_utc(), &fixture.store);
    let renamed = StoreChange {
        display_name: DisplayName::parse("other").unwrap(),
        ..shop("s-1")
    };
    let upserted = store.upsert_stores(vec![renamed, shop("s-2")], Some((&by, None)), now);
    assert!(upserted.await.is_err());
    let closed = StoreState::Closed(ClosingReason::parse("no milk").ok());
    let id = store_id("s-1");
    let set = store.set_store_state(&id, &closed, Some((&by, None)), now);
    assert!(set.await.is_err());
    let area = closing("c-1", PendingOrders::Fail);
    let begun = store.begin_closing(&area, Some(&by), now);
    assert!(begun.await.is_err());
    let moved = move_at(store, &order, Move::Cancel, Some(by)).await;
    assert!(moved.is_err());
    let as_before = store.get_store(&store_id("s-1")).await.unwrap();
    assert_eq!(as_before.display_name.as_str(), "奶茶 No. 1");
    assert_eq!(as_before.state, StoreState::Open);
    let rows = "SELECT (SELECT count(*) FROM stores) + (SELECT count(*) FROM store_closings)";
    assert_eq!(fixture.database.number(rows).await, 1);
    let found = store.find_order(order.standing.order_id).await.unwrap();
    assert_eq!(found.standing.state, OrderState::Pending);
    // The same calls of nobody's are not recorded, and go through.
    fixture.moved(&order, Move::Cancel).await.unwrap();
}

#[tokio::test]
async fn those_who_make_and_change_a_store_at_once_are_recorded_one_after_the_other() {
    let fixture = Fixture::start().await;
    let named = |number: usize| StoreChange {
        display_name: DisplayName::parse(&format!("name {number}")).unwrap(),
        ..shop("new")
    };
    let (by, now) = (colleague(), Timestamp::now_utc());
    let upserting = (0..6).map(|number| {
        fixture
            .store
            .upsert_stores(vec![named(number)], Some((&by, None)), now)
    });
    let created = join_all(upserting).await;
    let created: usize = created.into_iter().map(Result::unwrap).sum();
    assert_eq!(created, 1);
    let recorded = recorded(&fixture).await;
    assert_eq!(recorded.len(), 6);
    let mut name = String::new();
    for change in &recorded {
        let field = &change.fields[0];
        assert_eq!((&*field.field, &*field.before), ("display_name", &*name));
        name = field.after.clone();
    }
    let kept = fixture.store.get_store(&store_id("new")).await;
    assert_eq!(kept.unwrap().display_name.as_str(), name);
}

#[tokio::test]
async fn a_store_whose_row_makes_no_sense_can_be_mended_and_that_is_recorded() {
    let fixture = Fixture::start().await;
    let spoil = "UPDATE stores SET time_zone = 'Nowhere/At all'";
    fixture.database.execute(spoil).await;
    let mended = StoreChange {
        zone: StoreZone::parse("Asia/Shanghai").ok(),
        ..shop("s-1")
    };
    let (by, now) = (colleague(), Timestamp::now_utc());
    let upserted = fixture
        .store
        .upsert_stores(vec![mended], Some((&by, None)), now);
    assert_eq!(upserted.await.unwrap(), 0);
    let recorded = recorded(&fixture).await;
    let expected = ["time_zone: Nowhere/At all > Asia/Shanghai"];
    assert_eq!(told(&recorded[0]), expected);
}

#[tokio::test]
async fn a_closing_of_an_area_is_one_change_and_one_of_a_store_is_that_store_s() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("s-2")).await;
    let (by, now) = (colleague(), Timestamp::now_utc());
    let one = closing_of_store("c-1");
    let area = closing("c-2", PendingOrders::Fail);
    for closing in [&one, &one, &area, &area] {
        let begun = fixture.store.begin_closing(closing, Some(&by), now);
        begun.await.unwrap();
    }
    let nobody = closing_of_store("c-3");
    let begun = fixture.store.begin_closing(&nobody, None, now);
    begun.await.unwrap();
    let recorded = recorded(&fixture).await;
    for (change, kind, id, expected) in [
        (
            &recorded[0],
            ResourceKind::Store,
            "s-1",
            [
                "request_id:  > c-1",
                "pending_orders:  > FAIL",
                "state: OPEN > CLOSED",
                "closed_because:  > out of cups",
            ],
        ),
        (
            &recorded[1],
            ResourceKind::Area,
            "west",
            [
                "request_id:  > c-2",
                "pending_orders:  > FAIL",
                "stores_closed:  > 2",
                "open_store_ids: s-2 > ",
            ],
        ),
    ] {
        assert_eq!(
            (&*change.action, &*change.reason),
            ("CloseStores", "out of cups")
        );
        assert_eq!((change.resource_kind, &*change.resource_id), (kind, id));
        assert_eq!(told(change), expected);
    }
    assert_eq!(recorded.len(), 2);
}
