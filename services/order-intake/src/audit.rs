//! Auditing orders: no slot above what its store can make, what is booked is what is ordered, and
//! every paid order is the one that its coupon pays for. The newest come first, and the answer says
//! how far it came.

use std::{
    collections::VecDeque,
    mem,
    str::FromStr as _,
    time::{Duration, Instant},
};

use tidegate_proto::issuance::v1::{CodeOfShopper, LookupRedemptionsRequest};
use tidegate_types::{Lane, ReplicaId, Timestamp};
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    domain::{OrderAudit, OrderBooks, OrderId, RetentionPeriod},
    error::Result,
    issuance::{Batch, Client, Issuance},
    metrics::Metrics,
    store::{SlotPosition, Store},
};

const INTERVAL: Duration = Duration::from_secs(60);
/// A replica that is killed or held still loses the turn to audit after this time.
const TURN: Duration = Duration::from_secs(180);
/// What a round takes for the newest, which it always begins with.
const NEWEST_TIME: Duration = Duration::from_secs(2);
/// What it takes for the pass over all.
const PASS_TIME: Duration = Duration::from_secs(6);

/// Slots, and orders, of one statement.
const PAGE_SIZE: u16 = 500;
/// Audits that nobody asked for rest so many times as long as each page took: they take about a
/// tenth of a processor, and leave the others to orders.
const REST_FACTOR: u32 = 9;

