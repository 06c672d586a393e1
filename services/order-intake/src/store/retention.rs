use std::collections::{BTreeMap, HashMap};

use sqlx::FromRow;
use tidegate_types::{CouponCode, Lane, Timestamp};
use time::Date;
use uuid::Uuid;

use super::{Store, in_time, lane_number};
use crate::{domain::OrderId, error::Result};

/// Making or dropping a day's table locks its parent. It waits no longer than this for a batch to
/// end, since the batches behind it wait as well; the next sweep tries again.
const WAIT_FOR_TABLE: &str = "SET LOCAL lock_timeout = '1s'";

/// An order of which only the key may still be needed.
#[derive(FromRow)]
pub struct OldKey {
    order_id: Uuid,
    coupon_code: String,
    pub created_at: Timestamp,
}

impl OldKey {
    pub fn order_id(&self) -> OrderId {
        OrderId(self.order_id)
    }

    pub fn campaign(&self) -> Option<u32> {
        CouponCode::parse(&self.coupon_code).map(CouponCode::claimed_campaign)
    }
}

impl Store {
    /// Makes the tables of so many days from `first` on, where they are missing, and tells how many
    /// it made. A table that could not be made stops the rest; what is written meanwhile goes to
    /// the table of other days.
    pub async fn make_days(&self, first: Date, days: u16) -> Result<usize> {
        let query = sqlx::query_scalar(include_str!("../../queries/days_to_make.sql"))
            .bind(first)
            .bind(i32::from(days));
        let statements = in_time(query.fetch_all(&self.pool)).await?;
        self.change_tables(statements).await
    }

    /// Drops the tables of days before `first`, the oldest first and so many at most, and tells how
    /// many it dropped.
    pub async fn drop_days(&self, first: Date, tables: u16) -> Result<usize> {
        let query = sqlx::query_scalar(include_str!("../../queries/days_to_drop.sql"))
            .bind(first)
            .bind(i64::from(tables));
        let statements = in_time(query.fetch_all(&self.pool)).await?;
        self.change_tables(statements).await
    }

    async fn change_tables(&self, statements: Vec<String>) -> Result<usize> {
        for statement in &statements {
            let mut transaction = in_time(tidegate_pg::begin(&self.pool)).await?;
            sqlx::query(WAIT_FOR_TABLE)
                .execute(&mut *transaction)
                .await?;
            sqlx::query(statement).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        Ok(statements.len())
    }

    /// Forgets, row by row and so many of each kind at most, what was written for days that had no
    /// table, what was booked, and what closings of stores have done. Tells how many rows that was.
    pub async fn forget_rows(&self, first: Date, rows: u16) -> Result<u64> {
        let mut forgotten = 0;
        for statement in [
            include_str!("../../queries/forget_undated_details.sql"),
            include_str!("../../queries/forget_undated_events.sql"),
        ] {
            let query = sqlx::query(statement).bind(first).bind(i64::from(rows));
            forgotten += in_time(query.execute(&self.pool)).await?.rows_affected();
        }
        for statement in [
            include_str!("../../queries/forget_slots.sql"),
            include_str!("../../queries/forget_closings.sql"),
        ] {
            let query = sqlx::query(statement)
                .bind(first.midnight().assume_utc())
                .bind(i64::from(rows));
            forgotten += in_time(query.execute(&self.pool)).await?.rows_affected();
        }
        Ok(forgotten)
    }

    /// Forgets orders of a lane that were found before a moment to name coupons that never were,
    /// and tells how many.
    pub async fn forget_false_orders(
        &self,
        lane: Lane,
        before: Timestamp,
        rows: u16,
    ) -> Result<i64> {
        let query = sqlx::query_scalar(include_str!("../../queries/forget_false_orders.sql"))
            .bind(lane_number(lane))
            .bind(before)
            .bind(i64::from(rows));
        Ok(in_time(query.fetch_one(&self.pool)).await?)
    }

    /// When the oldest order was placed that a worker still has something to do for.
    pub async fn oldest_unfinished(&self) -> Result<Option<Timestamp>> {
        let query = sqlx::query_scalar(include_str!("../../queries/oldest_unfinished.sql"));
        Ok(in_time(query.fetch_one(&self.pool)).await?)
    }

    /// Keys of a lane's orders that are finished, from after one order and before another, oldest
    /// first.
    pub async fn old_keys(
        &self,
        lane: Lane,
        after: OrderId,
        before: OrderId,
        limit: u16,
    ) -> Result<Vec<OldKey>> {
        let query = sqlx::query_as(include_str!("../../queries/old_keys.sql"))
            .bind(lane_number(lane))
            .bind(after.0)
            .bind(before.0)
            .bind(i64::from(limit));
        Ok(in_time(query.fetch_all(&self.pool)).await?)
    }

    pub async fn forget_keys(&self, lane: Lane, orders: &[OrderId]) -> Result<()> {
        let ids: Vec<_> = orders.iter().map(|order| order.0).collect();
        let query = sqlx::query(include_str!("../../queries/forget_keys.sql"))
            .bind(lane_number(lane))
            .bind(ids);
        in_time(query.execute(&self.pool)).await?;
        Ok(())
    }

    /// Remembers when campaigns end, by their numbers.
    pub async fn note_campaign_ends(&self, ends: &BTreeMap<u32, Timestamp>) -> Result<()> {
        let numbers: Vec<_> = ends.keys().copied().map(campaign_number).collect();
        let moments: Vec<_> = ends.values().copied().collect();
        let query = sqlx::query(include_str!("../../queries/note_campaign_ends.sql"))
            .bind(numbers)
            .bind(moments);
        in_time(query.execute(&self.pool)).await?;
        Ok(())
    }

    /// When campaigns end, of those for which that is known.
    pub async fn campaign_ends(
        &self,
        campaigns: impl Iterator<Item = u32>,
    ) -> Result<HashMap<u32, Timestamp>> {
        let numbers: Vec<_> = campaigns.map(campaign_number).collect();
        let query = sqlx::query_as(include_str!("../../queries/campaign_ends.sql")).bind(numbers);
        let rows: Vec<(i32, Timestamp)> = in_time(query.fetch_all(&self.pool)).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(number, closes_at)| Some((u32::try_from(number).ok()?, closes_at)))
            .collect())
    }
}

fn campaign_number(number: u32) -> i32 {
    // A code has 24 bits for it.
    i32::try_from(number).unwrap_or(i32::MAX)
}
