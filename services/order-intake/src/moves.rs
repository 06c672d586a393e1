//! Moves orders that have been placed: shoppers cancel them, fulfilment moves them on.

use std::{sync::Arc, time::Instant};

use tidegate_telemetry::{fail, note};
use tidegate_types::{Actor, ShopperId};
use tokio::time::timeout_at;
use tracing::instrument;

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
    pub metrics: Metrics,
}

impl Mover {
    /// Makes the move, if the order's state allows it, and tells how the order stands. After a
    /// cancellation or a failure it waits until the deadline for the coupon to be given back. If it
    /// is asked `by` somebody of the staff, that is recorded. To be run as detached work.
    #[instrument(name = "move order", skip_all)]
    pub async fn move_order(
        self,
        shopper: ShopperId,
        order_id: OrderId,
        asked: Move,
        by: Option<Actor>,
        deadline: Instant,
    ) -> Result<Order> {
        let moved = self.moved((&shopper, order_id), asked, by.map(Arc::new), deadline);
        let order = moved.await.inspect_err(fail)?;
        note("tidegate.order_state", order.standing.state.name());
        Ok(order)
    }

    async fn moved(
        &self,
        (shopper, order_id): (&ShopperId, OrderId),
        asked: Move,
        by: Option<Arc<Actor>>,
        deadline: Instant,
    ) -> Result<Order> {
        let mut order = self.store.get_order(shopper, order_id).await?;
        let before = order.standing.state.clone();
        order.standing = self.store.move_order(&order, asked, by, deadline).await?;
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
