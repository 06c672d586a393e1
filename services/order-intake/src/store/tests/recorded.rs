use futures_util::future::join_all;
use tidegate_types::{Actor, Change, ChangeQuery, ResourceKind};

use super::*;
use crate::domain::{
    ClosingReason, ClosingScope, FailureNote, PendingOrders, StoreClosing, StoreState, StoreZone,
};

fn colleague() -> Actor {
    Actor {
        subject: RequestId::parse("ann").unwrap(),
        certificate_identity: "staff",
    }
}

fn closing(request_id: &str, scope: ClosingScope) -> StoreClosing {
    StoreClosing {
        request_id: RequestId::parse(request_id).unwrap(),
        scope,
        reason: ClosingReason::parse("out of cups").unwrap(),
        pending_orders: PendingOrders::Fail,
    }
}

fn the_store() -> StoreId {
    StoreId::parse("s-1").unwrap()
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

fn fields(change: &Change) -> Vec<(&str, &str, &str)> {
    let fields = change.fields.iter();
    fields
        .map(|field| (&*field.field, &*field.before, &*field.after))
        .collect()
}

async fn move_by(fixture: &Fixture, order: &Order, asked: Move) -> OrderState {
    let (by, trace) = (Some(Arc::new(colleague())), TraceContext::new_root(false));
    let moved = fixture.store.move_order(order, asked, by, trace, soon());
    moved.await.unwrap().state
}

#[tokio::test]
async fn what_staff_cancel_and_fail_is_recorded_once_and_what_others_do_is_not() {
    let fixture = Fixture::start().await;
    let mut orders = Vec::new();
    for number in 0..4u32 {
        let draft = with_code(
            draft("alice", &format!("r-{number}")),
            &format!("{number:016}"),
        );
        let order = fixture.placed(&draft).await;
        fixture.settle(&order, accept()).await;
        orders.push(order);
    }
    let no_cups = || Move::Fail(FailureNote::parse("no cups").unwrap());
    for _ in 0..3 {
        move_by(&fixture, &orders[0], Move::Cancel).await;
        move_by(&fixture, &orders[1], no_cups()).await;
    }
    move_by(&fixture, &orders[2], Move::Prepare).await;
    fixture.moved(&orders[3], Move::Cancel).await.unwrap();
    fixture.moved(&orders[2], no_cups()).await.unwrap();
    let recorded = recorded(&fixture).await;
    let told: Vec<_> = recorded
        .iter()
        .map(|change| (&*change.action, &*change.resource_id, &*change.reason))
        .collect();
    let id = |order: &Order| order.standing.order_id.to_string();
    let (cancelled, failed) = (id(&orders[0]), id(&orders[1]));
    assert_eq!(
        told,
        [
            ("CancelOrder", &*cancelled, ""),
            ("FailOrder", &*failed, "no cups")
        ]
    );
    assert_eq!(fields(&recorded[0]), [("state", "ACCEPTED", "CANCELLED")]);
    assert_eq!(fields(&recorded[1]), [("state", "ACCEPTED", "FAILED")]);
    for change in recorded {
        assert_eq!(change.resource_kind, ResourceKind::Order);
        let by = (&*change.subject, &*change.certificate_identity);
        assert_eq!(by, ("ann", "staff"));
    }
}

#[tokio::test]
async fn a_refused_move_records_nothing() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    let fail = Move::Fail(FailureNote::parse("no cups").unwrap());
    let (by, trace) = (Some(Arc::new(colleague())), TraceContext::new_root(false));
    let refused = fixture.store.move_order(&order, fail, by, trace, soon());
    assert!(matches!(
        refused.await,
        Err(OrderIntakeError::StateConflict(_))
    ));
    assert_eq!(recorded(&fixture).await, []);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_changed_either() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    let full = "ALTER TABLE change_log.changes ADD CONSTRAINT full_up CHECK (FALSE) NOT VALID";
    fixture.database.execute(full).await;
    let (by, now, trace) = (
        colleague(),
        Timestamp::now_utc(),
        TraceContext::new_root(false),
    );
    let store = &fixture.store;
    let renamed = StoreChange {
        display_name: DisplayName::parse("other").unwrap(),
        ..shop("s-1")
    };
    let upserted = store
        .upsert_stores(vec![renamed, shop("s-2")], Some((&by, None)), now)
        .await;
    assert!(upserted.is_err());
    let closed = StoreState::Closed(ClosingReason::parse("no milk").ok());
    let set = store
        .set_store_state(&the_store(), &closed, Some((&by, None)), now)
        .await;
    assert!(set.is_err());
    let area = ClosingScope::Area(Area::parse("west").unwrap());
    let begun = store
        .begin_closing(&closing("c-1", area), Some(&by), now)
        .await;
    assert!(begun.is_err());
    let by = Some(Arc::new(by));
    let moved = store
        .move_order(&order, Move::Cancel, by, trace, soon())
        .await;
    assert!(moved.is_err());
    let as_before = store.get_store(&the_store()).await.unwrap();
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
        let (field, before, after) = fields(change)[0];
        assert_eq!((field, before), ("display_name", &*name));
        name = after.to_owned();
    }
    let id = StoreId::parse("new").unwrap();
    let kept = fixture.store.get_store(&id);
    assert_eq!(kept.await.unwrap().display_name.as_str(), name);
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
    let expected = ("time_zone", "Nowhere/At all", "Asia/Shanghai");
    assert_eq!(fields(&recorded[0]), [expected]);
}

#[tokio::test]
async fn a_closing_of_an_area_is_one_change_and_one_of_a_store_is_that_store_s() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("s-2")).await;
    let (by, now) = (colleague(), Timestamp::now_utc());
    let one = closing("c-1", ClosingScope::Store(the_store()));
    let area = closing("c-2", ClosingScope::Area(Area::parse("west").unwrap()));
    for closing in [&one, &one, &area, &area] {
        let begun = fixture.store.begin_closing(closing, Some(&by), now);
        begun.await.unwrap();
    }
    let nobody = closing("c-3", ClosingScope::Store(the_store()));
    let begun = fixture.store.begin_closing(&nobody, None, now);
    begun.await.unwrap();
    let recorded = recorded(&fixture).await;
    let of = |change: &Change| {
        let (kind, id) = (change.resource_kind, change.resource_id.clone());
        (change.action.clone(), kind, id, change.reason.clone())
    };
    let expected = |kind, id: &str| {
        let (action, reason) = ("CloseStores".to_owned(), "out of cups".to_owned());
        (action, kind, id.to_owned(), reason)
    };
    let told: Vec<_> = recorded.iter().map(of).collect();
    let (store, area) = (ResourceKind::Store, ResourceKind::Area);
    assert_eq!(told, [expected(store, "s-1"), expected(area, "west")]);
    assert_eq!(
        fields(&recorded[0]),
        [
            ("request_id", "", "c-1"),
            ("pending_orders", "", "FAIL"),
            ("state", "OPEN", "CLOSED"),
            ("closed_because", "", "out of cups"),
        ]
    );
    assert_eq!(
        fields(&recorded[1]),
        [
            ("request_id", "", "c-2"),
            ("pending_orders", "", "FAIL"),
            ("stores_closed", "", "2"),
            ("open_store_ids", "s-2", ""),
        ]
    );
}
