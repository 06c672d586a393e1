//! Orders: gathered by lane and placed by order-intake; reads and watches are forwarded.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tidegate_proto::order_intake::v1::{
    CancelOrderRequest, GetOrderRequest, ListOrdersRequest, ListOrdersResponse, PlaceOrderItem,
    PlaceOrderResult, PlaceOrdersRequest, PlacedOrder, WatchOrderRequest, WatchOrderResponse,
    place_order_result,
};
use tidegate_proto::r#type::v1::{Order, OrderState};
use tidegate_rpc::{
    client::{BatchCall, LaneBatches, Pending, Replicas, RetryPolicy, last_deadline},
    server::CallContext,
    wire,
};
use tidegate_types::{Lane, Lanes, ShopperId};
use tonic::{Request, Streaming};

use crate::{
    batch_answers::answer_each,
    clients::order_intake,
    concurrency_limits::ConcurrencyLimit,
    domain::{order_waits::OrderWaits, wait_queue::Rank},
    error::GatewayError,
    permits::{Permit, Permits},
};

/// An order takes no longer than so many times what they take in the mean, or hardly ever.
const TAKES_AT_MOST: f64 = 1.5;

pub struct Orders {
    pub lanes: Lanes,
    pub batches: LaneBatches<PlaceCall>,
    pub order_intake: Replicas,
    pub permits: Arc<Permits>,
    /// Those of claims, which orders follow.
    pub claims: Arc<Permits>,
    pub waits: Arc<Mutex<OrderWaits>>,
    pub order_limit: ConcurrencyLimit,
    pub read_limit: ConcurrencyLimit,
}

impl Orders {
    pub async fn place(
        &self,
        shopper: &ShopperId,
        item: PlaceOrderItem,
        sent_before: u32,
        call: &CallContext,
    ) -> Result<PlacedOrder, GatewayError> {
        let _permit = self.order_limit.acquire(call)?;
        if sent_before == 0 {
            self.claims.order_asked();
        }
        let lane = self.lanes.of(shopper);
        let patience = self.patience(lane, call.deadline);
        let rank = Rank::of_order(sent_before);
        let Some(permit) = self.permits.acquire(lane, rank, patience).await else {
            let back_after = self.permits.come_back_after();
            self.waits().turned_away(back_after, Instant::now());
            return Err(GatewayError::NoPermitForOrder(back_after));
        };
        self.waits().waited(permit.waited, Instant::now());
        let pending = Pending::new(OrderInFlight { item, permit }, call.deadline);
        self.batches.submit(lane, pending).await?
    }

    fn waits(&self) -> MutexGuard<'_, OrderWaits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an order may wait for a permit, so that its caller is still there when it is
    /// answered: one that is answered to nobody is placed, and asked for again.
    fn patience(&self, lane: Lane, deadline: Instant) -> Duration {
        let left = deadline.saturating_duration_since(Instant::now());
        patience(left, self.permits.call_time(lane))
    }

    pub async fn get(
        &self,
        shopper: &ShopperId,
        order_id: &str,
        call: &CallContext,
    ) -> Result<Order, GatewayError> {
        let _permit = self.read_limit.acquire(call)?;
        let message = || GetOrderRequest {
            shopper_id: shopper.as_str().to_owned(),
            order_id: order_id.to_owned(),
        };
        let send = |channel, request| async move { order_intake(channel).get_order(request).await };
        let policy = RetryPolicy::for_key(self.key(shopper), call.deadline);
        let answer = self.order_intake.call(policy, message, send).await?;
        answer.order.ok_or(GatewayError::NoAnswer)
    }

    pub async fn cancel(
        &self,
        shopper: &ShopperId,
        order_id: &str,
        call: &CallContext,
    ) -> Result<Order, GatewayError> {
        let _permit = self.order_limit.acquire(call)?;
        let message = || CancelOrderRequest {
            shopper_id: shopper.as_str().to_owned(),
            order_id: order_id.to_owned(),
        };
        let send =
            |channel, request| async move { order_intake(channel).cancel_order(request).await };
        let policy = RetryPolicy::for_key(self.key(shopper), call.deadline);
        let answer = self.order_intake.call(policy, message, send).await?;
        answer.order.ok_or(GatewayError::NoAnswer)
    }

    /// A page of a shopper's orders.
    pub async fn list(
        &self,
        shopper: &ShopperId,
        (page_size, page_token): (u32, String),
        call: &CallContext,
    ) -> Result<ListOrdersResponse, GatewayError> {
        let _permit = self.read_limit.acquire(call)?;
        let message = || ListOrdersRequest {
            shopper_id: shopper.as_str().to_owned(),
            page_size,
            page_token: page_token.clone(),
        };
        let send =
            |channel, request| async move { order_intake(channel).list_orders(request).await };
        let policy = RetryPolicy::for_key(self.key(shopper), call.deadline);
        Ok(self.order_intake.call(policy, message, send).await?)
    }

