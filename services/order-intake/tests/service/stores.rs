use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, future::join_all, stream};
use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::{
        CloseStoresRequest, GetStoreRequest, PendingOrders, PlaceOrderItem, UpsertStoresRequest,
        close_stores_request::Stores,
    },
    r#type::v1::Reason,
};

use crate::suite::{Suite, bad_fields, code, item, placed, refused, store_of};

#[tokio::test]
async fn everybody_who_meets_a_full_store_is_told_of_others_also_if_many_are_full() {
    let suite = Suite::start().await;
    let mut stores = vec![store_of("s-0", 60)];
    stores.extend((1..21).map(|number| store_of(&format!("s-{number}"), 1)));
    suite.upsert(stores).await.unwrap();
    let suite = &suite;
    let place_at_all = async |round: u32| {
        let placing = (1..21).map(|store| {
            let number = 100 * round + store;
            let latest = SystemTime::now() + Duration::from_secs(1);
            suite.place(PlaceOrderItem {
                store_id: format!("s-{store}"),
                latest_acceptable_at: Some(latest.into()),
                suggest_stores: true,
                ..item("alice", &format!("r-{number}"), &code(number))
            })
        });
        join_all(placing).await
    };
    for order in place_at_all(1).await {
        placed(order);
    }
    for refusal in place_at_all(2).await {
        let refusal = refused(refusal);
        assert_eq!(refusal.reason(), Reason::StoreBusy);
        let suggested = &refusal.metadata["suggested_stores"];
        assert!(suggested.contains("s-0"), "{suggested}");
    }
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
    let message = GetStoreRequest {
        store_id: "store-0500".to_owned(),
    };
    let request = suite.with_token(message, "stores:read", None);
    let store = suite.stores(Identity::Staff).get_store(request).await;
    let store = store.unwrap().into_inner().store.unwrap();
    assert_eq!(store.orders_per_slot, Some(6));
    assert_eq!(store.slot_minutes, Some(10));
}

#[tokio::test]
async fn a_closing_names_its_bad_fields_and_is_done_once_its_stores_are_closed() {
    let suite = Suite::start().await;
    let nothing = CloseStoresRequest::default();
    let refused = suite.close(nothing).await.unwrap_err();
    let fields = bad_fields(&refused);
    assert_eq!(fields, ["request_id", "reason", "pending_orders", "stores"]);
    let closing = CloseStoresRequest {
        request_id: "c-1".to_owned(),
        stores: Some(Stores::StoreId("s-1".to_owned())),
        reason: "杯子用完了".to_owned(),
        pending_orders: PendingOrders::Keep.into(),
    };
    assert!(suite.close(closing).await.unwrap().is_done);
}
