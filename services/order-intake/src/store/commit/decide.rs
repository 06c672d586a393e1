use std::{collections::HashMap, mem};

use tidegate_telemetry::TraceContext;
use tidegate_types::{self as types, Actor, CouponCode, ResourceKind, ShopperId, Timestamp};

use super::{
    Asked, Change, Outcome,
    read::{Earlier, Found, Known, MovedOrder},
    write::Written,
};
use crate::{
    domain::{
        Area, BusyStore, Move, NoSlot, Order, OrderId, OrderState, Placed, Rejection, Slot,
        Standing, Timetable, Timing, Verdict,
    },
    error::{OrderIntakeError, Result},
};

/// Decides a batch and gathers what is to be written of it.
pub(super) struct Decisions {
    now: Timestamp,
    /// How many orders a shopper may have that are still to be made.
    orders_to_come: u16,
    pub(super) written: Written,
    /// What each coupon pays for in this batch: what was read is what was committed before it.
    paid: HashMap<(ShopperId, CouponCode), OrderId>,
}

impl Decisions {
    pub(super) fn new(now: Timestamp, orders_to_come: u16) -> Self {
        Self {
            now,
            orders_to_come,
            written: Written::default(),
            paid: HashMap::new(),
        }
    }

    /// What becomes of each change, in their order. Moves are decided first: a place that one gives
    /// back may go to a new order of the same batch.
    pub(super) fn decide(&mut self, changes: &[&Change], known: &mut Known) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = changes
            .iter()
            .map(|change| match &change.asked {
                Asked::Place { .. } => None,
                Asked::Move { step, by, .. } => {
                    Some(self.move_order(change, step, by.as_deref(), known))
                }
                Asked::Released => Some(self.release(change, known)),
            })
            .collect();
        for (change, outcome) in changes.iter().zip(&mut outcomes) {
            if let Asked::Place { code, trace } = change.asked {
                *outcome = Some(self.place(change, code, trace, known));
            }
        }
        for (store, found) in &known.stores {
            if let Found::Locked(timetable) = found {
                let changes = timetable.changes().map(|booking| (store.clone(), *booking));
                self.written.booked.extend(changes);
                if timetable.gave_back() {
                    self.written.given_back.push(store.clone());
                }
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    fn place(
        &mut self,
        change: &Change,
        code: Verdict,
        trace: TraceContext,
        known: &mut Known,
    ) -> Outcome {
        let draft = &change.draft;
        if let Some(earlier) = known.earlier.remove(&draft.key()) {
            return replay(change, earlier);
        }
        match code {
            Verdict::False => return Err(OrderIntakeError::CouponNotFound),
            Verdict::KeyMissing => return Err(OrderIntakeError::CouponKeyMissing),
            Verdict::True | Verdict::Unknown => {}
        }
        let to_come = known.to_come.entry(draft.shopper.clone()).or_default();
        if *to_come >= self.orders_to_come {
            return Err(OrderIntakeError::OpenOrderLimitReached);
        }
        let timetable = match known.stores.get_mut(&draft.store) {
            Some(Found::Locked(timetable)) => timetable,
            Some(Found::Busy) => return Ok(None),
            Some(Found::Unreadable) => return Err(OrderIntakeError::Internal),
            Some(Found::Missing) | None => return Err(OrderIntakeError::StoreNotFound),
        };
        let slot = timetable
            .book(self.now, draft.latest_acceptable_at)
            .map_err(|none| no_slot(none, timetable))?;
        *to_come += 1;
        let area = timetable.store().area.clone();
        let standing = new_standing(change.order_id, (area, slot), trace, self.now);
        self.written.placed.push(Order {
            draft: draft.clone(),
            standing: standing.clone(),
        });
        stands(standing)
    }

    fn move_order(
        &mut self,
        change: &Change,
        asked: &Move,
        by: Option<&Actor>,
        known: &mut Known,
    ) -> Outcome {
        let Some(mut order) = known.moved.remove(&change.order_id) else {
            return Err(OrderIntakeError::OrderNotFound);
        };
        let coupon = (change.draft.shopper.clone(), change.draft.coupon_code);
        let asked = order.fair(asked, self.paid.get(&coupon).copied());
        let store = known.stores.get_mut(&change.draft.store);
        let Some(asked) = self.in_time(change, &mut order, asked, store)? else {
            return Ok(None);
        };
        let Some(next) = order.standing.state.after(&asked)? else {
            return stands(order.standing);
        };
        if order.standing.state.holds_slot() && !next.holds_slot() {
            match known.stores.get_mut(&change.draft.store) {
                Some(Found::Locked(timetable)) => timetable.give_back(order.standing.slot),
                // Not locked at all: an order of this very batch has been paid with the same
                // coupon, which nobody could know before.
                Some(Found::Busy) | None => return Ok(None),
                Some(Found::Unreadable) => return Err(OrderIntakeError::Internal),
                // Stores are never deleted.
                Some(Found::Missing) => {}
            }
        }
        if next == OrderState::Accepted {
            self.paid.insert(coupon, change.order_id);
        }
        let before = order.standing.state.name();
        let discount_minor_units = match &asked {
            Move::Accept(bill) => Some(bill.discount().minor_units),
            _ => order.standing.discount_minor_units,
        };
        let standing = Standing {
            state: next,
            discount_minor_units,
            updated_at: self.now,
            ..order.standing
        };
        let record = by.and_then(|by| record_of(by, &asked, (before, &standing)));
        self.written.recorded.extend(record);
        let closing = match asked {
            Move::CloseStore { closing, .. } => Some(closing),
            _ => None,
        };
        self.written.moved.push((standing.clone(), closing));
        stands(standing)
    }

    /// An acceptance, as the time allows: in another slot if the order's own is over, or a
    /// rejection if nothing that the shopper accepts is left. `None` if another batch books at the
    /// store.
    fn in_time(
        &self,
        change: &Change,
        order: &mut MovedOrder,
        asked: Move,
        store: Option<&mut Found>,
    ) -> Result<Option<Move>> {
        if !matches!(
            (&asked, &order.standing.state),
            (Move::Accept(_), OrderState::Pending)
        ) {
            return Ok(Some(asked));
        }
        let too_late = Move::Reject(Rejection::too_late());
        let latest = match Timing::of(&change.draft, order.standing.slot, self.now) {
            Timing::InTime => return Ok(Some(asked)),
            Timing::Over => return Ok(Some(too_late)),
            Timing::Rebook { latest } => latest,
        };
        let timetable = match store {
            Some(Found::Locked(timetable)) => timetable,
            Some(Found::Busy) | None => return Ok(None),
            Some(Found::Unreadable) => return Err(OrderIntakeError::Internal),
            Some(Found::Missing) => return Ok(Some(too_late)),
        };
        let Ok(slot) = timetable.book(self.now, Some(latest)) else {
            return Ok(Some(too_late));
        };
        timetable.give_back(mem::replace(&mut order.standing.slot, slot));
        Ok(Some(asked))
    }

    fn release(&mut self, change: &Change, known: &mut Known) -> Outcome {
        let Some(order) = known.moved.remove(&change.order_id) else {
            return Err(OrderIntakeError::OrderNotFound);
        };
        let mut standing = order.standing;
        if standing.owes_coupon() {
            standing.coupon_released_at = Some(self.now);
            self.written.moved.push((standing.clone(), None));
        }
        stands(standing)
    }
}

pub(super) fn new_standing(
    order_id: OrderId,
    (area, slot): (Area, Slot),
    trace: TraceContext,
    now: Timestamp,
) -> Standing {
    Standing {
        order_id,
        area,
        slot,
        state: OrderState::Pending,
        discount_minor_units: None,
        coupon_released_at: None,
        trace: Some(trace),
        created_at: now,
        updated_at: now,
    }
}

pub(super) fn stands(standing: Standing) -> Outcome {
    Ok(Some(Placed {
        standing,
        replayed: false,
    }))
}

/// What the record of what staff change says of a move, if it says anything. Fulfilment's steps are
/// in the feed.
fn record_of(
    by: &Actor,
    asked: &Move,
    (before, after): (&str, &Standing),
) -> Option<types::Change> {
    let (action, reason) = match asked {
        Move::Cancel => ("CancelOrder", ""),
        Move::Fail(note) => ("FailOrder", note.as_str()),
        _ => return None,
    };
    let order_id = after.order_id.to_string();
    let order = (ResourceKind::Order, &*order_id);
    let change = types::Change::new(by, after.updated_at, action, order, reason);
    Some(change.with_field("state", before, after.state.name()))
}

/// A batch that is done again after a lost connection finds its own orders, and they are no
/// replays.
fn replay(change: &Change, earlier: Earlier) -> Outcome {
    if !earlier.is_same {
        return Err(OrderIntakeError::RequestIdConflict);
    }
    Ok(Some(Placed {
        replayed: earlier.standing.order_id != change.order_id,
        standing: earlier.standing,
    }))
}

/// Moments of a store are told as its own clocks show them.
fn no_slot(none: NoSlot, timetable: &Timetable) -> OrderIntakeError {
    let zone = &timetable.store().zone;
    match none {
        NoSlot::LatestPassed => OrderIntakeError::LatestPassed,
        NoSlot::Busy { next } => OrderIntakeError::StoreBusy(BusyStore {
            area: timetable.store().area.clone(),
            next_slot_at: next.map(|next| zone.shown(next.starts_at())),
            suggestions: Vec::new(),
        }),
        NoSlot::Closed { opens_at } => OrderIntakeError::StoreClosed {
            opens_at: opens_at.map(|opens_at| zone.shown(opens_at)),
        },
    }
}
