//! Orders and stores in PostgreSQL: rows to domain and back.

mod audit;
mod closings;
mod commit;
mod feed;
mod retention;
mod rows;
mod staff_reads;
mod store_changes;
mod store_rows;
mod stores;

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{PgPool, migrate::Migrator};
use tidegate_pg::{CommitQueue, CommitQueueSettings, Database, QueueMetrics};
use tidegate_telemetry::TraceContext;
use tidegate_types::{Actor, Lane, Lanes, PerLane, ShopperId, Timestamp};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{
        Draft, Move, Order, OrderId, PagePosition, PageSize, Paged, Placed, Standing, Verdict,
    },
    error::{OrderIntakeError, Result},
};
pub use audit::SlotPosition;
use commit::{Asked, BusyStores, Change, Commits, RememberedStores};
pub use retention::OldKey;

pub fn migrations() -> Migrator {
    sqlx::migrate!()
}

/// Connections for reads, stores and audits; hot writes have their own, two a lane.
const POOL_CONNECTIONS: u32 = 8;
/// Of these, those that are for audits alone.
const AUDIT_CONNECTIONS: u32 = 1;
/// A read that takes longer counts as a database that is away.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// A statement that waits for a lock keeps its connection, even once nobody waits for its answer.
const WAIT_FOR_STORE: &str = "SET LOCAL lock_timeout = '2s'";
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// Orders and outcomes that wait for their commit, in one lane.
const QUEUE_CAPACITY: usize = 10_000;
/// Orders and outcomes of one commit.
const MAX_BATCH: usize = 1_000;

/// Where orders and stores are kept. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    /// Its own, so that an audit takes no connection from anybody.
    audit_pool: PgPool,
    lanes: Lanes,
    queues: Arc<PerLane<LaneQueues>>,
}

/// The two queues of a lane. Orders to a store at which another batch books at that moment go to
/// the second one, so that the others never wait for a favourite.
struct LaneQueues {
    first: CommitQueue<Commits>,
    busy_stores: CommitQueue<Commits>,
}

impl Store {
    /// Two writers a lane come with it, each with its name, which the caller runs. A shopper has no
    /// more orders to come than `orders_to_come`. Once `closing` is cancelled they commit what they
    /// have and end.
    pub fn new(
        database: &Database,
        lanes: Lanes,
        orders_to_come: u16,
        metrics: &QueueMetrics,
        closing: &CancellationToken,
    ) -> (Self, Vec<(String, impl Future<Output = ()> + Send + use<>)>) {
        let mut writers = Vec::new();
        let mut start = |name, lane, busy_stores, remembered| {
            let (queue, writer) = CommitQueue::new(
                CommitQueueSettings::new(name, QUEUE_CAPACITY, MAX_BATCH),
                Commits {
                    lane,
                    busy_stores,
                    remembered,
                    orders_to_come,
                },
                database.clone(),
                metrics,
                closing.clone(),
            );
            writers.push((format!("writer of {name} of lane {lane}"), writer));
            queue
        };
        let queues = PerLane::new(lanes, |lane| {
            let remembered = Arc::new(RememberedStores::default());
            let (first, second) = (Arc::clone(&remembered), remembered);
            LaneQueues {
                first: start("orders", lane, BusyStores::LeaveOut, first),
                busy_stores: start("orders_of_busy_stores", lane, BusyStores::WaitFor, second),
            }
        });
        let store = Self {
            pool: database.pool(POOL_CONNECTIONS - AUDIT_CONNECTIONS),
            audit_pool: database.pool(AUDIT_CONNECTIONS),
            lanes,
            queues: Arc::new(queues),
        };
        (store, writers)
    }

    fn lane_numbers(&self) -> Vec<i16> {
        self.lanes.all().map(lane_number).collect()
    }

    pub fn lanes(&self) -> Lanes {
        self.lanes
    }

    /// Makes a draft durable as PENDING, or finds the order that an earlier request with its key
    /// and content made. A draft whose code is false, or cannot be told for want of its key, only
    /// finds one.
    pub async fn place(
        &self,
        order_id: OrderId,
        draft: Arc<Draft>,
        code: Verdict,
        deadline: Instant,
    ) -> Result<Placed> {
        let change = Change {
            order_id,
            draft,
            asked: Asked::Place {
                code,
                trace: TraceContext::current(),
            },
        };
        self.commit(change, deadline).await
    }

