use tidegate_proto::order_intake::v1::{
    CloseStoresRequest, PendingOrders, close_stores_request::Stores,
};
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason;

use crate::suite::{Suite, bad_fields};

fn closing(request_id: &str, pending_orders: PendingOrders) -> CloseStoresRequest {
    CloseStoresRequest {
        request_id: request_id.to_owned(),
        stores: Some(Stores::StoreId("s-1".to_owned())),
        reason: "杯子用完了".to_owned(),
        pending_orders: pending_orders.into(),
    }
}

#[tokio::test]
async fn a_closing_names_its_bad_fields_and_is_one_thing_under_one_name() {
    let suite = Suite::start().await;
    let nothing = CloseStoresRequest::default();
    let refused = suite.close(nothing).await.unwrap_err();
    let fields = bad_fields(&refused);
    assert_eq!(fields, ["request_id", "reason", "pending_orders", "stores"]);
    let keep = suite.close(closing("c-1", PendingOrders::Keep)).await;
    assert!(keep.unwrap().is_done);
    let nowhere = CloseStoresRequest {
        stores: Some(Stores::Area("nowhere".to_owned())),
        ..closing("c-2", PendingOrders::Keep)
    };
    for (message, reason) in [
        (
            closing("c-1", PendingOrders::Fail),
            Reason::RequestIdConflict,
        ),
        (nowhere, Reason::StoreNotFound),
    ] {
        let refused = suite.close(message).await.unwrap_err();
        assert_eq!(reason_of(&refused), Some(reason));
    }
}
