use tidegate_auth::Identity::{self, Gateway, Issuance, Staff};
use tidegate_types::Reason::{self, PermissionDenied, Unauthenticated};

use crate::suite::Suite;

/// A token's scope, and the shopper that it is bound to.
type Token = Option<(&'static str, Option<&'static str>)>;

#[tokio::test]
async fn each_call_is_for_those_alone_whom_it_is_for() {
    let suite = Suite::start().await;
    let any = "orders:write stores:read feed:read changes:read";
    let calls: &[(&str, Identity, Token, Reason)] = &[
        // Only the gateway places and watches orders, and it does no more than its shoppers may.
        (
            "OrderIntakeService/PlaceOrders",
            Staff,
            Some(("orders:write", None)),
            PermissionDenied,
        ),
        (
            "OrderIntakeService/PlaceOrders",
            Issuance,
            None,
            PermissionDenied,
        ),
        (
            "OrderIntakeService/WatchOrder",
            Staff,
            Some(("orders:read", None)),
            PermissionDenied,
        ),
        (
            "OrderIntakeService/FindOrder",
            Gateway,
            None,
            PermissionDenied,
        ),
        (
            "OrderIntakeService/ListStoreOrders",
            Gateway,
            None,
            PermissionDenied,
        ),
        (
            "OrderIntakeService/AdvanceOrder",
            Gateway,
            None,
            PermissionDenied,
        ),
        (
            "OrderIntakeService/FailOrder",
            Gateway,
            None,
            PermissionDenied,
        ),
        ("StoreService/GetStore", Gateway, None, PermissionDenied),
        ("StoreService/ListStores", Gateway, None, PermissionDenied),
        ("StoreService/ListChanges", Gateway, None, PermissionDenied),
        ("StoreService/CloseStores", Gateway, None, PermissionDenied),
        ("FeedService/StreamOrders", Gateway, None, PermissionDenied),
        // Staff bring a token, and its scope is that of the call.
        (
            "OrderIntakeService/ListOrders",
            Staff,
            None,
            Unauthenticated,
        ),
        ("OrderIntakeService/FindOrder", Staff, None, Unauthenticated),
        (
            "OrderIntakeService/ListStoreOrders",
            Staff,
            None,
            Unauthenticated,
        ),
        ("StoreService/GetStore", Staff, None, Unauthenticated),
        ("StoreService/ListChanges", Staff, None, Unauthenticated),
        (
            "OrderIntakeService/ListOrders",
            Staff,
            Some((any, None)),
            PermissionDenied,
        ),
        (
            "OrderIntakeService/FindOrder",
            Staff,
            Some((any, None)),
            PermissionDenied,
        ),
        (
            "OrderIntakeService/ListStoreOrders",
            Staff,
            Some((any, None)),
            PermissionDenied,
        ),
        (
            "OrderIntakeService/AdvanceOrder",
            Staff,
            Some((any, None)),
            PermissionDenied,
        ),
        (
            "OrderIntakeService/FailOrder",
            Staff,
            Some((any, None)),
            PermissionDenied,
        ),
        (
            "StoreService/UpsertStores",
            Staff,
            Some((any, None)),
            PermissionDenied,
        ),
        (
            "StoreService/CloseStores",
            Staff,
            Some((any, None)),
            PermissionDenied,
        ),
        (
            "StoreService/ListStores",
            Staff,
            Some(("stores:write", None)),
            PermissionDenied,
        ),
        (
            "StoreService/ListChanges",
            Staff,
            Some(("stores:read", None)),
            PermissionDenied,
        ),
        (
            "FeedService/StreamOrders",
            Staff,
            Some(("orders:read", None)),
            PermissionDenied,
        ),
        // What is of all shoppers is not for a token that is bound to one.
        (
            "OrderIntakeService/ListStoreOrders",
            Staff,
            Some(("orders:read", Some("ann"))),
            PermissionDenied,
        ),
        (
            "StoreService/ListChanges",
            Staff,
            Some(("changes:read", Some("ann"))),
            PermissionDenied,
        ),
    ];
    for (method, identity, token, reason) in calls {
        let refused = suite.call(*identity, method, *token).await;
        assert_eq!(
            refused,
            Some(*reason),
            "{method} by {identity} with {token:?}"
        );
    }
    // Those whom it is for come as far as the fields, which are empty.
    for (method, identity, token) in [
        ("OrderIntakeService/ListOrders", Gateway, None),
        (
            "OrderIntakeService/ListOrders",
            Staff,
            Some(("orders:read", None)),
        ),
        (
            "OrderIntakeService/FailOrder",
            Staff,
            Some(("orders:fulfil", None)),
        ),
        ("StoreService/GetStore", Staff, Some(("stores:read", None))),
        (
            "StoreService/CloseStores",
            Staff,
            Some(("stores:write", None)),
        ),
        ("FeedService/StreamOrders", Staff, Some(("feed:read", None))),
    ] {
        let refused = suite.call(identity, method, token).await;
        assert_eq!(refused, Some(Reason::InvalidField), "{method}");
    }
}
