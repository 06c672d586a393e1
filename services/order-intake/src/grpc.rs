//! The gRPC face: decode, call, encode.

mod access;
mod convert;
mod status;

use std::{pin::Pin, time::Instant};

use futures_util::{Stream, future::join_all, stream::StreamExt as _};
use tidegate_proto::order_intake::v1::{
    self as proto,
    order_intake_service_server::{OrderIntakeService, OrderIntakeServiceServer},
    store_service_server::{StoreService, StoreServiceServer},
};
use tidegate_rpc::{MAX_MESSAGE_BYTES, server::for_next_hop};
use tidegate_types::Lanes;
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, service::Routes};

pub use access::RULES;
pub(crate) use access::SERVICE_NAMES;

use crate::{
    error::OrderIntakeError,
    metrics::Metrics,
    place::{PlacedOrder, Placer},
    store::Store,
    watch::Watcher,
};
use access::{check_shopper, context_of};
use convert::PlaceItem;
use status::to_status;

/// Both gRPC services of order-intake. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) lanes: Lanes,
    pub(crate) store: Store,
    pub(crate) placer: Placer,
    pub(crate) watcher: Watcher,
    pub(crate) metrics: Metrics,
    /// Keeps what must not end with the call that began it.
    pub(crate) tasks: TaskTracker,
}

impl Server {
    pub(crate) fn add_to(self, routes: Routes) -> Routes {
        let orders = OrderIntakeServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let stores = StoreServiceServer::new(self).max_decoding_message_size(MAX_MESSAGE_BYTES);
        routes.add_service(orders).add_service(stores)
    }

    /// Places one item in a task of its own, since a caller that hangs up must not cancel what is on its way.
    async fn place(
        &self,
        item: Result<PlaceItem, OrderIntakeError>,
        call_deadline: Instant,
    ) -> Result<PlacedOrder, OrderIntakeError> {
        let item = item?;
        let now = Instant::now();
        let asked = item
            .patience
            .map_or(call_deadline, |patience| call_deadline.min(now + patience));
        let left = for_next_hop(asked, now).ok_or(OrderIntakeError::OutcomeUnknown)?;
        let deadline = now + left;
        let placing = self
            .tasks
            .spawn(self.placer.clone().place(item.draft, item.trace, deadline));
        // The task answers PENDING at its deadline, which lies before that of the caller by the margin of a hop.
        match timeout_at(asked.into(), placing).await {
            Ok(Ok(placed)) => placed,
            Ok(Err(_)) => Err(OrderIntakeError::Internal),
            Err(_) => Err(OrderIntakeError::OutcomeUnknown),
        }
    }
}

#[tonic::async_trait]
impl OrderIntakeService for Server {
    type WatchOrderStream =
        Pin<Box<dyn Stream<Item = Result<proto::WatchOrderResponse, Status>> + Send>>;

    async fn place_orders(
        &self,
        request: Request<proto::PlaceOrdersRequest>,
    ) -> Result<Response<proto::PlaceOrdersResponse>, Status> {
        let context = context_of(&request)?;
        let items = convert::place_items(request.into_inner(), self.lanes).map_err(to_status)?;
        let placing = items
            .into_iter()
            .map(|item| self.place(item, context.deadline));
        let results = join_all(placing)
            .await
            .into_iter()
            .map(|outcome| convert::place_result(outcome, &self.metrics))
            .collect();
        Ok(Response::new(proto::PlaceOrdersResponse { results }))
    }

    async fn get_order(
        &self,
        request: Request<proto::GetOrderRequest>,
    ) -> Result<Response<proto::GetOrderResponse>, Status> {
        let context = context_of(&request)?;
        let request = request.into_inner();
        let (shopper, order_id) =
            convert::order_key(&request.shopper_id, &request.order_id).map_err(to_status)?;
        check_shopper(&context, &shopper).map_err(to_status)?;
        let order = self
            .store
            .get_order(&shopper, order_id)
            .await
            .map_err(to_status)?;
        Ok(Response::new(proto::GetOrderResponse {
            order: Some(convert::order(order)),
        }))
    }

    async fn list_orders(
        &self,
        request: Request<proto::ListOrdersRequest>,
    ) -> Result<Response<proto::ListOrdersResponse>, Status> {
        let context = context_of(&request)?;
        let (shopper, size, after) =
            convert::list_query(&request.into_inner()).map_err(to_status)?;
        check_shopper(&context, &shopper).map_err(to_status)?;
        let (orders, next) = self
            .store
            .list_orders(&shopper, size, after)
            .await
            .map_err(to_status)?;
        Ok(Response::new(proto::ListOrdersResponse {
            orders: orders.into_iter().map(convert::order).collect(),
            next_page_token: next.map_or(String::new(), |place| place.token()),
        }))
    }

    async fn watch_order(
        &self,
        request: Request<proto::WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let request = request.into_inner();
        let (shopper, order_id) =
            convert::order_key(&request.shopper_id, &request.order_id).map_err(to_status)?;
        let steps = self
            .watcher
            .watch(shopper, order_id)
            .await
            .map_err(to_status)?;
        let steps = steps.map(|step| match step {
            Ok(order) => Ok(proto::WatchOrderResponse {
                order: Some(convert::order(order)),
            }),
            Err(error) => Err(to_status(error)),
        });
        Ok(Response::new(Box::pin(steps)))
    }
}

#[tonic::async_trait]
impl StoreService for Server {
    async fn upsert_stores(
        &self,
        request: Request<proto::UpsertStoresRequest>,
    ) -> Result<Response<proto::UpsertStoresResponse>, Status> {
        let stores = convert::stores(request.into_inner()).map_err(to_status)?;
        let (store, count) = (self.store.clone(), stores.len());
        let upserting = self
            .tasks
            .spawn(async move { store.upsert_stores(stores).await });
        let created = upserting
            .await
            .unwrap_or(Err(OrderIntakeError::Internal))
            .map_err(to_status)?;
        Ok(Response::new(convert::upserted(count, created)))
    }

    async fn get_store(
        &self,
        request: Request<proto::GetStoreRequest>,
    ) -> Result<Response<proto::GetStoreResponse>, Status> {
        let id = convert::store_id(&request.into_inner().store_id).map_err(to_status)?;
        let store = self.store.get_store(&id).await.map_err(to_status)?;
        Ok(Response::new(proto::GetStoreResponse {
            store: Some(convert::store(store)),
        }))
    }
}
