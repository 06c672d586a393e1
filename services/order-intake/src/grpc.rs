//! The gRPC face: decode, call, encode.

mod access;
mod convert;
mod feed_service;
mod order_service;
mod status;
mod store_service;

use tidegate_proto::order_intake::v1::{
    feed_service_server::FeedServiceServer, order_intake_service_server::OrderIntakeServiceServer,
    store_service_server::StoreServiceServer,
};
use tidegate_rpc::MAX_MESSAGE_BYTES;
use tidegate_runtime::DetachedWork;
use tidegate_types::Lanes;
use tonic::service::Routes;

pub use access::RULES;
pub(crate) use access::{SERVICE_NAMES, limits};

use crate::{
    audit::Auditor, close::Closer, domain::RetentionPeriod, error::OrderIntakeError, feed::Feed,
    metrics::Metrics, moves::Mover, place::Placer, store::Store, watch::Watcher,
};

/// The gRPC services of order-intake. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) lanes: Lanes,
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
        work: impl Future<Output = Result<T, OrderIntakeError>> + Send + 'static,
    ) -> Result<T, OrderIntakeError> {
        self.work.run(work).await?
    }
}