    /// An order's changes, until its state is final.
    pub async fn watch(
        &self,
        shopper: &ShopperId,
        order_id: &str,
        call: &CallContext,
    ) -> Result<Streaming<WatchOrderResponse>, GatewayError> {
        let message = || WatchOrderRequest {
            shopper_id: shopper.as_str().to_owned(),
            order_id: order_id.to_owned(),
        };
        let send = |channel, mut request: Request<WatchOrderRequest>| async move {
            // The stream outlives the call's deadline: only its beginning is bounded.
            request.metadata_mut().remove("grpc-timeout");
            order_intake(channel).watch_order(request).await
        };
        let policy = RetryPolicy::for_key(self.key(shopper), call.deadline);
        Ok(self.order_intake.call(policy, message, send).await?)
    }

    fn key(&self, shopper: &ShopperId) -> u64 {
        u64::from(self.lanes.of(shopper).get())
    }
}

/// An order on its way to order-intake. It is in flight until it is answered, whether its caller
/// still waits or not.
pub struct OrderInFlight {
    item: PlaceOrderItem,
    permit: Permit,
}

/// Sends the orders of one lane to order-intake.
#[derive(Clone)]
pub struct PlaceCall {
    pub order_intake: Replicas,
    pub lanes: Lanes,
    pub waits: Arc<Mutex<OrderWaits>>,
    /// Which claims may be: as many as orders leave permits for.
    pub claims: Arc<Permits>,
}

impl PlaceCall {
    fn permit_wait(&self) -> Duration {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.at_present(Instant::now())
    }
}

impl BatchCall for PlaceCall {
    type Item = OrderInFlight;
    type Answer = Result<PlacedOrder, GatewayError>;
    const NAME: &'static str = "order batch";

    async fn send(
        &self,
        lane: Lane,
        items: Arc<Vec<Pending<OrderInFlight>>>,
    ) -> Vec<Result<PlacedOrder, GatewayError>> {
        let here = wire::duration(self.permit_wait());
        let claims_per_order = self.claims.claims_per_order();
        let message = || PlaceOrdersRequest {
            permit_wait: Some(here),
            claims_per_order,
            lane: u32::from(lane.get()),
            lanes: u32::from(self.lanes.get()),
            items: items.iter().map(with_deadline).collect(),
        };
        let send =
            |channel, request| async move { order_intake(channel).place_orders(request).await };
        let policy = RetryPolicy::for_key(u64::from(lane.get()), last_deadline(&items));
        let answer = self.order_intake.call(policy, message, send).await;
        if let Ok(answer) = &answer {
            let waited = answer.queue_delay.and_then(wire::span).unwrap_or_default();
            let permits = items.iter().map(|order| &order.item.permit);
            let took = permits.map(|permit| permit.answered(waited)).min();
            self.claims.orders_take(took.unwrap_or_default());
            if answer.claims_per_order.is_normal() {
                self.claims.claims_lead(answer.claims_per_order);
            }
        }
        // Where order-intake answers nothing, what is known here has to do.
        let told = answer.as_ref().ok().and_then(|answer| answer.permit_wait);
        let here = self.permit_wait();
        let everywhere = told.and_then(wire::span).unwrap_or(here);
        self.claims.orders_wait(everywhere, here);
        let results = answer.map(|answer| answer.results);
        let placed = answer_each(&items, results.map_err(GatewayError::from), read_result);
        for _ in placed.iter().flatten().filter(|placed| is_new(placed)) {
            self.claims.order_made();
        }
        placed
    }
}

fn patience(left: Duration, call_time: Duration) -> Duration {
    let takes = call_time.mul_f64(TAKES_AT_MOST);
    left.saturating_sub(takes).min(left / 2)
}

/// Whether it was made by this call, and has not been rejected.
fn is_new(placed: &PlacedOrder) -> bool {
    let order = placed.order.as_ref();
    !placed.replayed && order.is_some_and(|order| order.state() != OrderState::Rejected)
}

fn with_deadline(pending: &Pending<OrderInFlight>) -> PlaceOrderItem {
    PlaceOrderItem {
        deadline_ms: pending.milliseconds_left(),
        ..pending.item.item.clone()
    }
}

fn read_result(result: PlaceOrderResult) -> Result<PlacedOrder, GatewayError> {
    match result.outcome {
        Some(place_order_result::Outcome::Placed(placed)) => Ok(placed),
        Some(place_order_result::Outcome::Refused(refused)) => {
            Err(GatewayError::Refused(wire::refusal_from(refused)))
        }
        None => Err(GatewayError::NoAnswer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_order_waits_no_longer_than_leaves_time_to_answer_it() {
        for (left, call_time, waits) in [(2_000, 30, 1_000), (2_000, 800, 800), (300, 900, 0)] {
            assert_eq!(patience(left * MS, call_time * MS), waits * MS);
        }
    }

    #[test]
    fn only_orders_that_are_new_and_stand_make_room_for_claims() {
        use OrderState::{Accepted, Pending, Rejected};
        for (state, replayed, expected) in [
            (Accepted, false, true),
            (Pending, false, true),
            (Rejected, false, false),
            (Accepted, true, false),
        ] {
            let order = Order {
                state: state.into(),
                ..Order::default()
            };
            let placed = PlacedOrder {
                order: Some(order),
                replayed,
            };
            assert_eq!(is_new(&placed), expected, "{state:?}, replayed {replayed}");
        }
    }
}
