use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::{
        CancelOrderRequest, CloseStoresRequest, ListChangesRequest, OpeningHours, PendingOrders,
        SetStoreStateRequest, StoreState, WeeklyHours, close_stores_request::Stores,
    },
    r#type::v1::{Change, ChangeFilter, Order, OrderState},
};
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason;
use tonic::Status;

use crate::suite::{Suite, bad_fields, code, item, store_of};

async fn page(suite: &Suite, message: ListChangesRequest) -> Result<(Vec<Change>, String), Status> {
    let request = suite.with_token(message, "changes:read", None);
    let page = suite.stores(Identity::Staff).list_changes(request).await?;
    let page = page.into_inner();
    Ok((page.changes, page.next_page_token))
}

/// What was changed of one thing, the newest first.
async fn changes_of(suite: &Suite, kind: &str, id: &str) -> Vec<Change> {
    let filter = ChangeFilter {
        resource_kind: kind.to_owned(),
        resource_id: id.to_owned(),
        ..ChangeFilter::default()
    };
    let message = ListChangesRequest {
        filter: Some(filter),
        ..ListChangesRequest::default()
    };
    page(suite, message).await.unwrap().0
}

fn fields(change: &Change) -> Vec<(&str, &str, &str)> {
    let fields = change.fields.iter();
    fields
        .map(|field| (&*field.field, &*field.before, &*field.after))
        .collect()
}

async fn set_state(suite: &Suite, state: StoreState, reason: &str) {
    let message = SetStoreStateRequest {
        store_id: "s-1".to_owned(),
        state: state.into(),
        reason: reason.to_owned(),
    };
    let request = suite.with_token(message, "stores:write", None);
    let answer = suite.stores(Identity::Staff).set_store_state(request).await;
    answer.unwrap();
}

fn cancellation(order: &Order) -> CancelOrderRequest {
    CancelOrderRequest {
        shopper_id: order.shopper_id.clone(),
        order_id: order.order_id.clone(),
    }
}

async fn cancel_by_staff(suite: &Suite, order: &Order) {
    let request = suite.with_token(cancellation(order), "orders:write", None);
    let answer = suite.orders(Identity::Staff).cancel_order(request).await;
    answer.unwrap();
}

#[tokio::test]
async fn stores_that_are_new_or_different_are_recorded_and_those_that_stay_are_not() {
    let suite = Suite::start().await;
    let mut stores = vec![store_of("s-2", 5), store_of("s-3", 5)];
    suite.upsert(stores.clone()).await.unwrap();
    suite.upsert(stores.clone()).await.unwrap();
    stores[0].orders_per_slot = Some(6);
    stores[0].time_zone = "Asia/Shanghai".to_owned();
    stores[0].opening_hours = Some(OpeningHours {
        weekly: vec![WeeklyHours {
            weekday: 1,
            opens_at_minute: 545,
            closes_at_minute: 1_320,
        }],
        closed_days: vec!["2026-12-25".to_owned(), "2026-12-26".to_owned()],
    });
    suite.upsert(stores.clone()).await.unwrap();
    if let Some(hours) = &mut stores[0].opening_hours {
        hours.closed_days = vec!["2026-12-26".to_owned(), "2027-01-01".to_owned()];
    }
    suite.upsert(stores).await.unwrap();
    let [days, changed, made] = &changes_of(&suite, "store", "s-2").await[..] else {
        panic!("two changes after the store was made");
    };
    assert_eq!(
        fields(made),
        [
            ("display_name", "", "奶茶店"),
            ("area", "", "west"),
            ("time_zone", "", "UTC"),
            ("slot_minutes", "", "10"),
            ("orders_per_slot", "", "5"),
            ("state", "", "OPEN"),
        ]
    );
    assert_eq!(
        fields(changed),
        [
            ("time_zone", "UTC", "Asia/Shanghai"),
            ("opening_hours.weekly", "", "1 09:05-22:00"),
            ("orders_per_slot", "5", "6"),
            ("opening_hours.closed_days", "", "2026-12-25, 2026-12-26"),
        ]
    );
    let days_changed = ("opening_hours.closed_days", "2026-12-25", "2027-01-01");
    assert_eq!(fields(days), [days_changed]);
    for change in [days, changed, made] {
        assert_eq!(change.action, "UpsertStores");
        let by = (&*change.subject, &*change.certificate_identity);
        assert_eq!(by, ("colleague", "staff"));
        assert_eq!(change.reason, "");
        assert!(change.changed_at.is_some());
    }
    assert_eq!(changes_of(&suite, "store", "s-3").await.len(), 1);
}

