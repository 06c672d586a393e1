//! The gRPC face: decode, call, encode.

mod convert;
mod feed_service;
mod order_service;
mod status;
mod store_service;

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Instant,
};

use futures_util::Stream;
use tidegate_proto::order_intake::v1::{
    feed_service_server::FeedServiceServer, order_intake_service_server::OrderIntakeServiceServer,
    store_service_server::StoreServiceServer,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES, access_rules,
    server::{CallContext, Limits, Rule, Work, for_next_hop},
};
use tidegate_runtime::DetachedWork;
use tidegate_types::{Lanes, ShopperId};
use tonic::{Request, Response, Status, service::Routes};

use crate::{
    audit::Auditor,
    close::Closer,
    domain::{GatewayMeans, RetentionPeriod},
    error::{OrderIntakeError, Result},
    feed::Feed,
    metrics::Metrics,
    moves::Mover,
    place::Placer,
    store::Store,
    watch::Watcher,
};

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) lanes: Lanes,
    /// How orders stand at all gateways.
    pub(crate) gateway_means: Arc<Mutex<GatewayMeans>>,
    pub(crate) store: Store,
    pub(crate) placer: Placer,
    pub(crate) mover: Mover,
    pub(crate) watcher: Watcher,
    pub(crate) feed: Feed,
    pub(crate) closer: Closer,
    pub(crate) auditor: Auditor,
    pub(crate) metrics: Metrics,
    /// How long orders can be listed.
    pub(crate) period: RetentionPeriod,
    pub(crate) work: DetachedWork,
}

impl Server {
    pub(crate) fn add_to(self, routes: Routes) -> Routes {
        let orders = OrderIntakeServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let stores =
            StoreServiceServer::new(self.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let feed = FeedServiceServer::new(self);
        routes
            .add_service(orders)
            .add_service(stores)
            .add_service(feed)
    }

    /// What comes of work that goes on when its caller hangs up.
    async fn run_detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.work.run(work).await?
    }
}

/// When work has to be done for a caller who waits until `asked`.
fn for_work_here(asked: Instant) -> Result<Instant> {
    let now = Instant::now();
    let left = for_next_hop(asked, now).ok_or(OrderIntakeError::OutcomeUnknown)?;
    Ok(now + left)
}

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
fn context_of<T>(request: &Request<T>) -> Result<CallContext> {
    request
        .extensions()
        .get::<CallContext>()
        .cloned()
        .ok_or(OrderIntakeError::Internal)
}

/// A token may be bound to one shopper; the gateway has checked its own callers' tokens.
fn check_shopper(context: &CallContext, shopper: &ShopperId) -> Result<()> {
    match &context.caller {
        Some(caller) if !caller.may_act_for(shopper) => Err(OrderIntakeError::OtherShopper),
        _ => Ok(()),
    }
}

/// What is of all shoppers is not for a token that is bound to one.
fn check_unbound(context: &CallContext) -> Result<()> {
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
