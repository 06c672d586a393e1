use std::{pin::Pin, sync::Arc};

use futures_util::StreamExt as _;
use tidegate_proto::gateway::v1::{
    CancelOrderRequest, CancelOrderResponse, GetOrderRequest, GetOrderResponse, ListOrdersRequest,
    ListOrdersResponse, PlaceOrderRequest, PlaceOrderResponse, WatchOrderRequest,
    WatchOrderResponse, order_service_server::OrderService,
};
use tidegate_rpc::{PREVIOUS_ATTEMPTS_HEADER, refusal};
use tidegate_telemetry::TraceContext;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{check_shopper, convert, open, status::answered};
use crate::{
    concurrency_limits::ConcurrencyLimit, error::GatewayError, metrics::GatewayMetrics,
    orders::Orders, rate_limits::ShopperLimits,
};

const SERVICE: &str = "OrderService";

pub struct OrderGrpc {
    pub orders: Orders,
    pub watch_limit: ConcurrencyLimit,
    pub shopper_limits: Arc<ShopperLimits>,
    pub metrics: GatewayMetrics,
}

type Watching = Pin<Box<dyn Stream<Item = Result<WatchOrderResponse, Status>> + Send>>;

impl OrderGrpc {
    async fn place(
        &self,
        request: Request<PlaceOrderRequest>,
    ) -> Result<PlaceOrderResponse, GatewayError> {
        let sent_before = sent_before(request.metadata());
        let (call, message) = open(request)?;
        let (shopper, item) = convert::order(message)?;
        check_shopper(&call, &shopper, &self.shopper_limits)?;
        let placed = self
            .orders
            .place(&shopper, item, sent_before, &call)
            .await?;
        Ok(PlaceOrderResponse {
            order: placed.order,
            replayed: placed.replayed,
            trace_id: TraceContext::current().trace_id(),
        })
    }

    async fn get(
        &self,
        request: Request<GetOrderRequest>,
    ) -> Result<GetOrderResponse, GatewayError> {
        let (call, message) = open(request)?;
        let shopper = convert::order_key(&message.shopper_id, &message.order_id)?;
        check_shopper(&call, &shopper, &self.shopper_limits)?;
        let order = self.orders.get(&shopper, &message.order_id, &call).await?;
        Ok(GetOrderResponse {
            order: Some(order),
            trace_id: TraceContext::current().trace_id(),
        })
    }

    async fn cancel(
        &self,
        request: Request<CancelOrderRequest>,
    ) -> Result<CancelOrderResponse, GatewayError> {
        let (call, message) = open(request)?;
        let shopper = convert::order_key(&message.shopper_id, &message.order_id)?;
        check_shopper(&call, &shopper, &self.shopper_limits)?;
        let order = self
            .orders
            .cancel(&shopper, &message.order_id, &call)
            .await?;
        Ok(CancelOrderResponse {
            order: Some(order),
            trace_id: TraceContext::current().trace_id(),
        })
    }

    async fn list(
        &self,
        request: Request<ListOrdersRequest>,
    ) -> Result<ListOrdersResponse, GatewayError> {
        let (call, message) = open(request)?;
        let page = convert::page(
            &message.shopper_id,
            "",
            message.page_size,
            message.page_token,
        )?;
        check_shopper(&call, &page.shopper, &self.shopper_limits)?;
        let answer = self.orders.list(&page.shopper, page.range, &call).await?;
        Ok(ListOrdersResponse {
            orders: answer.orders,
            next_page_token: answer.next_page_token,
            trace_id: TraceContext::current().trace_id(),
        })
    }

    async fn watch(&self, request: Request<WatchOrderRequest>) -> Result<Watching, GatewayError> {
        let (call, message) = open(request)?;
        let shopper = convert::order_key(&message.shopper_id, &message.order_id)?;
        check_shopper(&call, &shopper, &self.shopper_limits)?;
        let permit = self.watch_limit.acquire(&call)?;
        let changes = self
            .orders
            .watch(&shopper, &message.order_id, &call)
            .await?;
        Ok(Box::pin(changes.map(move |change| {
            // The permit is held as long as the stream.
            let _ = &permit;
            match change {
                Ok(change) => Ok(WatchOrderResponse {
                    order: change.order,
                }),
                Err(status) => Err(refusal::to_status(&refusal::from_status(&status))),
            }
        })))
    }
}

#[tonic::async_trait]
impl OrderService for OrderGrpc {
    type WatchOrderStream = Watching;

    async fn place_order(
        &self,
        request: Request<PlaceOrderRequest>,
    ) -> Result<Response<PlaceOrderResponse>, Status> {
        answered(self.place(request).await, SERVICE, &self.metrics)
    }

    async fn get_order(
        &self,
        request: Request<GetOrderRequest>,
    ) -> Result<Response<GetOrderResponse>, Status> {
        answered(self.get(request).await, SERVICE, &self.metrics)
    }

    async fn cancel_order(
        &self,
        request: Request<CancelOrderRequest>,
    ) -> Result<Response<CancelOrderResponse>, Status> {
        answered(self.cancel(request).await, SERVICE, &self.metrics)
    }

    async fn list_orders(
        &self,
        request: Request<ListOrdersRequest>,
    ) -> Result<Response<ListOrdersResponse>, Status> {
        answered(self.list(request).await, SERVICE, &self.metrics)
    }

    async fn watch_order(
        &self,
        request: Request<WatchOrderRequest>,
    ) -> Result<Response<Watching>, Status> {
        answered(self.watch(request).await, SERVICE, &self.metrics)
    }
}

/// How often a call was sent before, as far as its caller says.
fn sent_before(metadata: &MetadataMap) -> u32 {
    let told = metadata.get(PREVIOUS_ATTEMPTS_HEADER);
    let times = told.and_then(|times| times.to_str().ok()?.parse().ok());
    times.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_of_attempts_counts_as_none() {
        for (told, read) in [
            (None, 0),
            (Some("2"), 2),
            (Some("-1"), 0),
            (Some("9 times"), 0),
        ] {
            let mut metadata = MetadataMap::new();
            told.map(|told| metadata.insert(PREVIOUS_ATTEMPTS_HEADER, told.parse().unwrap()));
            assert_eq!(sent_before(&metadata), read, "{told:?}");
        }
    }
}
