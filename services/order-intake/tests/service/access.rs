use tidegate_auth::Identity::{self, Gateway, Issuance, Staff};
use tidegate_types::Reason::{self, InvalidField, PermissionDenied, Unauthenticated};

use crate::suite::Suite;

/// Who calls with which token's scope and the shopper it is bound to, what it is told, and the methods.
type Told = (
    Identity,
    Option<(&'static str, Option<&'static str>)>,
    Reason,
    &'static str,
);

const ANY: &str = "orders:write stores:read feed:read changes:read";

/// Only the gateway places and watches orders, and it does no more than its shoppers may. Staff
/// bring a token, and its scope is that of the call. What is of all shoppers is not for a token that
/// is bound to one. Those whom a call is for come as far as its fields, which are empty.
#[rustfmt::skip]
const TOLD: &[Told] = &[
    (Staff, Some(("orders:write", None)), PermissionDenied, "OrderIntakeService/PlaceOrders"),
    (Issuance, None, PermissionDenied, "OrderIntakeService/PlaceOrders"),
    (Staff, Some(("orders:read", None)), PermissionDenied, "OrderIntakeService/WatchOrder FeedService/StreamOrders"),
    (Gateway, None, PermissionDenied, "OrderIntakeService/FindOrder OrderIntakeService/ListStoreOrders OrderIntakeService/AdvanceOrder \
        OrderIntakeService/FailOrder StoreService/GetStore StoreService/ListStores StoreService/ListChanges StoreService/CloseStores \
        FeedService/StreamOrders"),
    (Staff, None, Unauthenticated, "OrderIntakeService/ListOrders OrderIntakeService/FindOrder OrderIntakeService/ListStoreOrders \
        StoreService/GetStore StoreService/ListChanges"),
    (Staff, Some((ANY, None)), PermissionDenied, "OrderIntakeService/ListOrders OrderIntakeService/FindOrder \
        OrderIntakeService/ListStoreOrders OrderIntakeService/AdvanceOrder OrderIntakeService/FailOrder StoreService/UpsertStores \
        StoreService/CloseStores"),
    (Staff, Some(("stores:write", None)), PermissionDenied, "StoreService/ListStores"),
    (Staff, Some(("stores:read", None)), PermissionDenied, "StoreService/ListChanges"),
    (Staff, Some(("orders:read", Some("ann"))), PermissionDenied, "OrderIntakeService/ListStoreOrders"),
    (Staff, Some(("changes:read", Some("ann"))), PermissionDenied, "StoreService/ListChanges"),
    (Gateway, None, InvalidField, "OrderIntakeService/ListOrders"),
    (Staff, Some(("orders:read", None)), InvalidField, "OrderIntakeService/ListOrders"),
    (Staff, Some(("orders:fulfil", None)), InvalidField, "OrderIntakeService/FailOrder"),
    (Staff, Some(("stores:read", None)), InvalidField, "StoreService/GetStore"),
    (Staff, Some(("stores:write", None)), InvalidField, "StoreService/CloseStores"),
    (Staff, Some(("feed:read", None)), InvalidField, "FeedService/StreamOrders"),
];

#[tokio::test]
async fn each_call_is_for_those_alone_whom_it_is_for() {
    let suite = Suite::start().await;
    for (identity, token, reason, methods) in TOLD {
        for method in methods.split(' ') {
            let told = suite.call(*identity, method, *token).await;
            let by = format!("{method} by {identity} with {token:?}");
            assert_eq!(told, Some(*reason), "{by}");
        }
    }
}
