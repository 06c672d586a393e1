use std::{collections::BTreeSet, time::SystemTime};

use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::{FindOrderRequest, ListStoreOrdersRequest, ListStoresRequest, StoreState},
    r#type::v1::{Order, OrderState},
};
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason;
use tonic::Status;

use crate::suite::{LANES, Suite, bad_fields, code, item, lane_of, store_of};

async fn find(suite: &Suite, order_id: &str, bound_to: Option<&str>) -> Result<Order, Status> {
    let message = FindOrderRequest {
        order_id: order_id.to_owned(),
    };
    let request = suite.with_token(message, "orders:read", bound_to);
    let found = suite.orders(Identity::Staff).find_order(request).await?;
    Ok(found.into_inner().order.unwrap())
}

async fn list(
    suite: &Suite,
    message: ListStoreOrdersRequest,
) -> Result<(Vec<Order>, String), Status> {
    let request = suite.with_token(message, "orders:read", None);
    let mut staff = suite.orders(Identity::Staff);
    let page = staff.list_store_orders(request).await?.into_inner();
    Ok((page.orders, page.next_page_token))
}

fn of(store_id: &str) -> ListStoreOrdersRequest {
    ListStoreOrdersRequest {
        store_id: store_id.to_owned(),
        page_size: 3,
        ..ListStoreOrdersRequest::default()
    }
}

async fn all(suite: &Suite, mut message: ListStoreOrdersRequest) -> Vec<Order> {
    let mut shown = Vec::new();
    loop {
        let (orders, next) = list(suite, message.clone()).await.unwrap();
        shown.extend(orders);
        if next.is_empty() {
            return shown;
        }
        message.page_token = next;
    }
}

fn reason<T>(answer: Result<T, Status>) -> Option<Reason> {
    answer.err().and_then(|status| reason_of(&status))
}

/// Orders of so many shoppers, in every lane.
async fn orders_of(suite: &Suite, shoppers: u32) -> Vec<Order> {
    let mut orders = Vec::new();
    for number in 0..shoppers {
        let item = item(&format!("shopper-{number}"), "r", &code(number));
        orders.push(suite.order(item).await);
    }
    let lanes = orders.iter().map(|order| lane_of(&order.shopper_id));
    let lanes: BTreeSet<_> = lanes.collect();
    assert_eq!(lanes.len(), usize::from(LANES));
    orders
}

#[tokio::test]
async fn staff_find_an_order_of_any_lane_by_its_id_alone() {
    let suite = Suite::start().await;
    for order in orders_of(&suite, 12).await {
        assert_eq!(find(&suite, &order.order_id, None).await.unwrap(), order);
        let shopper = Some(&*order.shopper_id);
        assert_eq!(find(&suite, &order.order_id, shopper).await.unwrap(), order);
        let other = find(&suite, &order.order_id, Some("somebody-else")).await;
        assert_eq!(reason(other), Some(Reason::PermissionDenied));
    }
    let unknown = find(&suite, "0192d3a0-0000-7000-8000-000000000000", None).await;
    assert_eq!(reason(unknown), Some(Reason::OrderNotFound));
    let refused = find(&suite, "no id", None).await.unwrap_err();
    assert_eq!(bad_fields(&refused)[0], "order_id");
}

