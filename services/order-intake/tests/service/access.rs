use tidegate_auth::Identity::{self, Gateway, Issuance, Staff};
use tidegate_types::Reason::{self, PermissionDenied, Unauthenticated};

use crate::suite::Suite;

/// A token's scope, and the shopper that it is bound to.
type Token = Option<(&'static str, Option<&'static str>)>;

/// Who calls with which token, what it is told, and the methods.
type Refused = (Identity, Token, Reason, &'static [&'static str]);

const ANY: &str = "orders:write stores:read feed:read changes:read";

/// Only the gateway places and watches orders, and it does no more than its shoppers may. Staff
/// bring a token, and its scope is that of the call. What is of all shoppers is not for a token that
/// is bound to one.
const REFUSED: &[Refused] = &[
    (
        Staff,
        Some(("orders:write", None)),
        PermissionDenied,
        &["OrderIntakeService/PlaceOrders"],
    ),
    (
        Issuance,
        None,
        PermissionDenied,
        &["OrderIntakeService/PlaceOrders"],
    ),
    (
        Staff,
        Some(("orders:read", None)),
        PermissionDenied,
        &["OrderIntakeService/WatchOrder", "FeedService/StreamOrders"],
    ),
    (
        Gateway,
        None,
        PermissionDenied,
        &[
            "OrderIntakeService/FindOrder",
            "OrderIntakeService/ListStoreOrders",
            "OrderIntakeService/AdvanceOrder",
            "OrderIntakeService/FailOrder",
            "StoreService/GetStore",
            "StoreService/ListStores",
            "StoreService/ListChanges",
            "StoreService/CloseStores",
            "FeedService/StreamOrders",
        ],
    ),
    (
        Staff,
        None,
        Unauthenticated,
        &[
            "OrderIntakeService/ListOrders",
            "OrderIntakeService/FindOrder",
            "OrderIntakeService/ListStoreOrders",
            "StoreService/GetStore",
            "StoreService/ListChanges",
        ],
    ),
    (
        Staff,
        Some((ANY, None)),
        PermissionDenied,
        &[
            "OrderIntakeService/ListOrders",
            "OrderIntakeService/FindOrder",
            "OrderIntakeService/ListStoreOrders",
            "OrderIntakeService/AdvanceOrder",
            "OrderIntakeService/FailOrder",
            "StoreService/UpsertStores",
            "StoreService/CloseStores",
        ],
    ),
    (
        Staff,
        Some(("stores:write", None)),
        PermissionDenied,
        &["StoreService/ListStores"],
    ),
    (
        Staff,
        Some(("stores:read", None)),
        PermissionDenied,
        &["StoreService/ListChanges"],
    ),
    (
        Staff,
        Some(("orders:read", Some("ann"))),
        PermissionDenied,
        &["OrderIntakeService/ListStoreOrders"],
    ),
    (
        Staff,
        Some(("changes:read", Some("ann"))),
        PermissionDenied,
        &["StoreService/ListChanges"],
    ),
];

#[tokio::test]
async fn each_call_is_for_those_alone_whom_it_is_for() {
    let suite = Suite::start().await;
    for (identity, token, reason, methods) in REFUSED {
        for method in *methods {
            let refused = suite.call(*identity, method, *token).await;
            assert_eq!(
                refused,
                Some(*reason),
                "{method} by {identity} with {token:?}"
            );
        }
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
