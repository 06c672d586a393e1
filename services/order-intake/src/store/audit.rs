use std::time::Duration;

use tidegate_types::{Lane, ReplicaId, Timestamp};
use uuid::Uuid;

use super::{Store, in_time, lane_number};
use crate::{
    domain::{OrderBooks, OrderId, SlotBooks},
    error::Result,
};

/// Where a page of slots begins: before this moment, and at it before this store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotPosition {
    pub starts_at: Timestamp,
    pub store_id: String,
}

impl SlotPosition {
    pub const LAST: Self = Self {
        starts_at: Timestamp::new_utc(time::Date::MAX, time::Time::MIDNIGHT),
        store_id: String::new(),
    };
}

impl Store {
    /// Takes the turn to audit, or keeps it, for so long; false if another replica has it.
    pub async fn take_audit_turn(&self, replica: &ReplicaId, turn: Duration) -> Result<bool> {
        let query = sqlx::query_scalar(include_str!("../../queries/take_audit_turn.sql"))
            .bind(replica.as_str())
            .bind(i64::try_from(turn.as_millis()).unwrap_or(i64::MAX));
        let taken: Option<bool> = in_time(query.fetch_optional(&self.audit_pool)).await?;
        Ok(taken.is_some())
    }

    /// At most `limit` slots before a position, the latest first, and where the next page begins.
    pub async fn audit_slots(
        &self,
        before: &SlotPosition,
        limit: u16,
    ) -> Result<(Vec<SlotBooks>, Option<SlotPosition>)> {
        let query = sqlx::query_as(include_str!("../../queries/audit_slots.sql"))
            .bind(before.starts_at)
            .bind(&before.store_id)
            .bind(i64::from(limit))
            .bind(self.lane_numbers());
        let rows: Vec<(String, Timestamp, i32, i32, i64)> =
            in_time(query.fetch_all(&self.audit_pool)).await?;
        let last = rows.last().filter(|_| rows.len() == usize::from(limit));
        let next = last.map(|(store_id, starts_at, ..)| SlotPosition {
            starts_at: *starts_at,
            store_id: store_id.clone(),
        });
        let books = rows
            .into_iter()
            .map(|(_, starts_at, booked, capacity, orders)| SlotBooks {
                starts_at,
                // None of them is ever negative.
                booked: booked.unsigned_abs().into(),
                capacity: capacity.unsigned_abs().into(),
                orders: orders.unsigned_abs(),
            });
        Ok((books.collect(), next))
    }

    /// At most `limit` orders of a lane before one, the newest first.
    pub async fn audit_orders(
        &self,
        lane: Lane,
        before: OrderId,
        limit: u16,
    ) -> Result<Vec<OrderBooks>> {
        let query = sqlx::query_as(include_str!("../../queries/audit_orders.sql"))
            .bind(lane_number(lane))
            .bind(before.0)
            .bind(i64::from(limit));
        Ok(in_time(query.fetch_all(&self.audit_pool)).await?)
    }

    /// Which of these orders of a lane are still paid for.
    pub async fn still_paid_orders(&self, lane: Lane, orders: &[OrderId]) -> Result<Vec<OrderId>> {
        let order_ids: Vec<_> = orders.iter().map(|order| order.0).collect();
        let query = sqlx::query_scalar(include_str!("../../queries/still_paid_orders.sql"))
            .bind(lane_number(lane))
            .bind(order_ids);
        let paid: Vec<Uuid> = in_time(query.fetch_all(&self.audit_pool)).await?;
        Ok(paid.into_iter().map(OrderId).collect())
    }
}
