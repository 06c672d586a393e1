use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::{
        CancelOrderRequest, ListChangesRequest, OpeningHours, SetStoreStateRequest, StoreState,
        WeeklyHours,
    },
    r#type::v1::{Change, ChangeFilter, Order, OrderState},
};
use tidegate_test_kit::heard;
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

/// The changed fields as a person reads them.
fn fields(change: &Change) -> String {
    let fields = change.fields.iter();
    let told = fields.map(|field| format!("{} {}>{}", field.field, field.before, field.after));
    told.collect::<Vec<_>>().join("; ")
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

async fn cancel_by_staff(suite: &Suite, order: &Order) -> Result<(), Reason> {
    let message = CancelOrderRequest {
        shopper_id: order.shopper_id.clone(),
        order_id: order.order_id.clone(),
    };
    let request = suite.with_token(message, "orders:write", None);
    heard(suite.orders(Identity::Staff).cancel_order(request).await).map(drop)
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
    let expected = "display_name >奶茶店; area >west; time_zone >UTC; slot_minutes >10; orders_per_slot >5; state >OPEN";
    assert_eq!(fields(made), expected);
    let expected = "time_zone UTC>Asia/Shanghai; opening_hours.weekly >1 09:05-22:00; orders_per_slot 5>6; \
        opening_hours.closed_days >2026-12-25, 2026-12-26";
    assert_eq!(fields(changed), expected);
    let expected = "opening_hours.closed_days 2026-12-25>2027-01-01";
    assert_eq!(fields(days), expected);
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
    let because = "closed_because no milk>no cups";
    for (change, reason, expected) in [
        (
            closed,
            "no milk",
            "state OPEN>CLOSED; closed_because >no milk",
        ),
        (again, "no cups", because),
        (opened, "", "state CLOSED>OPEN; closed_because no cups>"),
    ] {
        assert_eq!(
            (&*change.action, &*change.reason),
            ("SetStoreState", reason)
        );
        assert_eq!(fields(change), expected);
    }
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
        cancel_by_staff(&suite, &orders[0]).await.unwrap();
        suite.cancel(&orders[1]).await.unwrap();
    }
    // Cancelled by its shopper already.
    cancel_by_staff(&suite, &orders[1]).await.unwrap();
    let step = OrderState::InPreparation;
    suite.advance(&orders[2], step).await.unwrap();
    // Nobody cancels what a store has begun.
    let refused = cancel_by_staff(&suite, &orders[2]).await;
    assert_eq!(refused, Err(Reason::OrderStateConflict));
    for note in ["no cups", "another note"] {
        suite.fail(&orders[2], note).await.unwrap();
    }
    let [cancelled] = &changes_of(&suite, "order", &orders[0].order_id).await[..] else {
        panic!("one change");
    };
    assert_eq!(cancelled.action, "CancelOrder");
    assert_eq!(fields(cancelled), "state ACCEPTED>CANCELLED");
    assert_eq!(cancelled.subject, "colleague");
    let of_shopper = changes_of(&suite, "order", &orders[1].order_id).await;
    assert_eq!(of_shopper, []);
    let [failed] = &changes_of(&suite, "order", &orders[2].order_id).await[..] else {
        panic!("one change");
    };
    assert_eq!((&*failed.action, &*failed.reason), ("FailOrder", "no cups"));
    assert_eq!(fields(failed), "state IN_PREPARATION>FAILED");
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