    /// Moves an order on. An outcome for an order that has one already, and a move that was made
    /// already, change nothing; what comes back is how the order stands. If somebody of the staff
    /// asks, who that is is recorded with the move.
    pub async fn move_order(
        &self,
        order: &Order,
        asked: Move,
        by: Option<Arc<Actor>>,
        deadline: Instant,
    ) -> Result<Standing> {
        let seen = order.standing.clone();
        let step = Asked::Move {
            step: asked,
            by,
            seen,
        };
        let change = change_of(order, step);
        Ok(self.commit(change, deadline).await?.standing)
    }

    /// Notes that issuance has the coupon back of an order that will not be made.
    pub async fn note_release(&self, order: &Order, deadline: Instant) -> Result<Standing> {
        let change = change_of(order, Asked::Released);
        Ok(self.commit(change, deadline).await?.standing)
    }

    /// How long orders of a lane wait for their commits at present: they have two, as PENDING and
    /// with their outcome.
    pub fn queue_delay(&self, lane: Lane) -> Duration {
        2 * self.queues[lane].first.queue_delay()
    }

    async fn commit(&self, change: Change, deadline: Instant) -> Result<Placed> {
        let queues = &self.queues[self.lanes.of(&change.draft.shopper)];
        for queue in [&queues.first, &queues.busy_stores] {
            let (done, _) = queue
                .submit(|reply| (change.clone(), reply), deadline)
                .await?;
            if let Some(stands) = done? {
                return Ok(stands);
            }
        }
        Err(OrderIntakeError::Internal)
    }

    pub async fn get_order(&self, shopper: &ShopperId, order_id: OrderId) -> Result<Order> {
        let query = sqlx::query_as(include_str!("../queries/get_order.sql"))
            .bind(lane_number(self.lanes.of(shopper)))
            .bind(order_id.0)
            .bind(shopper.as_str());
        let order = in_time(query.fetch_optional(&self.pool)).await?;
        order.ok_or(OrderIntakeError::OrderNotFound)
    }

    /// A page of a shopper's orders, newest first, and where the next one begins if there is one.
    pub async fn list_orders(
        &self,
        shopper: &ShopperId,
        size: PageSize,
        after: PagePosition,
    ) -> Result<Paged<Order, PagePosition>> {
        let query = sqlx::query_as(include_str!("../queries/list_orders.sql"))
            .bind(lane_number(self.lanes.of(shopper)))
            .bind(shopper.as_str())
            .bind(after.created_at)
            .bind(after.order_id.0)
            .bind(size.and_one());
        let orders = in_time(query.fetch_all(&self.pool)).await?;
        Ok(size.page(orders, PagePosition::after))
    }

    /// The oldest orders of a lane that are PENDING and were not made durable within `fresh`, from
    /// after `after`.
    pub async fn pending_orders(
        &self,
        lane: Lane,
        fresh: RangeInclusive<Timestamp>,
        after: PagePosition,
        limit: u16,
    ) -> Result<Vec<Order>> {
        let query = sqlx::query_as(include_str!("../queries/pending_orders.sql"))
            .bind(lane_number(lane))
            .bind(*fresh.start())
            .bind(after.created_at)
            .bind(after.order_id.0)
            .bind(i64::from(limit))
            .bind(*fresh.end());
        Ok(in_time(query.fetch_all(&self.pool)).await?)
    }

    /// Orders of a lane that will not be made and whose coupon is still to be given back, those
    /// that have waited longest first, from after `after`, a place in the time at which they came
    /// to nothing.
    pub async fn unreleased_orders(
        &self,
        lane: Lane,
        after: PagePosition,
        limit: u16,
    ) -> Result<Vec<Order>> {
        let query = sqlx::query_as(include_str!("../queries/unreleased_orders.sql"))
            .bind(lane_number(lane))
            .bind(after.created_at)
            .bind(after.order_id.0)
            .bind(i64::from(limit));
        Ok(in_time(query.fetch_all(&self.pool)).await?)
    }
}

fn change_of(order: &Order, asked: Asked) -> Change {
    Change {
        order_id: order.standing.order_id,
        draft: Arc::clone(&order.draft),
        asked,
    }
}

fn lane_number(lane: Lane) -> i16 {
    // There are at most 1,024 lanes.
    i16::try_from(lane.get()).unwrap_or(i16::MAX)
}

async fn in_time<T>(read: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(READ_TIMEOUT, read)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// A lock that was not to be had is told as what it is, a database that has no time now.
fn out_of_time(error: sqlx::Error) -> sqlx::Error {
    let code = error.as_database_error().and_then(|error| error.code());
    if code.as_deref() == Some(LOCK_NOT_AVAILABLE) {
        sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
    } else {
        error
    }
}

#[cfg(test)]
mod tests;
