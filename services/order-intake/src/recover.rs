//! Finishes orders that were left PENDING: by a crash, by issuance being away, by a commit whose
//! outcome was not known.
//!
//! Several replicas may pick the same order at once: issuance answers the same order the same way,
//! and an outcome is written once.

use std::time::Duration;

use futures_util::future::join_all;
use tidegate_types::{Lane, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Order, OrderState, PagePosition},
    error::Result,
    finish::Finisher,
    metrics::Metrics,
    store::Store,
    sweeps::Sweeps,
};

const RECOVERY_INTERVAL: Duration = Duration::from_secs(1);
/// Orders made durable less than this before or after the sweep are being finished by the task that
/// placed them. After: another replica's clock may be a little ahead; one that is far ahead, or
/// was, hides no order.
const RECOVERY_AGE: Duration = Duration::from_secs(3);
/// Orders of one lane that are picked at once.
const RECOVERY_BATCH: u16 = 500;

pub struct Recovery {
    pub lane: Lane,
    pub store: Store,
    pub finisher: Finisher,
    pub metrics: Metrics,
}

impl Recovery {
    pub async fn run(self, stop: CancellationToken) {
        let sweep = || self.sweep(Timestamp::now_utc());
        let sweeps = Sweeps::default();
        sweeps.run(RECOVERY_INTERVAL, &stop, sweep).await;
    }

    /// Takes up every order of the lane that has been PENDING for too long at `now`, a batch at a
    /// time, the oldest first. One that cannot be finished does not hold up those behind it.
    async fn sweep(&self, now: Timestamp) -> Result<()> {
        let mut after = PagePosition::OLDEST;
        loop {
            let orders = self
                .store
                .pending_orders(
                    self.lane,
                    now - RECOVERY_AGE..=now + RECOVERY_AGE,
                    after,
                    RECOVERY_BATCH,
                )
                .await?;
            if after == PagePosition::OLDEST {
                let age = orders
                    .first()
                    .map(|order| Duration::try_from(now - order.standing.created_at));
                self.metrics
                    .oldest_pending(self.lane, age.and_then(Result::ok).unwrap_or_default());
            }
            let Some(last) = orders.last() else {
                return Ok(());
            };
            after = PagePosition::after(last);
            let is_last_batch = orders.len() < usize::from(RECOVERY_BATCH);
            self.recover(orders).await;
            if is_last_batch {
                return Ok(());
            }
        }
    }

    async fn recover(&self, orders: Vec<Order>) {
        let waiters = orders.into_iter().filter_map(|order| {
            // The trace goes on where the crash cut it.
            let _story = order.story().context().attach();
            self.finisher.finish(order)
        });
        for settled in join_all(waiters.map(|waiter| waiter.outcome())).await {
            let state = settled.map_or(OrderState::Pending, |standing| standing.state);
            self.metrics.recovered(&state);
        }
    }
}