#[tokio::test]
async fn opening_and_closing_a_store_is_recorded_with_its_reason_and_its_replay_is_not() {
    let suite = Suite::start().await;
    for _ in 0..2 {
        set_state(&suite, StoreState::Closed, "no milk").await;
    }
    set_state(&suite, StoreState::Closed, "no cups").await;
    for _ in 0..2 {
        set_state(&suite, StoreState::Open, "").await;
    }
    let [opened, again, closed, _made] = &changes_of(&suite, "store", "s-1").await[..] else {
        panic!("three changes after the store was made");
    };
    for change in [opened, again, closed] {
        assert_eq!(change.action, "SetStoreState");
    }
    let reasons = [opened, again, closed].map(|change| &*change.reason);
    assert_eq!(reasons, ["", "no cups", "no milk"]);
    let because = |before, after| ("closed_because", before, after);
    let closing = [("state", "OPEN", "CLOSED"), because("", "no milk")];
    assert_eq!(fields(closed), closing);
    assert_eq!(fields(again), [because("no milk", "no cups")]);
    let opening = [("state", "CLOSED", "OPEN"), because("no cups", "")];
    assert_eq!(fields(opened), opening);
    let closing = CloseStoresRequest {
        request_id: "c-1".to_owned(),
        stores: Some(Stores::Area("west".to_owned())),
        reason: "no cups".to_owned(),
        pending_orders: PendingOrders::Keep.into(),
    };
    suite.close(closing).await.unwrap();
    let of_area = changes_of(&suite, "area", "west").await;
    let by = (&*of_area[0].action, &*of_area[0].subject);
    assert_eq!(by, ("CloseStores", "colleague"));
}

#[tokio::test]
async fn orders_that_staff_end_are_recorded_and_what_shoppers_and_fulfilment_do_is_not() {
    let suite = Suite::start().await;
    let mut orders = Vec::new();
    for number in 0..3 {
        let item = item("alice", &format!("r-{number}"), &code(number));
        orders.push(suite.order(item).await);
    }
    for _ in 0..2 {
        cancel_by_staff(&suite, &orders[0]).await;
        suite.cancel(&orders[1]).await.unwrap();
    }
    // Cancelled by its shopper already.
    cancel_by_staff(&suite, &orders[1]).await;
    let step = OrderState::InPreparation;
    suite.advance(&orders[2], step).await.unwrap();
    // Nobody cancels what a store has begun.
    let request = suite.with_token(cancellation(&orders[2]), "orders:write", None);
    let refused = suite.orders(Identity::Staff).cancel_order(request).await;
    assert_eq!(
        reason_of(&refused.unwrap_err()),
        Some(Reason::OrderStateConflict)
    );
    for note in ["no cups", "another note"] {
        suite.fail(&orders[2], note).await.unwrap();
    }
    let [cancelled] = &changes_of(&suite, "order", &orders[0].order_id).await[..] else {
        panic!("one change");
    };
    assert_eq!(cancelled.action, "CancelOrder");
    assert_eq!(fields(cancelled), [("state", "ACCEPTED", "CANCELLED")]);
    assert_eq!(cancelled.subject, "colleague");
    let of_shopper = changes_of(&suite, "order", &orders[1].order_id).await;
    assert_eq!(of_shopper, []);
    let [failed] = &changes_of(&suite, "order", &orders[2].order_id).await[..] else {
        panic!("one change");
    };
    assert_eq!((&*failed.action, &*failed.reason), ("FailOrder", "no cups"));
    assert_eq!(fields(failed), [("state", "IN_PREPARATION", "FAILED")]);
}

#[tokio::test]
async fn changes_are_paged_newest_first_and_found_by_who_made_them_and_since_when() {
    let suite = Suite::start().await;
    for number in 0..5 {
        suite.upsert_store(&format!("t-{number}")).await;
    }
    let mut message = ListChangesRequest {
        page_size: 2,
        ..ListChangesRequest::default()
    };
    let mut shown = Vec::new();
    loop {
        let (changes, next) = page(&suite, message.clone()).await.unwrap();
        assert!(changes.len() <= 2);
        shown.extend(changes);
        // Newer than every page that follows.
        suite.upsert_store(&format!("later-{}", shown.len())).await;
        message.page_token = next;
        if message.page_token.is_empty() {
            break;
        }
    }
    let ids: Vec<_> = shown.iter().map(|change| &*change.resource_id).collect();
    assert_eq!(ids, ["t-4", "t-3", "t-2", "t-1", "t-0", "s-1"]);
    let filtered = async |filter: ChangeFilter| {
        let message = ListChangesRequest {
            filter: Some(filter),
            page_size: 100,
            page_token: String::new(),
        };
        page(&suite, message).await.unwrap().0.len()
    };
    let by = |subject: &str| ChangeFilter {
        subject: subject.to_owned(),
        ..ChangeFilter::default()
    };
    assert!(filtered(by("colleague")).await > 6);
    assert_eq!(filtered(by("somebody-else")).await, 0);
    let since = ChangeFilter {
        since: shown[0].changed_at,
        resource_kind: "store".to_owned(),
        ..ChangeFilter::default()
    };
    // The newest of the pages, and what was made meanwhile.
    assert_eq!(filtered(since).await, filtered(by("")).await - 5);
}

#[tokio::test]
async fn every_bad_field_of_a_list_of_changes_is_named() {
    let suite = Suite::start().await;
    let bad = ListChangesRequest {
        filter: Some(ChangeFilter {
            resource_kind: "shop".to_owned(),
            ..ChangeFilter::default()
        }),
        page_size: 101,
        page_token: "x".to_owned(),
    };
    let fields = bad_fields(&page(&suite, bad).await.unwrap_err());
    assert_eq!(fields, ["filter.resource_kind", "page_size", "page_token"]);
}
