use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, future::join_all, stream};
use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::{GetStoreRequest, SetStoreStateRequest, StoreState, UpsertStoresRequest},
    r#type::v1::{OrderState, Reason},
};

use crate::suite::{Suite, code, item, placed, refused, store_of};

fn soon_wanted(number: u32) -> tidegate_proto::order_intake::v1::PlaceOrderItem {
    let latest = SystemTime::now() + Duration::from_secs(1);
    let mut item = item("alice", &format!("r-{number}"), &code(number));
    item.latest_acceptable_at = Some(latest.into());
    item.suggest_stores = true;
    item
}

#[tokio::test]
async fn a_full_store_tells_its_next_slot_and_stores_nearby_and_leaves_the_coupon_alone() {
    let suite = Suite::start().await;
    let mut stores: Vec<_> = (2..10)
        .map(|number| store_of(&format!("s-{number}"), 5))
        .collect();
    stores.push(store_of("s-1", 1));
    suite.upsert(stores).await.unwrap();
    let order = placed(suite.place(soon_wanted(1)).await).order.unwrap();
    let slot = order.slot.unwrap();
    let refusal = refused(suite.place(soon_wanted(2)).await);
    assert_eq!(refusal.reason(), Reason::StoreBusy);
    assert_eq!(refusal.retry_at, slot.ends_at);
    assert!(refusal.metadata.contains_key("next_slot_at"));
    let suggested: serde_json::Value =
        serde_json::from_str(&refusal.metadata["suggested_stores"]).unwrap();
    let names: Vec<_> = suggested
        .as_array()
        .unwrap()
        .iter()
        .map(|store| store["store_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 5);
    assert!(!names.contains(&"s-1".to_owned()));
    assert_eq!(suite.issuance.holder(&code(2)), None);
    let mut elsewhere = soon_wanted(2);
    elsewhere.store_id = names[0].clone();
    let order = placed(suite.place(elsewhere).await).order.unwrap();
    assert_eq!(order.state(), OrderState::Accepted);
}

#[tokio::test]
async fn everybody_who_meets_a_full_store_is_told_of_others_also_if_many_are_full() {
    let suite = Suite::start().await;
    let mut stores = vec![store_of("s-0", 60)];
    stores.extend((1..21).map(|number| store_of(&format!("s-{number}"), 1)));
    suite.upsert(stores).await.unwrap();
    let wanted = |round: u32| {
        (1..21).map(move |store| {
            let mut wanted = soon_wanted(100 * round + store);
            wanted.store_id = format!("s-{store}");
            wanted
        })
    };
    for order in join_all(wanted(1).map(|item| suite.place(item))).await {
        placed(order);
    }
    for refusal in join_all(wanted(2).map(|item| suite.place(item))).await {
        let refusal = refused(refusal);
        assert_eq!(refusal.reason(), Reason::StoreBusy);
        let suggested = &refusal.metadata["suggested_stores"];
        assert!(suggested.contains("s-0"), "{suggested}");
    }
}

#[tokio::test]
async fn a_store_closed_by_staff_takes_nothing_and_says_so_until_it_is_opened_again() {
    let suite = Suite::start().await;
    let set = async |state: StoreState, reason: &str| {
        let message = SetStoreStateRequest {
            store_id: "s-1".to_owned(),
            state: state.into(),
            reason: reason.to_owned(),
        };
        let request = suite.with_token(message, "stores:write", None);
        let answer = suite.stores(Identity::Staff).set_store_state(request).await;
        answer.unwrap().into_inner().store.unwrap()
    };
    let closed = set(StoreState::Closed, "杯子用完了").await;
    assert_eq!(closed.closed_because, "杯子用完了");
    let refusal = refused(suite.place(item("alice", "r-1", &code(1))).await);
    assert_eq!(refusal.reason(), Reason::StoreClosed);
    assert_eq!(refusal.retry_at, None);
    assert!(suite.issuance.calls().is_empty());
    assert_eq!(set(StoreState::Open, "").await.state(), StoreState::Open);
    placed(suite.place(item("alice", "r-1", &code(1))).await);
}

#[tokio::test]
async fn a_latest_time_in_the_past_is_a_bad_field() {
    let suite = Suite::start().await;
    let mut late = item("alice", "r-1", &code(1));
    late.latest_acceptable_at = Some(SystemTime::UNIX_EPOCH.into());
    let refusal = refused(suite.place(late).await);
    assert_eq!(refusal.reason(), Reason::InvalidField);
    assert_eq!(refusal.violations[0].field, "latest_acceptable_at");
}

#[tokio::test]
async fn stores_are_kept_message_by_message_and_a_bad_one_ends_the_stream() {
    let suite = Suite::start().await;
    let message = |numbers: std::ops::Range<u32>, orders_per_slot| UpsertStoresRequest {
        stores: numbers
            .map(|number| store_of(&format!("store-{number:04}"), orders_per_slot))
            .collect(),
        ..UpsertStoresRequest::default()
    };
    let messages = [
        message(0..1_000, 5),
        message(500..1_500, 6),
        message(0..1, 10_001),
        message(2_000..2_001, 5),
    ];
    let request = suite.with_token(stream::iter(messages), "stores:write", None);
    let answers = suite.stores(Identity::Staff).upsert_stores(request).await;
    let answers: Vec<_> = answers.unwrap().into_inner().collect().await;
    let counts: Vec<_> = answers
        .iter()
        .map(|answer| {
            let answer = answer.as_ref().ok()?;
            Some((answer.created, answer.updated))
        })
        .collect();
    assert_eq!(counts, [Some((1_000, 0)), Some((500, 500)), None]);
    let request = suite.with_token(
        GetStoreRequest {
            store_id: "store-0500".to_owned(),
        },
        "stores:read",
        None,
    );
    let store = suite.stores(Identity::Staff).get_store(request).await;
    let store = store.unwrap().into_inner().store.unwrap();
    assert_eq!(store.orders_per_slot, Some(6));
    assert_eq!(store.slot_minutes, Some(10));
}
