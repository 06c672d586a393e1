//! Orders and stores in PostgreSQL: rows to domain and back.

mod commit;
mod rows;
mod stores;

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{PgPool, migrate::Migrator};
use tidegate_pg::{CommitQueue, CommitQueueSettings, Database, QueueMetrics};
use tidegate_telemetry::{TraceContext, Tracing};
use tidegate_types::{Lane, Lanes, ShopperId, Timestamp};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Draft, Order, OrderId, OrderState, PagePosition, PageSize, Standing},
    error::OrderIntakeError,
};
use commit::{Change, Commits, Placement, Settlement};
use rows::OrderRow;

/// The schema, in steps.
pub fn migrations() -> Migrator {
    sqlx::migrate!()
}

/// Connections for reads and for stores; hot writes have their own, one a lane.
const POOL_CONNECTIONS: u32 = 8;
/// A read that takes longer counts as a database that is away.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Orders and outcomes that wait for their commit, in one lane.
const QUEUE_CAPACITY: usize = 10_000;
/// Orders and outcomes of one commit.
const MAX_BATCH: usize = 1_000;

/// Where orders and stores are kept. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    lanes: Lanes,
    /// One of each lane, by its number.
    queues: Arc<[CommitQueue<Commits>]>,
}

/// How an order stands after it was handed in.
pub struct Placed {
    /// How it stands.
    pub standing: Standing,
    /// True if an earlier request placed it.
    pub replayed: bool,
}

impl Store {
    /// Starts one writer a lane. Once `closing` is cancelled they commit what they have and end; the handles tell when.
    pub fn start(
        database: &Database,
        lanes: Lanes,
        tracing: &Tracing,
        metrics: &QueueMetrics,
        closing: &CancellationToken,
    ) -> (Self, Vec<JoinHandle<()>>) {
        let settings = CommitQueueSettings {
            name: "orders",
            capacity: QUEUE_CAPACITY,
            max_batch: MAX_BATCH,
        };
        let start = |lane| {
            CommitQueue::start(
                settings,
                Commits::of(lane),
                database.clone(),
                tracing.clone(),
                metrics,
                closing.clone(),
            )
        };
        let (queues, writers): (Vec<_>, _) = lanes.all().map(start).unzip();
        let store = Self {
            pool: database.pool(POOL_CONNECTIONS),
            lanes,
            queues: queues.into(),
        };
        (store, writers)
    }

    /// Makes a draft durable as PENDING, or finds the order that an earlier request with its key and content made.
    pub async fn place(
        &self,
        order_id: OrderId,
        draft: Arc<Draft>,
        trace: TraceContext,
        deadline: Instant,
    ) -> Result<Placed, OrderIntakeError> {
        let lane = self.lanes.of(&draft.shopper);
        let placement = Placement {
            order_id,
            draft,
            trace,
        };
        self.commit(lane, Change::Place(placement), trace, deadline)
            .await
    }

    /// Gives a PENDING order its outcome. If it has one already, that one stays and is what comes back.
    pub async fn settle(
        &self,
        order: &Order,
        state: OrderState,
        trace: TraceContext,
        deadline: Instant,
    ) -> Result<Standing, OrderIntakeError> {
        let lane = self.lanes.of(&order.draft.shopper);
        let settlement = Settlement {
            order_id: order.standing.order_id,
            draft: Arc::clone(&order.draft),
            state,
        };
        let settled = self
            .commit(lane, Change::Settle(settlement), trace, deadline)
            .await?;
        Ok(settled.standing)
    }

    async fn commit(
        &self,
        lane: Lane,
        change: Change,
        trace: TraceContext,
        deadline: Instant,
    ) -> Result<Placed, OrderIntakeError> {
        // A lane of these lanes has a queue.
        let queue = self
            .queues
            .get(usize::from(lane.get()))
            .ok_or(OrderIntakeError::Internal)?;
        let (outcome, _) = queue.submit(change, trace, deadline).await?;
        outcome
    }

    /// One order of a shopper.
    pub async fn get_order(
        &self,
        shopper: &ShopperId,
        order_id: OrderId,
    ) -> Result<Order, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/get_order.sql"))
            .bind(lane_number(self.lanes.of(shopper)))
            .bind(order_id.0)
            .bind(shopper.as_str());
        let row: Option<OrderRow> = in_time(query.fetch_optional(&self.pool)).await?;
        Ok(row.ok_or(OrderIntakeError::OrderNotFound)?.into_order()?)
    }

    /// A page of a shopper's orders, newest first, and where the next one begins if there is one.
    pub async fn list_orders(
        &self,
        shopper: &ShopperId,
        size: PageSize,
        after: PagePosition,
    ) -> Result<(Vec<Order>, Option<PagePosition>), OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/list_orders.sql"))
            .bind(lane_number(self.lanes.of(shopper)))
            .bind(shopper.as_str())
            .bind(after.created_at)
            .bind(after.order_id.0)
            // One more tells whether there is a next page.
            .bind(i64::from(size.get()) + 1);
        let rows = in_time(query.fetch_all(&self.pool)).await?;
        let mut orders = into_orders(rows)?;
        let next = (orders.len() > usize::from(size.get())).then(|| {
            orders.truncate(size.get().into());
            orders.last().map(PagePosition::after)
        });
        Ok((orders, next.flatten()))
    }

    /// The oldest orders of a lane that are PENDING and were not made durable within `fresh`, from after `after`.
    pub async fn pending_orders(
        &self,
        lane: Lane,
        fresh: RangeInclusive<Timestamp>,
        after: PagePosition,
        limit: u16,
    ) -> Result<Vec<Order>, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/pending_orders.sql"))
            .bind(lane_number(lane))
            .bind(*fresh.start())
            .bind(after.created_at)
            .bind(after.order_id.0)
            .bind(i64::from(limit))
            .bind(*fresh.end());
        into_orders(in_time(query.fetch_all(&self.pool)).await?)
    }
}

fn into_orders(rows: Vec<OrderRow>) -> Result<Vec<Order>, OrderIntakeError> {
    Ok(rows
        .into_iter()
        .map(OrderRow::into_order)
        .collect::<Result<_, _>>()?)
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

#[cfg(test)]
mod tests;