#[tokio::test]
async fn staff_list_a_store_s_orders_of_all_lanes_by_slot_and_state() {
    let suite = Suite::start().await;
    suite.upsert(vec![store_of("s-1", 5)]).await.unwrap();
    let orders = orders_of(&suite, 14).await;
    let mut elsewhere = item("alice", "r", &code(99));
    elsewhere.store_id = "s-2".to_owned();
    suite.upsert_store("s-2").await;
    suite.order(elsewhere).await;
    suite.cancel(&orders[0]).await.unwrap();
    suite.fail(&orders[1], "no cups").await.unwrap();
    for step in [OrderState::InPreparation, OrderState::Ready] {
        suite.advance(&orders[2], step).await.unwrap();
    }
    let shown = all(&suite, of("s-1")).await;
    let ids = |orders: &[Order]| -> BTreeSet<String> {
        orders.iter().map(|order| order.order_id.clone()).collect()
    };
    assert_eq!((shown.len(), ids(&shown)), (14, ids(&orders)));
    let slot = |order: &Order| order.slot.unwrap().starts_at.unwrap();
    assert!(shown.is_sorted_by_key(|order| slot(order).seconds));
    for order in &shown {
        assert_eq!(*order, suite.get(order).await);
    }
    let states = [OrderState::Cancelled, OrderState::Failed, OrderState::Ready];
    for (order, state) in orders.iter().zip(states) {
        let message = ListStoreOrdersRequest {
            states: vec![state.into()],
            ..of("s-1")
        };
        let shown = all(&suite, message).await;
        assert_eq!(ids(&shown), ids(std::slice::from_ref(order)));
    }
    let second = shown.iter().map(slot).find(|at| *at != slot(&shown[0]));
    let message = |from, until| ListStoreOrdersRequest {
        from,
        until,
        ..of("s-1")
    };
    let first_slot = all(&suite, message(None, second)).await;
    let later = all(&suite, message(second, None)).await;
    assert_eq!([first_slot, later].concat(), shown);
    assert_eq!(all(&suite, of("s-2")).await.len(), 1);
}

#[tokio::test]
async fn every_bad_field_of_a_list_of_orders_is_named_and_an_unknown_store_is_not_found() {
    let suite = Suite::start().await;
    let unknown = list(&suite, of("s-9")).await;
    assert_eq!(reason(unknown), Some(Reason::StoreNotFound));
    assert_eq!(all(&suite, of("s-1")).await, []);
    let now = SystemTime::now();
    let message = ListStoreOrdersRequest {
        store_id: String::new(),
        states: vec![OrderState::Ready.into(), 0, 99],
        from: Some(now.into()),
        until: Some(now.into()),
        page_size: 101,
        page_token: "x".to_owned(),
    };
    let refused = list(&suite, message).await.unwrap_err();
    let fields = bad_fields(&refused).join(" ");
    let expected = "store_id states[1] states[2] until page_size page_token";
    assert_eq!(fields, expected);
    let crowded = ListStoreOrdersRequest {
        states: vec![OrderState::Ready.into(); 9],
        ..of("s-1")
    };
    let refused = list(&suite, crowded).await.unwrap_err();
    assert_eq!(bad_fields(&refused)[0], "states");
}

#[tokio::test]
async fn staff_list_stores_by_area_and_state_page_by_page() {
    let suite = Suite::start().await;
    let mut stores: Vec<_> = (0..7)
        .map(|number| store_of(&format!("t-{number}"), 5))
        .collect();
    stores[5].area = "east".to_owned();
    stores[3].state = StoreState::Closed.into();
    stores[5].state = StoreState::Closed.into();
    suite.upsert(stores).await.unwrap();
    let list = async |message: ListStoresRequest| {
        let request = suite.with_token(message, "stores:read", None);
        let page = suite.stores(Identity::Staff).list_stores(request).await?;
        let page = page.into_inner();
        let ids = page.stores.into_iter().map(|store| store.store_id);
        let ids = ids.collect::<Vec<_>>().join(" ");
        Ok::<_, Status>((ids, page.next_page_token))
    };
    let first = ListStoresRequest {
        page_size: 5,
        ..ListStoresRequest::default()
    };
    let (ids, next) = list(first.clone()).await.unwrap();
    assert_eq!(ids, "s-1 t-0 t-1 t-2 t-3");
    let second = ListStoresRequest {
        page_token: next,
        ..first.clone()
    };
    let last = ("t-4 t-5 t-6".to_owned(), String::new());
    assert_eq!(list(second).await.unwrap(), last);
    let closed = ListStoresRequest {
        state: StoreState::Closed.into(),
        ..first
    };
    assert_eq!(list(closed.clone()).await.unwrap().0, "t-3 t-5");
    let of_west = ListStoresRequest {
        area: "west".to_owned(),
        ..closed
    };
    assert_eq!(list(of_west).await.unwrap().0, "t-3");
    let bad = ListStoresRequest {
        area: "a b".to_owned(),
        state: 9,
        page_size: 101,
        page_token: " ".to_owned(),
    };
    let fields = bad_fields(&list(bad).await.unwrap_err());
    assert_eq!(fields, ["area", "state", "page_size", "page_token"]);
}
