use tidegate_auth::Identity;
use tidegate_proto::order_intake::v1::{
    GetOrderRequest, GetStoreRequest, ListOrdersRequest, PlaceOrdersRequest,
};
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason;
use tonic::{Request, Status};

use crate::suite::{Suite, code, item, placed};

fn refused<T>(answer: Result<T, Status>) -> Reason {
    match answer {
        Ok(_) => panic!("it was let through"),
        Err(status) => reason_of(&status).unwrap(),
    }
}

fn all_of(shopper_id: &str) -> ListOrdersRequest {
    ListOrdersRequest {
        shopper_id: shopper_id.to_owned(),
        ..ListOrdersRequest::default()
    }
}

#[tokio::test]
async fn only_the_gateway_places_orders() {
    let suite = Suite::start().await;
    for identity in [Identity::Staff, Identity::Issuance] {
        let request = suite.with_token(PlaceOrdersRequest::default(), "orders:write", None);
        let answer = suite.orders(identity).place_orders(request).await;
        assert_eq!(refused(answer), Reason::PermissionDenied);
    }
}

#[tokio::test]
async fn staff_read_orders_with_the_scope_for_it_and_within_the_shopper_their_token_is_bound_to() {
    let suite = Suite::start().await;
    let order = placed(suite.place(item("alice", "r-1", &code(1))).await);
    let order = order.order.unwrap();
    let mut staff = suite.orders(Identity::Staff);
    let bare = staff.list_orders(all_of("alice")).await;
    assert_eq!(refused(bare), Reason::Unauthenticated);
    let other_scope = suite.with_token(all_of("alice"), "stores:read", None);
    assert_eq!(
        refused(staff.list_orders(other_scope).await),
        Reason::PermissionDenied
    );
    let bound = suite.with_token(all_of("alice"), "orders:read", Some("bob"));
    assert_eq!(
        refused(staff.list_orders(bound).await),
        Reason::PermissionDenied
    );
    let get = GetOrderRequest {
        shopper_id: "alice".to_owned(),
        order_id: order.order_id.clone(),
    };
    let request = suite.with_token(get, "orders:read", Some("alice"));
    let read = staff.get_order(request).await.unwrap();
    assert_eq!(read.into_inner().order, Some(order));
}

#[tokio::test]
async fn stores_are_for_staff_with_the_scope_for_them() {
    let suite = Suite::start().await;
    let get = || GetStoreRequest {
        store_id: "s-1".to_owned(),
    };
    let by_gateway = suite.stores(Identity::Gateway).get_store(get()).await;
    assert_eq!(refused(by_gateway), Reason::PermissionDenied);
    let mut staff = suite.stores(Identity::Staff);
    let bare = staff.get_store(Request::new(get())).await;
    assert_eq!(refused(bare), Reason::Unauthenticated);
    let request = suite.with_token(get(), "stores:read", None);
    let read = staff.get_store(request).await.unwrap();
    assert_eq!(read.into_inner().store.unwrap().display_name, "奶茶店");
    let unknown = GetStoreRequest {
        store_id: "s-2".to_owned(),
    };
    let request = suite.with_token(unknown, "stores:read", None);
    assert_eq!(
        refused(staff.get_store(request).await),
        Reason::StoreNotFound
    );
}
