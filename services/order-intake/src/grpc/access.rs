use tidegate_auth::{Identity, Scope};
use tidegate_rpc::server::{CallContext, Limits, Rule, Work};
use tidegate_types::ShopperId;
use tonic::Request;

use crate::error::OrderIntakeError;

/// Full names of the gRPC services, for health and reflection.
pub(crate) const SERVICE_NAMES: &[&str] = &[
    "tidegate.order_intake.v1.OrderIntakeService",
    "tidegate.order_intake.v1.StoreService",
    "tidegate.order_intake.v1.FeedService",
];

const PLACE_ORDERS: &str = "/tidegate.order_intake.v1.OrderIntakeService/PlaceOrders";
const FIND_ORDER: &str = "/tidegate.order_intake.v1.OrderIntakeService/FindOrder";
const LIST_STORE_ORDERS: &str = "/tidegate.order_intake.v1.OrderIntakeService/ListStoreOrders";

macro_rules! rule {
    ($method:literal, $services:expr, $scope:expr) => {
        Rule {
            path: concat!("/tidegate.order_intake.v1.", $method),
            services: $services,
            scope: $scope,
        }
    };
}

/// The gateway calls for its shoppers; it has checked their tokens.
const GATEWAY: &[Identity] = &[Identity::Gateway];
const READ: Option<Scope> = Some(Scope::OrdersRead);
const FULFIL: Option<Scope> = Some(Scope::OrdersFulfil);
const STORES_READ: Option<Scope> = Some(Scope::StoresRead);
const STORES_WRITE: Option<Scope> = Some(Scope::StoresWrite);
const FEED: Option<Scope> = Some(Scope::FeedRead);

/// Who may call what. A token counts only over a connection of staff.
pub const RULES: &[Rule] = &[
    rule!("OrderIntakeService/PlaceOrders", GATEWAY, None),
    rule!("OrderIntakeService/WatchOrder", GATEWAY, None),
    rule!("OrderIntakeService/GetOrder", GATEWAY, READ),
    rule!("OrderIntakeService/ListOrders", GATEWAY, READ),
    rule!("OrderIntakeService/FindOrder", &[], READ),
    rule!("OrderIntakeService/ListStoreOrders", &[], READ),
    rule!(
        "OrderIntakeService/CancelOrder",
        GATEWAY,
        Some(Scope::OrdersWrite)
    ),
    rule!("OrderIntakeService/AdvanceOrder", &[], FULFIL),
    rule!("OrderIntakeService/FailOrder", &[], FULFIL),
    rule!("StoreService/GetStore", &[], STORES_READ),
    rule!("StoreService/ListStores", &[], STORES_READ),
    rule!("StoreService/AuditOrders", &[], STORES_READ),
    rule!("StoreService/UpsertStores", &[], STORES_WRITE),
    rule!("StoreService/SetStoreState", &[], STORES_WRITE),
    rule!("StoreService/CloseStores", &[], STORES_WRITE),
    rule!("StoreService/ListChanges", &[], Some(Scope::ChangesRead)),
    rule!("FeedService/StreamOrders", &[], FEED),
    rule!("FeedService/AcknowledgeOrders", &[], FEED),
];

/// Of the calls in flight, a half may be orders, and three eighths reads: no crowd of one keeps out
/// another, and staff always find one free.
pub(crate) fn limits(max_in_flight: usize) -> Limits {
    // Only staff read these, and no crowd of shoppers who read keeps them out.
    const STAFF: &[&str] = &[FIND_ORDER, LIST_STORE_ORDERS];
    Limits::default()
        .with_work(Work::Orders, &[PLACE_ORDERS])
        .with_work(Work::Staff, STAFF)
        .at_most(Work::Orders, max_in_flight.div_ceil(2))
        .at_most(Work::Browsing, max_in_flight / 8 * 3)
}

/// What the call layer knows of a call. It stands in front of every handler, so a call without it
/// is a fault of the wiring.
pub(super) fn context_of<T>(request: &Request<T>) -> Result<CallContext, OrderIntakeError> {
    request
        .extensions()
        .get::<CallContext>()
        .cloned()
        .ok_or(OrderIntakeError::Internal)
}

/// A token may be bound to one shopper; the gateway has checked its own callers' tokens.
pub(super) fn check_shopper(
    context: &CallContext,
    shopper: &ShopperId,
) -> Result<(), OrderIntakeError> {
    match &context.caller {
        Some(caller) if !caller.may_act_for(shopper) => Err(OrderIntakeError::OtherShopper),
        _ => Ok(()),
    }
}

/// What is of all shoppers is not for a token that is bound to one.
pub(super) fn check_unbound(context: &CallContext) -> Result<(), OrderIntakeError> {
    match &context.caller {
        Some(caller) if caller.shopper.is_some() => Err(OrderIntakeError::BoundToShopper),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_contract_has_one_rule_and_no_rule_is_left_over() {
        let mut methods = tidegate_proto::methods(SERVICE_NAMES);
        let mut ruled: Vec<_> = RULES.iter().map(|rule| rule.path.to_owned()).collect();
        methods.sort();
        ruled.sort();
        assert_eq!(ruled, methods);
    }
}
