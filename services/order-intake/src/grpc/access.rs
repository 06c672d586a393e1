use tidegate_rpc::{
    access_rules,
    server::{CallContext, Limits, Rule, Work},
};
use tidegate_types::ShopperId;
use tonic::Request;

use crate::error::OrderIntakeError;

/// Full names of the gRPC services, for health and reflection.
pub(crate) const SERVICE_NAMES: &[&str] = &[
    "tidegate.order_intake.v1.OrderIntakeService",
    "tidegate.order_intake.v1.StoreService",
    "tidegate.order_intake.v1.FeedService",
];

/// Who may call what. A token counts only over a connection of staff.
pub const RULES: &[Rule] = access_rules! {
    "tidegate.order_intake.v1.OrderIntakeService" {
        PlaceOrders: Orders, by [Gateway];
        WatchOrder: Streams, by [Gateway];
        GetOrder: Browsing, by [Gateway], token OrdersRead;
        ListOrders: Browsing, by [Gateway], token OrdersRead;
        // Only staff read these, and no crowd of shoppers who read keeps them out.
        FindOrder: Staff, token OrdersRead;
        ListStoreOrders: Staff, token OrdersRead;
        CancelOrder: Orders, by [Gateway], token OrdersWrite;
        AdvanceOrder: Staff, token OrdersFulfil;
        FailOrder: Staff, token OrdersFulfil;
    }
    "tidegate.order_intake.v1.StoreService" {
        GetStore: Staff, token StoresRead;
        ListStores: Staff, token StoresRead;
        AuditOrders: Staff, token StoresRead;
        UpsertStores: Streams, token StoresWrite;
        SetStoreState: Staff, token StoresWrite;
        CloseStores: Staff, token StoresWrite;
        ListChanges: Staff, token ChangesRead;
    }
    "tidegate.order_intake.v1.FeedService" {
        StreamOrders: Streams, token FeedRead;
        AcknowledgeOrders: Staff, token FeedRead;
    }
};

/// Of the calls in flight, a half may be orders, and three eighths reads: no crowd of one keeps out
/// another, and staff always find one free.
pub(crate) fn limits(max_in_flight: usize) -> Limits {
    Limits::default()
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
    use tidegate_rpc::server::faults_of_rules;

    use super::*;

    #[test]
    fn every_method_of_the_contract_has_one_rule_and_no_rule_is_left_over() {
        assert_eq!(faults_of_rules(RULES, SERVICE_NAMES), [""; 0]);
    }
}
