//! Writes in one statement what can be decided from what is remembered. That is most of a batch:
//! orders to stores that were booked at of late, and acceptances of orders that were just placed.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::PgConnection;
use tidegate_telemetry::note;
use tidegate_types::{CouponCode, Lane, ShopperId, StoreId, Timestamp};
use uuid::Uuid;

use super::{
    Asked, Change, Outcome,
    decide::{new_standing, stands},
    read::orders_looked_at,
    remembered::{Remembered, RememberedStores},
    write::minutes_of,
};
use crate::{
    domain::{Move, Order, OrderId, OrderState, Slot, Standing, Timing},
    store::{
        lane_number,
        rows::{each, lines_to_json},
    },
};

/// What a batch is expected to write, by the place of each change in it.
#[derive(Default)]
pub(super) struct FromMemory {
    placed: Vec<Placing>,
    accepted: Vec<(usize, Standing)>,
    stores: BTreeMap<StoreId, Remembered>,
}

struct Placing {
    at: usize,
    order: Order,
    capacity: u16,
    /// The shopper's other orders of this batch that come before it.
    others_of_shopper: i16,
}

impl FromMemory {
    /// Takes out of memory what the batch needs of it.
    pub(super) fn decide(
        changes: &[&Change],
        remembered: &RememberedStores,
        now: Timestamp,
    ) -> Self {
        let mut decided = Self::default();
        let mut of_shoppers: HashMap<&ShopperId, i16> = HashMap::new();
        let mut paid: HashSet<(&ShopperId, CouponCode)> = HashSet::new();
        for (at, change) in changes.iter().enumerate() {
            let draft = &change.draft;
            match &change.asked {
                Asked::Place { code, trace } if code.may_book() => {
                    let Some((slot, store)) = decided.book(change, remembered, now) else {
                        continue;
                    };
                    let area = store.area.clone();
                    let capacity = store.orders_per_slot.get();
                    let before = of_shoppers.entry(&draft.shopper).or_default();
                    let standing = new_standing(change.order_id, (area, slot), *trace, now);
                    decided.placed.push(Placing {
                        at,
                        order: Order {
                            draft: draft.clone(),
                            standing,
                        },
                        capacity,
                        others_of_shopper: *before,
                    });
                    *before = before.saturating_add(1);
                }
                Asked::Move { step, by, seen }
                    if by.is_none()
                        && seen.state == OrderState::Pending
                        && Timing::of(draft, seen.slot, now) == Timing::InTime =>
                {
                    if let Move::Accept(bill) = step
                        && paid.insert((&draft.shopper, draft.coupon_code))
                    {
                        let standing = Standing {
                            state: OrderState::Accepted,
                            discount_minor_units: Some(bill.discount().minor_units),
                            updated_at: now,
                            ..seen.clone()
                        };
                        decided.accepted.push((at, standing));
                    }
                }
                Asked::Place { .. } | Asked::Move { .. } | Asked::Released => {}
            }
        }
        decided
    }

    fn book(
        &mut self,
        change: &Change,
        remembered: &RememberedStores,
        now: Timestamp,
    ) -> Option<(Slot, &crate::domain::Store)> {
        let draft = &change.draft;
        if !self.stores.contains_key(&draft.store) {
            let mut store = remembered.take(&draft.store)?;
            store.timetable.look_from(now);
            self.stores.insert(draft.store.clone(), store);
        }
        let timetable = &mut self.stores.get_mut(&draft.store)?.timetable;
        let slot = timetable.book(now, draft.latest_acceptable_at).ok()?;
        Some((slot, timetable.store()))
    }

    /// Writes what holds in the database as well, and puts its outcomes in their places.
    pub(super) async fn write(
        mut self,
        connection: &mut PgConnection,
        (lane, orders_to_come): (Lane, u16),
        remembered: &RememberedStores,
        now: Timestamp,
        outcomes: &mut [Option<Outcome>],
    ) -> Result<(), sqlx::Error> {
        let (placed, accepted) = (&*self.placed, &*self.accepted);
        let mut written = HashSet::new();
        if !placed.is_empty() || !accepted.is_empty() {
            let stores: Vec<_> = self.stores.iter().collect();
            let query = sqlx::query_scalar(include_str!("../../../queries/write_from_memory.sql"))
                .bind(lane_number(lane))
                .bind(now)
                .bind(now.date())
                .bind(i64::from(orders_to_come))
                .bind(orders_looked_at(orders_to_come))
                .bind(each(&stores, |(id, _)| id.as_str()))
                .bind(each(&stores, |(_, store)| store.version))
                .bind(each(placed, |new| new.order.draft.shopper.as_str()))
                .bind(each(placed, |new| new.order.draft.request_id.as_str()))
                .bind(each(placed, |new| new.order.standing.order_id.0))
                .bind(each(placed, |new| new.order.draft.store.as_str()))
                .bind(each(placed, |new| new.order.standing.area.as_str()))
                .bind(each(placed, |new| new.order.standing.slot.starts_at()))
                .bind(each(placed, |new| minutes_of(new.order.standing.slot)))
                .bind(each(placed, |new| i32::from(new.capacity)))
                .bind(each(placed, |new| new.order.draft.coupon_code.reveal()))
                .bind(each(placed, |new| lines_to_json(&new.order.draft.lines)))
                .bind(each(placed, |new| new.order.draft.content_hash()))
                .bind(each(placed, |new| new.order.draft.latest_acceptable_at))
                .bind(each(placed, |new| {
                    new.order.standing.trace.map(|trace| trace.traceparent())
                }))
                .bind(each(placed, |new| new.others_of_shopper))
                .bind(each(accepted, |(_, order)| order.order_id.0))
                .bind(each(accepted, |(_, order)| order.slot.starts_at()))
                .bind(each(accepted, |(_, order)| order.discount_minor_units));
            let ids: Vec<Uuid> = query.fetch_all(connection).await?;
            written.extend(ids.into_iter().map(OrderId));
        }
        note("tidegate.written_from_memory", written.len() as i64);
        self.keep(remembered, &written);
        let placed = self.placed.into_iter();
        let placed = placed.map(|placing| (placing.at, placing.order.standing));
        for (at, standing) in placed.chain(self.accepted) {
            if written.contains(&standing.order_id) {
                outcomes[at] = Some(stands(standing));
            }
        }
        Ok(())
    }

    /// Remembers stores with what is booked by now. Of a slot that one order got, all others that
    /// were not written were refused for what they are. Where nobody got one it may be full, and the
    /// store is forgotten.
    fn keep(&mut self, remembered: &RememberedStores, written: &HashSet<OrderId>) {
        let mut got: HashSet<(&StoreId, Timestamp)> = HashSet::new();
        let slot = |order: &Order| order.standing.slot;
        let (with_place, without): (Vec<&Placing>, Vec<&Placing>) = self
            .placed
            .iter()
            .partition(|new| written.contains(&new.order.standing.order_id));
        for Placing { order, .. } in with_place {
            got.insert((&order.draft.store, slot(order).starts_at()));
        }
        for Placing { order, .. } in without {
            let store = &order.draft.store;
            if !got.contains(&(store, slot(order).starts_at())) {
                self.stores.remove(store);
            } else if let Some(store) = self.stores.get_mut(store) {
                store.timetable.give_back(slot(order));
            }
        }
        for store in std::mem::take(&mut self.stores).into_values() {
            remembered.put_back(store);
        }
    }
}