#[derive(Clone)]
pub struct Auditor {
    pub store: Store,
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
        let lanes = store.lanes().all();
        Self {
            audit: OrderAudit::default(),
            slots_before: Some(SlotPosition::LAST),
            orders_before: lanes.map(|lane| (lane, OrderId(Uuid::max()))).collect(),
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
    /// Those of an audit that nobody asked for.
    fn of_round(time: Duration) -> Self {
        Self {
            until: Instant::now() + time,
            rests: true,
        }
    }

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
    pub async fn audit(self, now: Timestamp, deadline: Instant) -> Result<OrderAudit> {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut pass = Pass::over_all_of(&self.store);
        let bounds = Bounds {
            until: deadline - left / 4,
            rests: false,
        };
        self.go_on(&mut pass, now, bounds).await?;
        Ok(pass.audit)
    }

    /// Audits again and again until `stop`, whenever no other replica does.
    pub async fn run(self, replica: ReplicaId, metrics: Metrics, stop: CancellationToken) {
        let mut pass = Pass::over_all_of(&self.store);
        while stop.run_until_cancelled(sleep(INTERVAL)).await.is_some() {
            let round = self.round(&replica, &mut pass, &metrics);
            match stop.run_until_cancelled(round).await {
                Some(Err(error)) => {
                    tracing::warn!(%error, "orders could not be audited, so nobody checks now that they and the slots add up; look at the database, the next round comes by itself");
                }
                Some(Ok(())) => {}
                None => return,
            }
        }
    }

    /// Compares what is newest, and goes on with the pass over all; what a pass that is through has
    /// covered is shown, and the next one begins.
    async fn round(&self, replica: &ReplicaId, pass: &mut Pass, metrics: &Metrics) -> Result<()> {
        if !self.store.take_audit_turn(replica, TURN).await? {
            return Ok(());
        }
        let now = Timestamp::now_utc();
        let mut newest = Pass::over_all_of(&self.store);
        self.go_on(&mut newest, now, Bounds::of_round(NEWEST_TIME))
            .await?;
        let found = newest.audit.differences();
        metrics.audit_differences.set(found as i64);
        if newest.is_complete() {
            metrics.audited_all_at_seconds.set(now.unix_timestamp());
            return Ok(());
        }
        self.go_on(pass, now, Bounds::of_round(PASS_TIME)).await?;
        let found = pass.audit.differences();
        metrics.audit_differences.set(found as i64);
        if pass.is_complete() {
            metrics.audited_all_at_seconds.set(now.unix_timestamp());
            *pass = Pass::over_all_of(&self.store);
        }
        Ok(())
    }

    /// Goes on with a pass, first over slots, for half of the time at most, and then over orders.
    async fn go_on(&self, pass: &mut Pass, now: Timestamp, bounds: Bounds) -> Result<()> {
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

    async fn audit_slots(&self, pass: &mut Pass, now: Timestamp, bounds: Bounds) -> Result<()> {
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
    async fn audit_orders(&self, pass: &mut Pass, bounds: Bounds) -> Result<()> {
        let mut lanes = VecDeque::from(mem::take(&mut pass.orders_before));
        while Instant::now() < bounds.until
            && let Some((lane, before)) = lanes.pop_front()
        {
            let page_began = Instant::now();
            let page = self.store.audit_orders(lane, before, PAGE_SIZE).await?;
            if !self
                .compare_with_coupons(pass, lane, &page, bounds.until)
                .await?
            {
                tracing::warn!(%lane, "issuance did not tell in time which orders its coupons pay for, so the audit leaves orders out; it goes on here with the next round, and if this repeats, look at issuance");
                lanes.push_front((lane, before));
                break;
            }
            pass.audit.orders += page.len() as u64;
            let twice = page.iter().filter(|order| order.is_paid_twice);
            pass.audit.orders_paid_twice += twice.count() as u64;
            let next = page.last().filter(|_| page.len() == usize::from(PAGE_SIZE));
            lanes.extend(next.map(|last| (lane, last.order_id)));
            bounds.rest(page_began.elapsed()).await;
        }
        pass.orders_before = lanes.into();
        Ok(())
    }

    /// Compares a page of a lane's orders with their coupons at issuance; false if that does not
    /// answer in time.
    ///
    /// An order gives its coupon back only after it has ended here. So a paid order that issuance
    /// knows nothing of is read once more: it may have ended between the two reads. An order that
    /// gave its coupon back never gets it again, so there is nothing to read once more.
    async fn compare_with_coupons(
        &self,
        pass: &mut Pass,
        lane: Lane,
        page: &[OrderBooks],
        until: Instant,
    ) -> Result<bool> {
        let compared = page.iter().filter(|order| order.is_paid.is_some());
        let compared: Vec<_> = compared.collect();
        let Some(paying) = self.orders_paid_by_coupons(lane, &compared, until).await else {
            return Ok(false);
        };
        let (mut unpaid, mut kept) = (Vec::new(), Vec::new());
        for (order, paying) in compared.iter().zip(paying) {
            match order.is_paid {
                _ if !order.differs_from(paying) => {}
                Some(true) => unpaid.push(order.order_id),
                Some(false) | None => kept.push(order.order_id),
            }
        }
        let still_paid = match unpaid.is_empty() {
            true => Vec::new(),
            false => self.store.still_paid_orders(lane, &unpaid).await?,
        };
        for order in still_paid.iter().chain(&kept) {
            tracing::error!(%order, "the order and its coupon at issuance do not agree on whether the coupon pays for it");
        }
        pass.audit.orders_without_coupon += still_paid.len() as u64;
        pass.audit.coupons_not_given_back += kept.len() as u64;
        Ok(true)
    }

    /// The order that each one's coupon pays for at issuance.
    async fn orders_paid_by_coupons(
        &self,
        lane: Lane,
        orders: &[&OrderBooks],
        until: Instant,
    ) -> Option<Vec<Option<OrderId>>> {
        if orders.is_empty() {
            return Some(Vec::new());
        }
        let batch = Batch {
            lane,
            method: "LookupRedemptions",
            items: orders.len(),
            deadline: until,
            is_for_callers: false,
        };
        let message = || LookupRedemptionsRequest {
            items: orders.iter().map(|order| item(order)).collect(),
        };
        let send =
            |mut client: Client, request| async move { client.lookup_redemptions(request).await };
        let issuance = &self.issuance;
        let results = issuance.call(batch, message, send, |answer| answer.order_ids);
        let order_ids = results.await;
        let order_id = |text: String| Uuid::from_str(&text).ok().map(OrderId);
        (!order_ids.is_empty()).then(|| order_ids.into_iter().map(order_id).collect())
    }
}

fn item(order: &OrderBooks) -> CodeOfShopper {
    CodeOfShopper {
        shopper_id: order.shopper.as_str().to_owned(),
        coupon_code: order.coupon_code.reveal(),
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
