use std::{pin::Pin, time::Instant};

use futures_util::{Stream, future::join_all, stream::StreamExt as _};
use tidegate_proto::order_intake::v1::{
    self as proto, order_intake_service_server::OrderIntakeService,
};
use tidegate_rpc::server::{CallContext, for_next_hop};
use tidegate_types::Timestamp;
use tokio::time::timeout_at;
use tonic::{Request, Response, Status};

use super::{
    Server,
    access::{check_shopper, check_unbound, context_of},
    convert::{self, PlaceItem, lists},
};
use crate::{
    domain::{Move, Order},
    error::OrderIntakeError,
    place::PlacedOrder,
};

impl Server {
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
        let placing = self.placer.clone().place(item.draft, item.wishes, deadline);
        // The work answers PENDING at its deadline, which lies before that of the caller by the
        // margin of a hop.
        match timeout_at(asked.into(), self.run_detached(placing)).await {
            Ok(placed) => placed,
            Err(_) => Err(OrderIntakeError::OutcomeUnknown),
        }
    }

    async fn move_order(
        &self,
        context: &CallContext,
        shopper_id: &str,
        order_id: &str,
        asked: Result<Move, OrderIntakeError>,
    ) -> Result<Order, OrderIntakeError> {
        let (shopper, order_id) = convert::order_key(shopper_id, order_id)?;
        let asked = asked?;
        check_shopper(context, &shopper)?;
        let now = Instant::now();
        let left = for_next_hop(context.deadline, now).ok_or(OrderIntakeError::OutcomeUnknown)?;
        let moving = self.mover.clone().move_order(
            shopper,
            order_id,
            asked,
            context.actor(),
            context.trace,
            now + left,
        );
        self.run_detached(moving).await
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
        let items = convert::place_items(request.into_inner(), self.lanes)?;
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
        let (shopper, order_id) = convert::order_key(&request.shopper_id, &request.order_id)?;
        check_shopper(&context, &shopper)?;
        let order = self.store.get_order(&shopper, order_id).await?;
        Ok(Response::new(proto::GetOrderResponse {
            order: Some(convert::order(order)),
        }))
    }

    async fn list_orders(
        &self,
        request: Request<proto::ListOrdersRequest>,
    ) -> Result<Response<proto::ListOrdersResponse>, Status> {
        let context = context_of(&request)?;
        let (shopper, size, after) = convert::list_query(&request.into_inner())?;
        check_shopper(&context, &shopper)?;
        let (orders, next) = self.store.list_orders(&shopper, size, after).await?;
        Ok(Response::new(proto::ListOrdersResponse {
            orders: orders.into_iter().map(convert::order).collect(),
            next_page_token: next.map_or(String::new(), |place| place.token()),
        }))
    }

    async fn find_order(
        &self,
        request: Request<proto::FindOrderRequest>,
    ) -> Result<Response<proto::FindOrderResponse>, Status> {
        let context = context_of(&request)?;
        let order_id = lists::order_id(&request.into_inner().order_id)?;
        let order = self.store.find_order(order_id).await?;
        check_shopper(&context, &order.draft.shopper)?;
        Ok(Response::new(proto::FindOrderResponse {
            order: Some(convert::order(order)),
        }))
    }

    async fn list_store_orders(
        &self,
        request: Request<proto::ListStoreOrdersRequest>,
    ) -> Result<Response<proto::ListStoreOrdersResponse>, Status> {
        let context = context_of(&request)?;
        check_unbound(&context)?;
        let query = lists::store_orders_query(&request.into_inner())?;
        let known_since = self.period.slots_are_known_since(Timestamp::now_utc());
        let query = query.not_before(known_since);
        let listed = self.store.list_store_orders(&query).await;
        let (orders, next) = listed?;
        Ok(Response::new(proto::ListStoreOrdersResponse {
            orders: orders.into_iter().map(convert::order).collect(),
            next_page_token: next.map_or(String::new(), |place| place.token()),
        }))
    }

    async fn watch_order(
        &self,
        request: Request<proto::WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let request = request.into_inner();
        let (shopper, order_id) = convert::order_key(&request.shopper_id, &request.order_id)?;
        let steps = self.watcher.watch(shopper, order_id).await?;
        let steps = steps.map(|step| {
            Ok(proto::WatchOrderResponse {
                order: Some(convert::order(step?)),
            })
        });
        Ok(Response::new(Box::pin(steps)))
    }

    async fn cancel_order(
        &self,
        request: Request<proto::CancelOrderRequest>,
    ) -> Result<Response<proto::CancelOrderResponse>, Status> {
        let context = context_of(&request)?;
        let request = request.into_inner();
        let cancelled = self
            .move_order(
                &context,
                &request.shopper_id,
                &request.order_id,
                Ok(Move::Cancel),
            )
            .await;
        Ok(Response::new(proto::CancelOrderResponse {
            order: Some(convert::order(cancelled?)),
        }))
    }

    async fn advance_order(
        &self,
        request: Request<proto::AdvanceOrderRequest>,
    ) -> Result<Response<proto::AdvanceOrderResponse>, Status> {
        let context = context_of(&request)?;
        let request = request.into_inner();
        let asked = convert::step(request.state());
        let advanced = self
            .move_order(&context, &request.shopper_id, &request.order_id, asked)
            .await;
        Ok(Response::new(proto::AdvanceOrderResponse {
            order: Some(convert::order(advanced?)),
        }))
    }

    async fn fail_order(
        &self,
        request: Request<proto::FailOrderRequest>,
    ) -> Result<Response<proto::FailOrderResponse>, Status> {
        let context = context_of(&request)?;
        let request = request.into_inner();
        let asked = convert::failure(&request.note);
        let failed = self
            .move_order(&context, &request.shopper_id, &request.order_id, asked)
            .await;
        Ok(Response::new(proto::FailOrderResponse {
            order: Some(convert::order(failed?)),
        }))
    }
}
