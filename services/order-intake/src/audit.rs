//! Auditing orders: no slot above what its store can make, what is booked is what is ordered, and no coupon pays for two orders. The newest come first, and the answer says how far it came.

mod rounds;

use std::{collections::VecDeque, mem, time::Instant};

use tidegate_types::{Lane, Timestamp};
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

/// What an audit has covered, and what is left of it.
struct Pass {
    audit: OrderAudit,
    slots_before: Option<SlotPosition>,
    /// Lanes that are not through, each with the order before which it goes on.
    orders_before: Vec<(Lane, OrderId)>,
}

impl Pass {
    fn over_all_of(store: &Store) -> Self {
        Self {
            audit: OrderAudit::default(),
            slots_before: Some(SlotPosition::LAST),
            orders_before: store
                .lanes()
                .all()
                .map(|lane| (lane, OrderId(Uuid::max())))
                .collect(),
        }
    }

    fn is_complete(&self) -> bool {
        self.slots_before.is_none() && self.orders_before.is_empty()
    }
}

impl Auditor {
    /// Audits as much as fits into three quarters of the time.
    pub async fn audit(
        self,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<OrderAudit, OrderIntakeError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut pass = Pass::over_all_of(&self.store);
        self.go_on(&mut pass, now, deadline - left / 4).await?;
        Ok(pass.audit)
    }

    /// Goes on with a pass, first over slots, for half of the time at most, and then over orders.
    async fn go_on(
        &self,
        pass: &mut Pass,
        now: Timestamp,
        until: Instant,
    ) -> Result<(), OrderIntakeError> {
        let left = until.saturating_duration_since(Instant::now());
        self.audit_slots(pass, now, until - left / 2).await?;
        self.audit_orders(pass, until).await?;
        pass.audit.is_complete = pass.is_complete();
        if pass.audit.differences() > 0 {
            tracing::error!(
                slots_over_capacity = pass.audit.slots_over_capacity,
                slots_booked_otherwise = pass.audit.slots_booked_otherwise,
                orders_paid_twice = pass.audit.orders_paid_twice,
                "orders and slots do not add up: a promise may be broken; keep the database as it is, and find out why"
            );
        }
        Ok(())
    }

    async fn audit_slots(
        &self,
        pass: &mut Pass,
        now: Timestamp,
        until: Instant,
    ) -> Result<(), OrderIntakeError> {
        let orders_since = self.period.orders_are_kept_since(now);
        while let Some(before) = &pass.slots_before {
            let (books, next) = self.store.audit_slots(before, PAGE_SIZE).await?;
            for slot in &books {
                pass.audit.slot(slot, orders_since);
            }
            pass.slots_before = next;
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// A page of each lane in turn, so that the newest of all come first.
    async fn audit_orders(&self, pass: &mut Pass, until: Instant) -> Result<(), OrderIntakeError> {
        let mut lanes = VecDeque::from(mem::take(&mut pass.orders_before));
        while Instant::now() < until
            && let Some((lane, before)) = lanes.pop_front()
        {
            let page = self.store.audit_orders(lane, before, PAGE_SIZE).await?;
            pass.audit.orders += page.orders.unsigned_abs();
            pass.audit.orders_paid_twice += page.paid_twice.unsigned_abs();
            let next = page
                .last_order_id
                .filter(|_| page.orders == i64::from(PAGE_SIZE));
            lanes.extend(next.map(|last| (lane, OrderId(last))));
        }
        pass.orders_before = lanes.into();
        Ok(())
    }
}
