use std::{sync::PoisonError, time::Instant};

use futures_util::{future::join_all, stream::StreamExt as _};
use tidegate_proto::order_intake::v1::{
    AdvanceOrderRequest, AdvanceOrderResponse, CancelOrderRequest, CancelOrderResponse,
    FailOrderRequest, FailOrderResponse, FindOrderRequest, FindOrderResponse, GetOrderRequest,
    GetOrderResponse, ListOrdersRequest, ListOrdersResponse, ListStoreOrdersRequest,
    ListStoreOrdersResponse, PlaceOrdersRequest, PlaceOrdersResponse, WatchOrderRequest,
    WatchOrderResponse, order_intake_service_server::OrderIntakeService,
};
use tidegate_proto::r#type::v1::Order;
use tidegate_rpc::{server::CallContext, wire};
use tidegate_telemetry::of_item;
use tidegate_types::{ShopperId, Timestamp};
use tokio::{task::coop::unconstrained, time::timeout_at};
use tonic::{Request, Response};

use super::{
    Answer, Answers, Server, check_shopper, check_unbound, context_of,
    convert::{
        self,
        placing::{self, PlaceItem},
    },
    for_work_here,
};
use crate::{
    domain::{Move, OrderId, PagePosition},
    error::{OrderIntakeError, Result},
    place::PlacedOrder,
};

impl Server {
    async fn place(&self, item: Result<PlaceItem>, call_deadline: Instant) -> Result<PlacedOrder> {
        let item = item?;
        let patience = item.patience.map(|patience| Instant::now() + patience);
        let asked = patience.map_or(call_deadline, |patience| call_deadline.min(patience));
        let deadline = for_work_here(asked)?;
        let placer = self.placer.clone();
        // On the heap, because it is large and is handed on several times before it runs.
        let placing = Box::pin(placer.place(item.draft, item.suggest_stores, deadline));
        let placing = of_item(&item.traceparent, placing);
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
        (shopper, order_id): (ShopperId, OrderId),
        asked: Move,
    ) -> Result<Option<Order>> {
        check_shopper(context, &shopper)?;
        let moving = self.mover.clone().move_order(
            shopper,
            order_id,
            asked,
            context.actor(),
            for_work_here(context.deadline)?,
        );
        Ok(Some(convert::order(self.run_detached(moving).await?)))
    }
}

#[tonic::async_trait]
impl OrderIntakeService for Server {
    type WatchOrderStream = Answers<WatchOrderResponse>;

    async fn place_orders(
        &self,
        request: Request<PlaceOrdersRequest>,
    ) -> Answer<PlaceOrdersResponse> {
        let context = context_of(&request)?;
        let request = request.into_inner();
        let there = placing::at_gateway(&request);
        let (lane, items) = placing::place_items(request, self.lanes)?;
        let means = || {
            let means = self.gateway_means.lock();
            means.unwrap_or_else(PoisonError::into_inner)
        };
        means().tell(items.len(), there, Instant::now());
        let answers = items
            .into_iter()
            .map(|item| self.place(item, context.deadline));
        // All are polled in vain again and again if tokio's budget for the task is spent by some.
        let outcomes = unconstrained(join_all(answers)).await.into_iter();
        let result = |outcome| placing::place_result(outcome, &self.metrics);
        let results = outcomes.map(result).collect();
        let everywhere = means().means();
        Ok(Response::new(PlaceOrdersResponse {
            results,
            queue_delay: Some(wire::duration(self.store.queue_delay(lane))),
            permit_wait: Some(wire::duration(everywhere.permit_wait)),
            claims_per_order: everywhere.claims_per_order,
        }))
    }

    async fn get_order(&self, request: Request<GetOrderRequest>) -> Answer<GetOrderResponse> {
        let context = context_of(&request)?;
        let request = request.into_inner();
        let (shopper, order_id) = convert::order_key(&request.shopper_id, &request.order_id)?;
        check_shopper(&context, &shopper)?;
        let order = self.store.get_order(&shopper, order_id).await?;
        let order = Some(convert::order(order));
        Ok(Response::new(GetOrderResponse { order }))
    }

    async fn list_orders(&self, request: Request<ListOrdersRequest>) -> Answer<ListOrdersResponse> {
        let context = context_of(&request)?;
        let (shopper, size, after) = convert::list_query(&request.into_inner())?;
        check_shopper(&context, &shopper)?;
        let (orders, next) = self.store.list_orders(&shopper, size, after).await?;
        Ok(Response::new(ListOrdersResponse {
            orders: orders.into_iter().map(convert::order).collect(),
            next_page_token: next.map_or(String::new(), PagePosition::token),
        }))
    }

    async fn find_order(&self, request: Request<FindOrderRequest>) -> Answer<FindOrderResponse> {
        let context = context_of(&request)?;
        let order_id = convert::order_id(&request.into_inner().order_id)?;
        let order = self.store.find_order(order_id).await?;
        check_shopper(&context, &order.draft.shopper)?;
        let order = Some(convert::order(order));
        Ok(Response::new(FindOrderResponse { order }))
    }

    async fn list_store_orders(
        &self,
        request: Request<ListStoreOrdersRequest>,
    ) -> Answer<ListStoreOrdersResponse> {
        let context = context_of(&request)?;
        check_unbound(&context)?;
        let query = convert::store_orders_query(&request.into_inner())?;
        let known_since = self.period.slots_are_known_since(Timestamp::now_utc());
        let query = query.not_before(known_since);
        let (orders, next) = self.store.list_store_orders(&query).await?;
        Ok(Response::new(ListStoreOrdersResponse {
            orders: orders.into_iter().map(convert::order).collect(),
            next_page_token: next.map_or(String::new(), PagePosition::token),
        }))
    }

    async fn watch_order(
        &self,
        request: Request<WatchOrderRequest>,
    ) -> Answer<Self::WatchOrderStream> {
        let request = request.into_inner();
        let (shopper, order_id) = convert::order_key(&request.shopper_id, &request.order_id)?;
        let steps = self.watcher.watch(shopper, order_id).await?;
        let steps = steps.map(|step| {
            let order = Some(convert::order(step?));
            Ok(WatchOrderResponse { order })
        });
        Ok(Response::new(Box::pin(steps)))
    }

    async fn cancel_order(
        &self,
        request: Request<CancelOrderRequest>,
    ) -> Answer<CancelOrderResponse> {
        let context = context_of(&request)?;
        let request = request.into_inner();
        let key = convert::order_key(&request.shopper_id, &request.order_id)?;
        let order = self.move_order(&context, key, Move::Cancel).await?;
        Ok(Response::new(CancelOrderResponse { order }))
    }

    async fn advance_order(
        &self,
        request: Request<AdvanceOrderRequest>,
    ) -> Answer<AdvanceOrderResponse> {
        let context = context_of(&request)?;
        let request = request.into_inner();
        let key = convert::order_key(&request.shopper_id, &request.order_id)?;
        let asked = convert::step(request.state())?;
        let order = self.move_order(&context, key, asked).await?;
        Ok(Response::new(AdvanceOrderResponse { order }))
    }

    async fn fail_order(&self, request: Request<FailOrderRequest>) -> Answer<FailOrderResponse> {
        let context = context_of(&request)?;
        let request = request.into_inner();
        let key = convert::order_key(&request.shopper_id, &request.order_id)?;
        let asked = convert::failure(&request.note)?;
        let order = self.move_order(&context, key, asked).await?;
        Ok(Response::new(FailOrderResponse { order }))
    }
}
