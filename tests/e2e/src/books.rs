use anyhow::Result;
use tidegate_local::stack::Service;
use tidegate_proto::r#type::v1::OrderState;

use crate::Suite;

/// Orders that hold a place in a slot, beside what is booked into it. 3 is REJECTED, 7 CANCELLED
/// and 8 FAILED, as in tidegate.type.v1.OrderState.
const SLOTS: &str = "
    SELECT slot.booked::bigint, slot.capacity_when_booked::bigint,
        (SELECT count(*) FROM orders WHERE orders.store_id = slot.store_id AND orders.slot_starts_at = slot.slot_starts_at AND state NOT IN (3, 7, 8)) AS orders
    FROM store_slots AS slot
    WHERE slot.store_id = $1
    ORDER BY slot.slot_starts_at";

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SlotBooking {
    pub booked: i64,
    /// What the store made in a slot when the last one was.
    pub capacity_when_booked: i64,
    /// Orders that hold a place.
    pub orders: i64,
}

impl Suite {
    /// The slots of a store by time, each with a place for every order in it and for no other.
    pub async fn slots(&self, store_id: &str) -> Result<Vec<SlotBooking>> {
        let mut database = self.database_of(Service::OrderIntake).await?;
        let slots = sqlx::query_as(SLOTS).bind(store_id);
        let slots: Vec<SlotBooking> = slots.fetch_all(&mut database).await?;
        for slot in &slots {
            assert_eq!(slot.booked, slot.orders, "{slot:?}");
            assert!(slot.booked <= slot.capacity_when_booked, "{slot:?}");
        }
        Ok(slots)
    }

    pub async fn orders_in_state(&self, state: OrderState) -> Result<i64> {
        let orders = "SELECT count(*) FROM orders WHERE state = $1";
        self.count_of_state(orders, state).await
    }

    /// How often the feed tells that orders got into a state.
    pub async fn changes_to_state(&self, state: OrderState) -> Result<i64> {
        let changes = "SELECT count(*) FROM order_events WHERE state = $1";
        self.count_of_state(changes, state).await
    }

    async fn count_of_state(&self, query: &str, state: OrderState) -> Result<i64> {
        let mut database = self.database_of(Service::OrderIntake).await?;
        let count = sqlx::query_scalar(query).bind(state as i16);
        Ok(count.fetch_one(&mut database).await?)
    }
}
