use std::time::Duration;

use sqlx::FromRow;
use tidegate_types::{Lane, ReplicaId, Timestamp};
use uuid::Uuid;

use super::{Store, in_time, lane_number};
use crate::{
    domain::{OrderId, SlotBooks},
    error::OrderIntakeError,
};

/// Where a page of slots begins: before this moment, and at it before this store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotPosition {
    /// When the slot begins.
    pub starts_at: Timestamp,
    /// Of which store.
    pub store_id: String,
}

impl SlotPosition {
    /// After every slot.
    pub const LAST: Self = Self {
        starts_at: Timestamp::new_utc(time::Date::MAX, time::Time::MIDNIGHT),
        store_id: String::new(),
    };
}

/// A page of a lane's orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct OrdersPage {
    /// How many there are.
    pub orders: i64,
    /// The oldest of them.
    pub last_order_id: Option<Uuid>,
    /// How many are paid for by a coupon that pays for another order as well.
    pub paid_twice: i64,
}

#[derive(FromRow)]
struct SlotRow {
    store_id: String,
    slot_starts_at: Timestamp,
    booked: i32,
    capacity_when_booked: i32,
    orders: i64,
}

impl Store {
    /// Takes the turn to audit, or keeps it, for so long; false if another replica has it.
    pub async fn take_audit_turn(
        &self,
        replica: &ReplicaId,
        turn: Duration,
    ) -> Result<bool, OrderIntakeError> {
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
    ) -> Result<(Vec<SlotBooks>, Option<SlotPosition>), OrderIntakeError> {
        let lanes: Vec<_> = self.lanes.all().map(lane_number).collect();
        let query = sqlx::query_as(include_str!("../../queries/audit_slots.sql"))
            .bind(before.starts_at)
            .bind(&before.store_id)
            .bind(i64::from(limit))
            .bind(lanes);
        let rows: Vec<SlotRow> = in_time(query.fetch_all(&self.audit_pool)).await?;
        let next = (rows.len() == usize::from(limit))
            .then(|| rows.last())
            .flatten();
        let next = next.map(|row| SlotPosition {
            starts_at: row.slot_starts_at,
            store_id: row.store_id.clone(),
        });
        let books = rows.into_iter().map(|row| SlotBooks {
            starts_at: row.slot_starts_at,
            // None of them is ever negative.
            booked: row.booked.unsigned_abs().into(),
            capacity: row.capacity_when_booked.unsigned_abs().into(),
            orders: row.orders.unsigned_abs(),
        });
        Ok((books.collect(), next))
    }

    /// At most `limit` orders of a lane before one, the newest first.
    pub async fn audit_orders(
        &self,
        lane: Lane,
        before: OrderId,
        limit: u16,
    ) -> Result<OrdersPage, OrderIntakeError> {
        let query = sqlx::query_as(include_str!("../../queries/audit_orders.sql"))
            .bind(lane_number(lane))
            .bind(before.0)
            .bind(i64::from(limit));
        Ok(in_time(query.fetch_one(&self.audit_pool)).await?)
    }
}
