//! Auditing orders: no slot above what its store can make, what is booked is what is ordered, and no coupon pays for two orders. The newest come first, and the answer says how far it came.

use std::time::Instant;

use tidegate_types::Timestamp;
use uuid::Uuid;

use crate::{
    domain::{OrderAudit, OrderId, RetentionPeriod},
    error::OrderIntakeError,
    store::{SlotPosition, Store},
};

/// Slots, and orders, of one statement.
const PAGE_SIZE: u16 = 500;

/// Audits orders. Cheap to clone.
#[derive(Clone)]
pub struct Auditor {
    /// Where they are kept.
    pub store: Store,
    /// How long orders are kept.
    pub period: RetentionPeriod,
}

impl Auditor {
    /// Audits as much as fits into three quarters of the time, first slots and then orders.
    pub async fn audit(
        self,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<OrderAudit, OrderIntakeError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let (slots_until, until) = (deadline - left / 8 * 5, deadline - left / 4);
        let mut audit = OrderAudit::default();
        let all_slots = self.audit_slots(&mut audit, now, slots_until).await?;
        let all_orders = self.audit_orders(&mut audit, until).await?;
        audit.is_complete = all_slots && all_orders;
        if audit.differences() > 0 {
            tracing::error!(
                slots_over_capacity = audit.slots_over_capacity,
                slots_booked_otherwise = audit.slots_booked_otherwise,
                orders_paid_twice = audit.orders_paid_twice,
                "orders and slots do not add up: a promise may be broken; keep the database as it is, and find out why"
            );
        }
        Ok(audit)
    }

    async fn audit_slots(
        &self,
        audit: &mut OrderAudit,
        now: Timestamp,
        until: Instant,
    ) -> Result<bool, OrderIntakeError> {
        let orders_since = self.period.orders_are_kept_since(now);
        let mut next = Some(SlotPosition {
            starts_at: Timestamp::new_utc(time::Date::MAX, time::Time::MIDNIGHT),
            store_id: String::new(),
        });
        while let Some(before) = next {
            let (books, after) = self.store.audit_slots(&before, PAGE_SIZE).await?;
            for slot in &books {
                audit.slot(slot, orders_since);
            }
            next = after;
            if Instant::now() >= until {
                break;
            }
        }
        Ok(next.is_none())
    }

    /// Lane by lane, a page of each in turn, so that the newest of all come first.
    async fn audit_orders(
        &self,
        audit: &mut OrderAudit,
        until: Instant,
    ) -> Result<bool, OrderIntakeError> {
        let first = |lane| (lane, OrderId(Uuid::max()));
        let mut left: Vec<_> = self.store.lanes().all().map(first).collect();
        while !left.is_empty() {
            let mut after = Vec::with_capacity(left.len());
            for (lane, before) in left {
                if Instant::now() >= until {
                    return Ok(false);
                }
                let page = self.store.audit_orders(lane, before, PAGE_SIZE).await?;
                audit.orders += page.orders.unsigned_abs();
                audit.orders_paid_twice += page.paid_twice.unsigned_abs();
                let next = page
                    .last_order_id
                    .filter(|_| page.orders == i64::from(PAGE_SIZE));
                after.extend(next.map(|last| (lane, OrderId(last))));
            }
            left = after;
        }
        Ok(true)
    }
}
