use anyhow::Result;
use tidegate_local::stack::Service;
use tidegate_proto::r#type::v1::OrderState;

use crate::Suite;

/// What is booked in each slot, what the store made in one when the last was booked, and the orders
/// that hold a place. 3 is REJECTED, 7 CANCELLED and 8 FAILED, as in tidegate.type.v1.OrderState.
const SLOTS: &str = "
    SELECT slot.booked::bigint, slot.capacity_when_booked::bigint,
        (SELECT count(*) FROM orders WHERE orders.store_id = slot.store_id AND orders.slot_starts_at = slot.slot_starts_at AND state NOT IN (3, 7, 8))
    FROM store_slots AS slot
    WHERE slot.store_id = $1";

impl Suite {
    /// What is booked at a store: a place for every order in a slot and for no other.
    pub async fn booked(&self, store_id: &str) -> Result<i64> {
        let mut database = self.database_of(Service::OrderIntake).await?;
        let slots = sqlx::query_as(SLOTS).bind(store_id);
        let slots: Vec<(i64, i64, i64)> = slots.fetch_all(&mut database).await?;
        for (booked, capacity, orders) in &slots {
            assert_eq!(booked, orders);
            assert!(booked <= capacity, "{booked} of {capacity}");
        }
        Ok(slots.iter().map(|(booked, ..)| booked).sum())
    }

    pub async fn orders_in_state(&self, state: OrderState) -> Result<i64> {
        let mut database = self.database_of(Service::OrderIntake).await?;
        let orders = sqlx::query_scalar("SELECT count(*) FROM orders WHERE state = $1");
        let orders = orders.bind(state as i16);
        Ok(orders.fetch_one(&mut database).await?)
    }
}
