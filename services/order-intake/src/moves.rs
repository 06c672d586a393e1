//! Moves orders that have been placed: shoppers cancel them, fulfilment moves them on.

use std::{sync::Arc, time::Instant};

use tidegate_telemetry::{SpanKind, TraceContext, Tracing};
use tidegate_types::{Actor, ShopperId};
use tokio::time::timeout_at;

use crate::{
    domain::{Move, Order, OrderId},
    error::Result,
    metrics::Metrics,
    release::Releaser,
    store::Store,
};

#[derive(Clone)]
pub struct Mover {
    pub store: Store,
    pub releaser: Releaser,
    pub tracing: Tracing,
    pub metrics: Metrics,
}

impl Mover {
    /// Makes the move, if the order's state allows it, and tells how the order stands. After a
    /// cancellation or a failure it waits until the deadline for the coupon to be given back. If it
    /// is asked `by` somebody of the staff, that is recorded. To be run as detached work.
    pub async fn move_order(
        self,
        shopper: ShopperId,
        order_id: OrderId,
        asked: Move,
        by: Option<Actor>,
        trace: TraceContext,
        deadline: Instant,
    ) -> Result<Order> {
        let mut span = self.tracing.start("move order", SpanKind::Internal, trace);
        let moved = self
            .moved(
                (&shopper, order_id),
                asked,
                by.map(Arc::new),
                span.context(),
                deadline,
            )
            .await;
        match &moved {
            Ok(order) => span.attribute("tidegate.order_state", order.standing.state.name()),
            Err(error) => span.fail(error.to_string()),
        }
        moved
    }

    async fn moved(
        &self,
        (shopper, order_id): (&ShopperId, OrderId),
        asked: Move,
        by: Option<Arc<Actor>>,
        trace: TraceContext,
        deadline: Instant,
    ) -> Result<Order> {
        let mut order = self.store.get_order(shopper, order_id).await?;
        let before = order.standing.state.clone();
        order.standing = self
            .store
            .move_order(&order, asked, by, trace, deadline)
            .await?;
        if order.standing.state != before {
            self.metrics.moved(&order.standing.state);
        }
        if !order.standing.state.gives_coupon_back() {
            return Ok(order);
        }
        // The order has come to nothing whatever comes of the wait: the release worker goes on
        // until issuance has the coupon back.
        let waiting = self.releaser.released(order.clone());
        Ok(match timeout_at(deadline.into(), waiting).await {
            Ok(Ok(released)) => released,
            Ok(Err(_)) | Err(_) => order,
        })
    }
}
