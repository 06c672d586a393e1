use sqlx::{Row as _, postgres::PgRow};
use tidegate_types::{Actor, Lane, RequestId, StoreId, Timestamp};

use super::{
    Store, WAIT_FOR_STORE, in_time, lane_number, out_of_time,
    rows::{column, each, text},
    store_changes::closing_records,
    store_rows::StoreRow,
};
use crate::{
    domain::{
        Area, Closed, ClosingReason, ClosingScope, FailureNote, Order, PendingOrders, StoreClosing,
    },
    error::{OrderIntakeError, Result},
};

impl Store {
    /// Closes stores, all or none, and writes down what becomes of their orders; a closing of that
    /// name that was written down before changes nothing. It is recorded, if somebody of the staff
    /// asks for it. Tells what it has done so far.
    pub async fn begin_closing(
        &self,
        closing: &StoreClosing,
        by: Option<&Actor>,
        now: Timestamp,
    ) -> Result<Closed> {
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
        let (store, area) = match &closing.scope {
            ClosingScope::Store(id) => (Some(id.as_str()), None),
            ClosingScope::Area(area) => (None, Some(area.as_str())),
        };
        let (name, reason) = (closing.request_id.as_str(), closing.reason.as_str());
        let fails_orders = closing.pending_orders == PendingOrders::Fail;
        let written = sqlx::query(include_str!("../../queries/begin_closing.sql"))
            .bind(name)
            .bind(store)
            .bind(area)
            .bind(reason)
            .bind(fails_orders)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        if written.rows_affected() == 0 {
            return Ok(true);
        }
        let lock = include_str!("../../queries/lock_stores_to_close.sql");
        let lock = sqlx::query_as(lock).bind(store).bind(area);
        let stores: Vec<StoreRow> = lock.fetch_all(&mut *transaction).await?;
        if stores.is_empty() {
            return Ok(false);
        }
        sqlx::query(include_str!("../../queries/close_stores.sql"))
            .bind(name)
            .bind(each(&stores, |store| &*store.store_id))
            .bind(reason)
            .bind(fails_orders)
            .execute(&mut *transaction)
            .await?;
        if let Some(by) = by {
            let records = closing_records(by, now, closing, &stores);
            tidegate_pg::record_changes(&mut transaction, &records).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// What a closing was asked for, and what it has done so far.
    pub async fn read_closing(&self, request_id: &RequestId) -> Result<(StoreClosing, Closed)> {
        let query = sqlx::query(include_str!("../../queries/read_closing.sql"))
            .bind(request_id.as_str())
            .bind(self.lane_numbers());
        let row = in_time(query.fetch_one(&self.pool)).await?;
        Ok(closing_of(&row)?)
    }

    /// Closings that have still something to do, with the note of orders that fail.
    pub async fn unfinished_closings(&self, limit: u16) -> Result<Vec<(RequestId, FailureNote)>> {
        let query = sqlx::query(include_str!("../../queries/unfinished_closings.sql"))
            .bind(i64::from(limit));
        let rows = in_time(query.fetch_all(&self.pool)).await?;
        let read = |row| {
            let request_id = text(row, "request_id", RequestId::parse)?;
            Ok((request_id, text(row, "reason", FailureNote::parse)?))
        };
        let closings: Result<_, sqlx::Error> = rows.iter().map(read).collect();
        Ok(closings?)
    }

    /// Orders of a lane that a closing is still to end: those whose slot began at `first_slot` or
    /// later.
    pub async fn orders_to_close(
        &self,
        lane: Lane,
        closing: &RequestId,
        first_slot: Timestamp,
        limit: u16,
    ) -> Result<Vec<Order>> {
        let query = sqlx::query_as(include_str!("../../queries/orders_to_close.sql"))
            .bind(lane_number(lane))
            .bind(closing.as_str())
            .bind(first_slot)
            .bind(i64::from(limit));
        Ok(in_time(query.fetch_all(&self.pool)).await?)
    }

    /// Notes that a closing has nothing left to do.
    pub async fn finish_closing(&self, closing: &RequestId, now: Timestamp) -> Result<()> {
        let query = sqlx::query(include_str!("../../queries/finish_closing.sql"))
            .bind(closing.as_str())
            .bind(self.lane_numbers())
            .bind(now);
        in_time(query.execute(&self.pool)).await?;
        Ok(())
    }
}

fn closing_of(row: &PgRow) -> Result<(StoreClosing, Closed), sqlx::Error> {
    let store: Option<&str> = row.try_get("store_id")?;
    let count = |name| column(name, u64::try_from(row.try_get::<i64, _>(name)?));
    let closing = StoreClosing {
        request_id: text(row, "request_id", RequestId::parse)?,
        scope: match store {
            Some(id) => ClosingScope::Store(column("store_id", StoreId::parse(id))?),
            None => ClosingScope::Area(text(row, "area", Area::parse)?),
        },
        reason: text(row, "reason", ClosingReason::parse)?,
        pending_orders: match row.try_get("fails_orders")? {
            true => PendingOrders::Fail,
            false => PendingOrders::Keep,
        },
    };
    let stores: i32 = row.try_get("stores_closed")?;
    let closed = Closed {
        stores: column("stores_closed", u32::try_from(stores))?,
        orders_failed: count("orders_failed")?,
        orders_rejected: count("orders_rejected")?,
        finished_at: row.try_get("finished_at")?,
    };
    Ok((closing, closed))
}
