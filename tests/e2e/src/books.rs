use anyhow::Result;
use sqlx::{PgPool, Row};
use tidegate_local::stack::Service;

use crate::Suite;

/// Orders that hold a place in a slot, beside what is booked into it. 3 is REJECTED, 7 CANCELLED
/// and 8 FAILED, as in tidegate.type.v1.OrderState.
const SLOTS: &str = "
    SELECT slot.slot_starts_at::text, slot.booked::bigint, slot.capacity_when_booked::bigint,
        (SELECT count(*) FROM orders WHERE orders.store_id = slot.store_id AND orders.slot_starts_at = slot.slot_starts_at AND state NOT IN (3, 7, 8))
    FROM store_slots AS slot
    WHERE slot.store_id = $1
    ORDER BY slot.slot_starts_at";

pub struct OrderBooks(PgPool);

/// What is kept of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotBooking {
    pub starts_at: String,
    /// Places that are given away.
    pub booked: i64,
    /// What the store made in a slot when the last one was.
    pub capacity_when_booked: i64,
    /// Orders that hold a place.
    pub orders: i64,
}

impl OrderBooks {
    pub async fn open(suite: &Suite) -> Result<Self> {
        let url = suite.database_of(Service::OrderIntake)?;
        Ok(Self(PgPool::connect(&url).await?))
    }

    /// The slots of a store, by time.
    pub async fn slots(&self, store_id: &str) -> Result<Vec<SlotBooking>> {
        let rows = sqlx::query(SLOTS).bind(store_id).fetch_all(&self.0).await?;
        rows.iter()
            .map(|row| {
                Ok(SlotBooking {
                    starts_at: row.try_get(0)?,
                    booked: row.try_get(1)?,
                    capacity_when_booked: row.try_get(2)?,
                    orders: row.try_get(3)?,
                })
            })
            .collect()
    }

    /// How many orders are in a state, by its number.
    pub async fn orders_in_state(&self, state: i16) -> Result<i64> {
        let count = sqlx::query_scalar("SELECT count(*) FROM orders WHERE state = $1");
        Ok(count.bind(state).fetch_one(&self.0).await?)
    }

    /// How often the feed tells that orders got a state, by its number.
    pub async fn changes_to_state(&self, state: i16) -> Result<i64> {
        let count = sqlx::query_scalar("SELECT count(*) FROM order_events WHERE state = $1");
        Ok(count.bind(state).fetch_one(&self.0).await?)
    }
}
