//! Closes stores, and ends the orders that they have not begun.
//!
//! A closing is written down with the state of its stores, in one transaction; what it has to do is
//! read from there, so a crash forgets none and any replica goes on. Each order is ended by its own
//! row, once, and remembers the closing, which is how the closing knows what it has done.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tidegate_telemetry::FutureExt as _;
use tidegate_types::{Actor, Lane, RequestId, Timestamp};
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Closed, FailureNote, Move, Order, StoreClosing},
    error::Result,
    metrics::Metrics,
    store::Store,
    sweeps::Sweeps,
};

/// How often to look for what another replica, or an earlier process, has left.
const CLOSE_INTERVAL: Duration = Duration::from_secs(1);
/// Closings that are taken up at once, and orders of one lane.
const MAX_CLOSINGS: u16 = 100;
const CLOSE_BATCH: u16 = 500;
/// A closing has this long in each sweep, so that those behind it have their turn.
const TURN: Duration = Duration::from_secs(5);
/// How long whoever waits for a closing rests before the next sweep.
const REST: Duration = Duration::from_millis(100);
const MOVE_TIMEOUT: Duration = Duration::from_secs(5);
/// An accepted order whose slot began longer ago than this has been made, whether or not its store
/// said so.
const NOT_BEGUN_WITHIN: Duration = Duration::from_secs(2 * 3_600);

#[derive(Clone)]
pub struct Closer {
    store: Store,
    metrics: Metrics,
    stop: CancellationToken,
    sweeps: Arc<Sweeps>,
}

impl Closer {
    pub fn new(store: Store, metrics: Metrics, stop: CancellationToken) -> Self {
        Self {
            store,
            metrics,
            stop,
            sweeps: Arc::default(),
        }
    }

    /// Closes the stores, and waits until the deadline for their orders to be ended. Tells how far
    /// that has come. To be run as detached work.
    pub async fn close(
        self,
        closing: StoreClosing,
        by: Option<Actor>,
        deadline: Instant,
    ) -> Result<Closed> {
        let mut done = self.sweeps.done();
        let (store, now) = (&self.store, Timestamp::now_utc());
        let mut closed = store.begin_closing(&closing, by.as_ref(), now).await?;
        while closed.finished_at.is_none() {
            self.sweeps.wake();
            let swept = timeout_at(deadline.into(), done.changed());
            let Some(Ok(_)) = self.stop.run_until_cancelled(swept).await else {
                break;
            };
            closed = store.read_closing(&closing.request_id).await?.1;
            if closed.finished_at.is_none() && !self.rest(deadline).await {
                break;
            }
        }
        Ok(closed)
    }

    /// False if there is no time for another sweep.
    async fn rest(&self, deadline: Instant) -> bool {
        let rested = self.stop.run_until_cancelled(sleep(REST));
        Instant::now() + REST < deadline && rested.await.is_some()
    }

    /// Does what closings have left to do, until the process ends.
    pub async fn run(self) {
        let sweep = || self.sweep(Timestamp::now_utc());
        self.sweeps.run(CLOSE_INTERVAL, &self.stop, sweep).await;
    }

    async fn sweep(&self, now: Timestamp) -> Result<()> {
        let closings = self.store.unfinished_closings(MAX_CLOSINGS).await?;
        let unfinished = &self.metrics.unfinished_closings;
        unfinished.set(closings.len() as i64);
        for (closing, note) in closings {
            if let Err(error) = self.turn(&closing, note, now).await {
                tracing::warn!(closing = closing.as_str(), %error, "a closing of stores could not go on; the next sweep tries again, and until then its orders stay as they are");
            }
        }
        Ok(())
    }

    async fn turn(&self, closing: &RequestId, note: FailureNote, now: Timestamp) -> Result<()> {
        let until = Instant::now() + TURN;
        let asked = Move::CloseStore {
            closing: closing.clone(),
            note,
        };
        for lane in self.store.lanes().all() {
            if !self.close_lane(lane, (closing, &asked), now, until).await? {
                return Ok(());
            }
        }
        // The stores are closed since before this sweep, so no order can have come after it.
        let now = Timestamp::now_utc();
        self.store.finish_closing(closing, now).await
    }

    /// Ends the orders of one lane; false if that takes longer than until `until`.
    async fn close_lane(
        &self,
        lane: Lane,
        (closing, asked): (&RequestId, &Move),
        now: Timestamp,
        until: Instant,
    ) -> Result<bool> {
        let first_slot = now - NOT_BEGUN_WITHIN;
        while Instant::now() < until {
            let orders = self
                .store
                .orders_to_close(lane, closing, first_slot, CLOSE_BATCH);
            let orders = orders.await?;
            if orders.is_empty() {
                return Ok(true);
            }
            let ending = orders.iter().map(|order| self.end(order, asked.clone()));
            let ended = join_all(ending).await.into_iter();
            ended.collect::<Result<(), _>>()?;
        }
        Ok(false)
    }

    /// If this fails, the next sweep finds the order again.
    async fn end(&self, order: &Order, asked: Move) -> Result<()> {
        let deadline = Instant::now() + MOVE_TIMEOUT;
        let moved = self.store.move_order(order, asked, None, deadline);
        let standing = moved.with_context(order.story().context()).await?;
        if standing.state != order.standing.state {
            self.metrics.moved(&standing.state);
        }
        Ok(())
    }
}
