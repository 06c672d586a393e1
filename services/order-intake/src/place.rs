//! Places orders: a look at the code, durable, then the coupon, then the outcome.

use std::{sync::Arc, time::Instant};

use tidegate_telemetry::{Span, SpanKind, TraceContext, Tracing};
use tokio::time::timeout_at;
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

#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    pub trace: Option<TraceContext>,
    pub suggest_stores: bool,
}

#[derive(Clone)]
pub struct Placer {
    pub store: Store,
    pub finisher: Finisher,
    pub verifier: Verifier,
    pub nearby: Nearby,
    pub tracing: Tracing,
    pub metrics: Metrics,
}

impl Placer {
    /// Makes the draft durable and waits for its outcome until the deadline. The order goes on from
    /// PENDING whether or not its caller still waits. To be run as detached work.
    pub async fn place(
        self,
        draft: Draft,
        wishes: Wishes,
        deadline: Instant,
    ) -> Result<PlacedOrder> {
        let trace = wishes.trace.unwrap_or_else(|| self.tracing.new_root());
        let mut span = self.tracing.start("place order", SpanKind::Internal, trace);
        let store = draft.store.clone();
        let placed = self.place_in(&mut span, draft, deadline).await;
        if let Err(error) = &placed {
            span.fail(error.to_string());
        }
        match placed {
            Err(OrderIntakeError::StoreBusy(busy)) if wishes.suggest_stores => Err(
                OrderIntakeError::StoreBusy(self.nearby.suggest(&store, busy, deadline).await),
            ),
            placed => placed,
        }
    }

    async fn place_in(
        &self,
        span: &mut Span,
        draft: Draft,
        deadline: Instant,
    ) -> Result<PlacedOrder> {
        let draft = Arc::new(draft);
        let order_id = OrderId(Uuid::now_v7());
        let code = self.verifier.verify(&draft, span.context(), deadline).await;
        let placed = self
            .store
            .place(order_id, Arc::clone(&draft), code, span.context(), deadline)
            .await?;
        self.metrics.placed(placed.replayed);
        let mut order = Order {
            draft,
            standing: placed.standing,
        };
        if span.is_recording() {
            span.attribute("tidegate.order_id", order.standing.order_id.to_string());
            span.attribute("tidegate.replayed", placed.replayed);
        }
        if order.standing.state == OrderState::Pending
            && let Some(waiter) = self.finisher.finish(order.clone(), span.context())
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
