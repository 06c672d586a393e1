use tidegate_auth::{Identity, Scope};
use tidegate_rpc::server::{CallContext, Limits, Rule, Work};
use tidegate_types::ShopperId;
use tonic::{Request, Status};

use super::status::to_status;
use crate::error::OrderIntakeError;

/// Full names of the gRPC services, for health and reflection.
pub(crate) const SERVICE_NAMES: &[&str] = &[
    "tidegate.order_intake.v1.OrderIntakeService",
    "tidegate.order_intake.v1.StoreService",
    "tidegate.order_intake.v1.FeedService",
];

const FIND_ORDER: &str = "/tidegate.order_intake.v1.OrderIntakeService/FindOrder";
const LIST_STORE_ORDERS: &str = "/tidegate.order_intake.v1.OrderIntakeService/ListStoreOrders";

/// Who may call what. A token counts only over a connection of staff.
pub const RULES: &[Rule] = &[
    Rule {
        path: "/tidegate.order_intake.v1.OrderIntakeService/PlaceOrders",
        services: &[Identity::Gateway],
        scope: None,
    },
    Rule {
        path: "/tidegate.order_intake.v1.OrderIntakeService/GetOrder",
        services: &[Identity::Gateway],
        scope: Some(Scope::OrdersRead),
    },
    Rule {
        path: "/tidegate.order_intake.v1.OrderIntakeService/ListOrders",
        services: &[Identity::Gateway],
        scope: Some(Scope::OrdersRead),
    },
    Rule {
        path: FIND_ORDER,
        services: &[],
        scope: Some(Scope::OrdersRead),
    },
    Rule {
        path: LIST_STORE_ORDERS,
        services: &[],
        scope: Some(Scope::OrdersRead),
    },
    Rule {
        path: "/tidegate.order_intake.v1.OrderIntakeService/WatchOrder",
        services: &[Identity::Gateway],
        scope: None,
    },
    Rule {
        path: "/tidegate.order_intake.v1.OrderIntakeService/CancelOrder",
        services: &[Identity::Gateway],
        scope: Some(Scope::OrdersWrite),
    },
    Rule {
        path: "/tidegate.order_intake.v1.OrderIntakeService/AdvanceOrder",
        services: &[],
        scope: Some(Scope::OrdersFulfil),
    },
    Rule {
        path: "/tidegate.order_intake.v1.OrderIntakeService/FailOrder",
        services: &[],
        scope: Some(Scope::OrdersFulfil),
    },
    Rule {
        path: "/tidegate.order_intake.v1.StoreService/AuditOrders",
        services: &[],
        scope: Some(Scope::StoresRead),
    },
    Rule {
        path: "/tidegate.order_intake.v1.StoreService/CloseStores",
        services: &[],
        scope: Some(Scope::StoresWrite),
    },
    Rule {
        path: "/tidegate.order_intake.v1.StoreService/SetStoreState",
        services: &[],
        scope: Some(Scope::StoresWrite),
    },
    Rule {
        path: "/tidegate.order_intake.v1.StoreService/UpsertStores",
        services: &[],
        scope: Some(Scope::StoresWrite),
    },
    Rule {
        path: "/tidegate.order_intake.v1.StoreService/GetStore",
        services: &[],
        scope: Some(Scope::StoresRead),
    },
    Rule {
        path: "/tidegate.order_intake.v1.StoreService/ListStores",
        services: &[],
        scope: Some(Scope::StoresRead),
    },
    Rule {
        path: "/tidegate.order_intake.v1.StoreService/ListChanges",
        services: &[],
        scope: Some(Scope::ChangesRead),
    },
    Rule {
        path: "/tidegate.order_intake.v1.FeedService/StreamOrders",
        services: &[],
        scope: Some(Scope::FeedRead),
    },
    Rule {
        path: "/tidegate.order_intake.v1.FeedService/AcknowledgeOrders",
        services: &[],
        scope: Some(Scope::FeedRead),
    },
];

/// Of the calls in flight, a half may be orders, and three eighths reads: no crowd of one keeps out another, and staff always find room.
pub(crate) fn limits(max_in_flight: usize) -> Limits {
    const ORDERS: &[&str] = &["/tidegate.order_intake.v1.OrderIntakeService/PlaceOrders"];
    // Only staff read these, and no crowd of shoppers who read keeps them out.
    const STAFF: &[&str] = &[FIND_ORDER, LIST_STORE_ORDERS];
    Limits::default()
        .with_work(Work::Orders, ORDERS)
        .with_work(Work::Staff, STAFF)
        .at_most(Work::Orders, max_in_flight.div_ceil(2))
        .at_most(Work::Browsing, max_in_flight / 8 * 3)
}

/// What the call layer knows of a call. It stands in front of every handler, so a call without it is a fault of the wiring.
pub(super) fn context_of<T>(request: &Request<T>) -> Result<CallContext, Status> {
    request
        .extensions()
        .get::<CallContext>()
        .cloned()
        .ok_or_else(|| to_status(OrderIntakeError::Internal))
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
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_method_of_the_contract_has_one_rule_and_no_rule_is_left_over() {
        let files = FileDescriptorSet::decode(tidegate_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut methods = BTreeSet::new();
        for file in files.file {
            let package = file.package().to_owned();
            for service in &file.service {
                let name = format!("{package}.{}", service.name());
                if SERVICE_NAMES.contains(&&*name) {
                    methods.extend(
                        service
                            .method
                            .iter()
                            .map(|method| format!("/{name}/{}", method.name())),
                    );
                }
            }
        }
        assert_eq!(methods.len(), RULES.len());
        assert_eq!(
            methods,
            RULES.iter().map(|rule| rule.path.to_owned()).collect()
        );
    }
}
