//! Auditing orders: no slot above what its store can make, what is booked is what is ordered, and
//! every paid order is the one that its coupon pays for. The newest come first, and the answer says
//! how far it came.

mod coupons;
mod rounds;

use std::{
    collections::VecDeque,
    mem,
    time::{Duration, Instant},
};

use tidegate_types::{Lane, Timestamp};
use tokio::time::sleep_until;
use uuid::Uuid;

use crate::{
    domain::{OrderAudit, OrderId, RetentionPeriod},
    error::OrderIntakeError,
    issuance::Issuance,
    store::{SlotPosition, Store},
};

/// Slots, and orders, of one statement.
const PAGE_SIZE: u16 = 500;
/// Audits that nobody asked for rest so many times as long as each page took: they take about a
/// tenth of a processor, and leave the others to orders.
const REST_FACTOR: u32 = 9;

/// Audits orders. Cheap to clone.
#[derive(Clone)]
pub struct Auditor {
    pub store: Store,
    /// Where their coupons are.
    pub issuance: Issuance,
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

/// How far an audit may go. One page is compared in any case.
#[derive(Clone, Copy)]
struct Bounds {
    until: Instant,
    /// Whether it leaves the machine to others between two pages.
    rests: bool,
}

impl Bounds {
    fn half(self) -> Self {
        let left = self.until.saturating_duration_since(Instant::now());
        Self {
            until: self.until - left / 2,
            ..self
        }
    }

    async fn rest(self, page_took: Duration) {
        if self.rests {
            let rested = Instant::now() + page_took * REST_FACTOR;
            sleep_until(rested.min(self.until).into()).await;
        }
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
        let bounds = Bounds {
            until: deadline - left / 4,
            rests: false,
        };
        self.go_on(&mut pass, now, bounds).await?;
        Ok(pass.audit)
    }

    /// Goes on with a pass, first over slots, for half of the time at most, and then over orders.
    async fn go_on(
        &self,
        pass: &mut Pass,
        now: Timestamp,
        bounds: Bounds,
    ) -> Result<(), OrderIntakeError> {
        self.audit_slots(pass, now, bounds.half()).await?;
        self.audit_orders(pass, bounds).await?;
        pass.audit.is_complete = pass.is_complete();
        if pass.audit.differences() > 0 {
            tracing::error!(
                slots_over_capacity = pass.audit.slots_over_capacity,
                slots_booked_otherwise = pass.audit.slots_booked_otherwise,
                orders_paid_twice = pass.audit.orders_paid_twice,
                orders_without_coupon = pass.audit.orders_without_coupon,
                coupons_not_given_back = pass.audit.coupons_not_given_back,
                "orders, slots and coupons do not add up: a promise may be broken; keep the databases as they are, and find out why"
            );
        }
        Ok(())
    }

    async fn audit_slots(
        &self,
        pass: &mut Pass,
        now: Timestamp,
        bounds: Bounds,
    ) -> Result<(), OrderIntakeError> {
        let orders_since = self.period.orders_are_kept_since(now);
        while let Some(before) = &pass.slots_before {
            let page_began = Instant::now();
            let (books, next) = self.store.audit_slots(before, PAGE_SIZE).await?;
            for slot in &books {
                pass.audit.slot(slot, orders_since);
            }
            pass.slots_before = next;
            bounds.rest(page_began.elapsed()).await;
            if Instant::now() >= bounds.until {
                break;
            }
        }
        Ok(())
    }

    /// A page of each lane in turn, so that the newest of all come first.
    async fn audit_orders(&self, pass: &mut Pass, bounds: Bounds) -> Result<(), OrderIntakeError> {
        let mut lanes = VecDeque::from(mem::take(&mut pass.orders_before));
        while Instant::now() < bounds.until
            && let Some((lane, before)) = lanes.pop_front()
        {
            let page_began = Instant::now();
            let page = self.store.audit_orders(lane, before, PAGE_SIZE).await?;
            let Some(coupons) = self.compare_with_coupons(lane, &page, bounds.until).await? else {
                tracing::warn!(%lane, "issuance did not tell in time which orders its coupons pay for, so the audit leaves orders out; it goes on here with the next round, and if this repeats, look at issuance");
                lanes.push_front((lane, before));
                break;
            };
            pass.audit.orders += page.len() as u64;
            pass.audit.orders_paid_twice +=
                page.iter().filter(|order| order.is_paid_twice).count() as u64;
            pass.audit.orders_without_coupon += coupons.orders_without_coupon;
            pass.audit.coupons_not_given_back += coupons.coupons_not_given_back;
            let next = page.last().filter(|_| page.len() == usize::from(PAGE_SIZE));
            lanes.extend(next.map(|last| (lane, last.order_id)));
            bounds.rest(page_began.elapsed()).await;
        }
        pass.orders_before = lanes.into();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_an_audit_that_nobody_asked_for_leaves_nine_tenths_of_its_time_to_others() {
        let (page, began) = (Duration::from_millis(100), tokio::time::Instant::now());
        let bounds = |rests| Bounds {
            until: began.into_std() + Duration::from_secs(2),
            rests,
        };
        bounds(false).rest(page).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        bounds(true).rest(page).await;
        let rested = began.elapsed();
        assert!((850..950).contains(&rested.as_millis()), "{rested:?}");
        bounds(true).rest(20 * page).await;
        assert!(
            began.elapsed() < Duration::from_millis(2_050),
            "its time is over"
        );
    }
}
