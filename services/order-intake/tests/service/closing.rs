use tidegate_proto::{
    order_intake::v1::{CloseStoresRequest, PendingOrders, close_stores_request::Stores},
    r#type::v1::{OrderState, Reason},
};
use tidegate_rpc::refusal::{from_status, reason_of};
use tidegate_types as types;

use crate::suite::{Suite, code, item, placed, refused};

fn closing(request_id: &str, pending_orders: PendingOrders) -> CloseStoresRequest {
    CloseStoresRequest {
        request_id: request_id.to_owned(),
        stores: Some(Stores::StoreId("s-1".to_owned())),
        reason: "杯子用完了".to_owned(),
        pending_orders: pending_orders.into(),
    }
}

#[tokio::test]
async fn closing_a_store_fails_its_orders_once_however_often_it_is_asked() {
    let suite = Suite::start().await;
    let mut orders = Vec::new();
    for number in 0..3 {
        let item = item(&format!("shopper-{number}"), "r", &code(number));
        orders.push(placed(suite.place(item).await).order.unwrap());
    }
    suite
        .advance(&orders[0], OrderState::InPreparation)
        .await
        .unwrap();
    for _ in 0..3 {
        let closed = suite.close(closing("c-1", PendingOrders::Fail)).await;
        let closed = closed.unwrap();
        assert!(closed.is_done);
        assert_eq!((closed.stores_closed, closed.orders_failed), (1, 2));
    }
    let states = [
        OrderState::InPreparation,
        OrderState::Failed,
        OrderState::Failed,
    ];
    for (order, state) in orders.iter().zip(states) {
        assert_eq!(suite.get(order).await.state(), state);
    }
    while suite.issuance.given_back().len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let late = refused(suite.place(item("late", "r", &code(9))).await);
    assert_eq!(late.reason(), Reason::StoreClosed);
}

#[tokio::test]
async fn a_closing_names_its_bad_fields_and_is_one_thing_under_one_name() {
    let suite = Suite::start().await;
    let nothing = CloseStoresRequest::default();
    let refused = suite.close(nothing).await.unwrap_err();
    let violations = from_status(&refused).violations;
    let fields: Vec<_> = violations.iter().map(|bad| &*bad.field).collect();
    assert_eq!(fields, ["request_id", "reason", "pending_orders", "stores"]);
    let keep = suite.close(closing("c-1", PendingOrders::Keep)).await;
    assert!(keep.unwrap().is_done);
    let other = suite.close(closing("c-1", PendingOrders::Fail)).await;
    let expected = Some(types::Reason::RequestIdConflict);
    assert_eq!(reason_of(&other.unwrap_err()), expected);
    let nowhere = CloseStoresRequest {
        stores: Some(Stores::Area("nowhere".to_owned())),
        ..closing("c-2", PendingOrders::Keep)
    };
    let refused = suite.close(nowhere).await.unwrap_err();
    let expected = Some(types::Reason::StoreNotFound);
    assert_eq!(reason_of(&refused), expected);
}
