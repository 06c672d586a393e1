use sqlx::{FromRow, PgConnection};
use tidegate_types::{Actor, Lane, RequestId, StoreId, Timestamp};

use super::{
    Store, WAIT_FOR_STORE, in_time, into_orders, lane_number, out_of_time, rows::column,
    store_changes::closing_records, store_rows::StoreRow,
};
use crate::{
    domain::{
        Area, Closed, ClosingReason, ClosingScope, FailureNote, Order, PendingOrders, StoreClosing,
    },
    error::OrderIntakeError,
};

#[derive(FromRow)]
struct ClosingRow {
    request_id: String,
    store_id: Option<String>,
    area: Option<String>,
    reason: String,
    fails_orders: bool,
    stores_closed: i32,
    finished_at: Option<Timestamp>,
    orders_failed: i64,
    orders_rejected: i64,
}

impl Store {
    /// Closes stores, all or none, and writes down what becomes of their orders; a closing of that
    /// name that was written down before changes nothing. It is recorded, if somebody of the staff
    /// asks for it. Tells what it has done so far.
    pub async fn begin_closing(
        &self,
        closing: &StoreClosing,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Closed, OrderIntakeError> {
        let begun = in_time(self.close_stores(closing, by, now));
        if !begun.await.map_err(out_of_time)? {
            return Err(OrderIntakeError::StoreNotFound);
        }
        let (written_down, closed) = self.read_closing(&closing.request_id).await?;
        if written_down == *closing {
            Ok(closed)
        } else {
            Err(OrderIntakeError::RequestIdConflict)
        }
    }

    /// False if there is no store to close.
    async fn close_stores(
        &self,
        closing: &StoreClosing,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = tidegate_pg::begin(&self.pool).await?;
        sqlx::query(WAIT_FOR_STORE)
            .execute(&mut *transaction)
            .await?;
        if write_down(&mut transaction, closing, now).await? {
            let stores = lock_stores(&mut transaction, &closing.scope).await?;
            if stores.is_empty() {
                return Ok(false);
            }
            let ids: Vec<&str> = stores.iter().map(|store| &*store.store_id).collect();
            sqlx::query(include_str!("../../queries/close_stores.sql"))
                .bind(closing.request_id.as_str())
                .bind(ids)
                .bind(closing.reason.as_str())
                .bind(closing.pending_orders == PendingOrders::Fail)
                .execute(&mut *transaction)
                .await?;
            if let Some(by) = by {
                let records = closing_records(by, now, closing, &stores);
                tidegate_pg::record_changes(&mut transaction, &records).await?;
            }
            transaction.commit().await?;
        }
        Ok(true)
    }

    /// What a closing was asked for, and what it has done so far.
    pub async fn read_closing(
        &self,
        request_id: &RequestId,
    ) -> Result<(StoreClosing, Closed), OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/read_closing.sql"))
            .bind(request_id.as_str())
            .bind(self.lane_numbers());
        let row: ClosingRow = in_time(query.fetch_one(&self.pool)).await?;
        Ok(row.into_closing()?)
    }

    /// Closings that have still something to do, with the note of orders that fail.
    pub async fn unfinished_closings(
        &self,
        limit: u16,
    ) -> Result<Vec<(RequestId, FailureNote)>, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/unfinished_closings.sql"))
            .bind(i64::from(limit));
        let rows: Vec<(String, String)> = in_time(query.fetch_all(&self.pool)).await?;
        let read = |(request_id, reason): (String, String)| {
            Ok((
                column("request_id", RequestId::parse(&request_id))?,
                column("reason", FailureNote::parse(&reason))?,
            ))
        };
        Ok(rows
            .into_iter()
            .map(read)
            .collect::<Result<_, sqlx::Error>>()?)
    }

    /// Orders of a lane that a closing is still to end: those whose slot began at `first_slot` or
    /// later.
    pub async fn orders_to_close(
        &self,
        lane: Lane,
        closing: &RequestId,
        first_slot: Timestamp,
        limit: u16,
    ) -> Result<Vec<Order>, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/orders_to_close.sql"))
            .bind(lane_number(lane))
            .bind(closing.as_str())
            .bind(first_slot)
            .bind(i64::from(limit));
        into_orders(in_time(query.fetch_all(&self.pool)).await?)
    }

    /// Notes that a closing has nothing left to do.
    pub async fn finish_closing(
        &self,
        closing: &RequestId,
        now: Timestamp,
    ) -> Result<(), OrderIntakeError> {
        let query = sqlx::query(include_str!("../../queries/finish_closing.sql"))
            .bind(closing.as_str())
            .bind(self.lane_numbers())
            .bind(now);
        in_time(query.execute(&self.pool)).await?;
        Ok(())
    }
}

/// Whether nobody had written it down before.
async fn write_down(
    connection: &mut PgConnection,
    closing: &StoreClosing,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let (store, area) = columns(&closing.scope);
    let written = sqlx::query(include_str!("../../queries/begin_closing.sql"))
        .bind(closing.request_id.as_str())
        .bind(store)
        .bind(area)
        .bind(closing.reason.as_str())
        .bind(closing.pending_orders == PendingOrders::Fail)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(written.rows_affected() == 1)
}

async fn lock_stores(
    connection: &mut PgConnection,
    scope: &ClosingScope,
) -> Result<Vec<StoreRow>, sqlx::Error> {
    let (store, area) = columns(scope);
    sqlx::query_as(include_str!("../../queries/lock_stores_to_close.sql"))
        .bind(store)
        .bind(area)
        .fetch_all(connection)
        .await
}

fn columns(scope: &ClosingScope) -> (Option<&str>, Option<&str>) {
    match scope {
        ClosingScope::Store(id) => (Some(id.as_str()), None),
        ClosingScope::Area(area) => (None, Some(area.as_str())),
    }
}

impl ClosingRow {
    fn into_closing(self) -> Result<(StoreClosing, Closed), sqlx::Error> {
        let scope = match (self.store_id, self.area) {
            (Some(id), _) => ClosingScope::Store(column("store_id", StoreId::parse(&id))?),
            (None, area) => {
                let area = area.as_deref().unwrap_or_default();
                ClosingScope::Area(column("area", Area::parse(area))?)
            }
        };
        let closing = StoreClosing {
            request_id: column("request_id", RequestId::parse(&self.request_id))?,
            scope,
            reason: column("reason", ClosingReason::parse(&self.reason))?,
            pending_orders: if self.fails_orders {
                PendingOrders::Fail
            } else {
                PendingOrders::Keep
            },
        };
        let closed = Closed {
            stores: column("stores_closed", u32::try_from(self.stores_closed))?,
            orders_failed: column("orders_failed", u64::try_from(self.orders_failed))?,
            orders_rejected: column("orders_rejected", u64::try_from(self.orders_rejected))?,
            finished_at: self.finished_at,
        };
        Ok((closing, closed))
    }
}
