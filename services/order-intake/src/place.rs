//! Places orders: a look at the code, durable, then the coupon, then the outcome.

use std::{sync::Arc, time::Instant};

use tidegate_telemetry::{fail, note};
use tokio::time::timeout_at;
use tracing::{Span, field, instrument};
use uuid::Uuid;

use crate::{
    domain::{Draft, Order, OrderId, OrderState},
    error::{OrderIntakeError, Result},
    finish::Finisher,
    metrics::Metrics,
    nearby::Nearby,
    store::Store,
    verify::Verifier,
};

/// An order that is durable, and whether an earlier request placed it.
pub struct PlacedOrder {
    /// ACCEPTED, or PENDING if its outcome was not known in time.
    pub order: Order,
    pub replayed: bool,
}

#[derive(Clone)]
pub struct Placer {
    pub store: Store,
    pub finisher: Finisher,
    pub verifier: Verifier,
    pub nearby: Nearby,
    pub metrics: Metrics,
}

impl Placer {
    /// Makes the draft durable and waits for its outcome until the deadline. The order goes on from
    /// PENDING whether or not its caller still waits. If the store is full, others are named if
    /// that is wished for. To be run as detached work.
    #[instrument(name = "place order", skip_all, fields(tidegate.order_id = field::Empty))]
    pub async fn place(
        self,
        draft: Draft,
        suggest_stores: bool,
        deadline: Instant,
    ) -> Result<PlacedOrder> {
        let store = draft.store.clone();
        match self.try_place(draft, deadline).await.inspect_err(fail) {
            Err(OrderIntakeError::StoreBusy(busy)) if suggest_stores => Err(
                OrderIntakeError::StoreBusy(self.nearby.suggest(&store, busy, deadline).await),
            ),
            placed => placed,
        }
    }

    async fn try_place(&self, draft: Draft, deadline: Instant) -> Result<PlacedOrder> {
        let draft = Arc::new(draft);
        let order_id = OrderId(Uuid::now_v7());
        let code = self.verifier.verify(&draft, deadline).await;
        let placed = self
            .store
            .place(order_id, Arc::clone(&draft), code, deadline)
            .await?;
        self.metrics.placed(placed.replayed);
        let mut order = Order {
            draft,
            standing: placed.standing,
        };
        let order_id = order.standing.order_id;
        Span::current().record("tidegate.order_id", field::display(order_id));
        note("tidegate.replayed", placed.replayed);
        if order.standing.state == OrderState::Pending
            && let Some(waiter) = self.finisher.finish(order.clone())
            && let Ok(Some(settled)) = timeout_at(deadline.into(), waiter.outcome()).await
        {
            order.standing = settled;
        }
        match order.standing.state {
            OrderState::Rejected(rejection) => Err(OrderIntakeError::Rejected(rejection)),
            _ => Ok(PlacedOrder {
                order,
                replayed: placed.replayed,
            }),
        }
    }
}
