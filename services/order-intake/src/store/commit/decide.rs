use std::collections::HashMap;

use tidegate_types::{self as types, CouponCode, ResourceKind, ShopperId, StoreId, Timestamp};

use super::{
    change::{Change, Done, Movement, Outcome, Placement},
    read::{Earlier, Found, Known, MovedOrder},
    write::Written,
};
use crate::{
    domain::{
        BusyStore, Move, NoSlot, OrderId, OrderState, Placed, Rejection, Slot, Standing, Timetable,
        Timing, Verdict,
    },
    error::OrderIntakeError,
};

/// Decides a batch and gathers what is to be written of it.
pub(super) struct Decisions {
    now: Timestamp,
    /// How many orders a shopper may have that are still to be made.
    orders_to_come: u16,
    written: Written,
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

    pub(super) fn into_written(self) -> Written {
        self.written
    }

    /// What becomes of each change, in their order. Moves are decided first: a place that one gives
    /// back may go to a new order of the same batch.
    pub(super) fn decide(&mut self, changes: &[&Change], mut known: Known) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = changes
            .iter()
            .map(|change| match change {
                Change::Place(_) => None,
                Change::Move(movement, asked) => Some(self.move_order(movement, asked, &mut known)),
                Change::Released(movement) => Some(self.release(movement, &mut known)),
            })
            .collect();
        for (change, outcome) in changes.iter().zip(&mut outcomes) {
            if let Change::Place(placement) = change {
                *outcome = Some(self.place(placement, &mut known));
            }
        }
        for found in known.stores.values() {
            if let Found::Locked(timetable) = found {
                self.written.book(timetable);
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    fn place(&mut self, placement: &Placement, known: &mut Known) -> Outcome {
        let draft = &*placement.draft;
        let key = (draft.shopper.clone(), draft.request_id.clone());
        if let Some(earlier) = known.earlier.remove(&key) {
            return replay(placement, earlier);
        }
        match placement.code {
            Verdict::False => return Err(OrderIntakeError::CouponNotFound),
            Verdict::KeyMissing => return Err(OrderIntakeError::CouponKeyMissing),
            Verdict::True | Verdict::Unknown => {}
        }
        let to_come = self.check_to_come(&draft.shopper, known)?;
        let timetable = match known.stores.get_mut(&draft.store) {
            Some(Found::Locked(timetable)) => timetable,
            Some(Found::Busy) => return Ok(Done::LeftOut),
            Some(Found::Unreadable) => return Err(OrderIntakeError::Internal),
            Some(Found::Missing) | None => return Err(OrderIntakeError::StoreNotFound),
        };
        let slot = timetable
            .book(self.now, draft.latest_acceptable_at)
            .map_err(|none| no_slot(none, timetable))?;
        let standing = Standing {
            order_id: placement.order_id,
            area: timetable.store().area.clone(),
            slot: Some(slot),
            state: OrderState::Pending,
            discount_minor_units: None,
            coupon_released_at: None,
            trace: Some(placement.trace),
            created_at: self.now,
            updated_at: self.now,
        };
        self.written.place(placement, &standing, slot);
        known.to_come.insert(draft.shopper.clone(), to_come + 1);
        Ok(Done::Placed(Placed {
            standing,
            replayed: false,
        }))
    }

    /// How many orders the shopper has to come, if that leaves room for another one.
    fn check_to_come(&self, shopper: &ShopperId, known: &Known) -> Result<u16, OrderIntakeError> {
        let to_come = known.to_come.get(shopper).copied().unwrap_or_default();
        if to_come >= self.orders_to_come {
            return Err(OrderIntakeError::OpenOrderLimitReached);
        }
        Ok(to_come)
    }

    fn move_order(&mut self, movement: &Movement, asked: &Move, known: &mut Known) -> Outcome {
        let Some(mut order) = known.moved.remove(&movement.order_id) else {
            return Err(OrderIntakeError::OrderNotFound);
        };
        let coupon = (movement.draft.shopper.clone(), movement.draft.coupon_code);
        let asked = order.fair(asked, self.paid.get(&coupon).copied());
        let asked = match self.in_time(movement, &mut order, asked, &mut known.stores) {
            Ok(asked) => asked,
            Err(kept) => return kept.into_outcome(),
        };
        let Some(next) = order.standing.state.after(&asked)? else {
            return Ok(Done::Moved(order.standing));
        };
        if order.standing.state.holds_slot() && !next.holds_slot() {
            let given_back = give_back(
                &mut known.stores,
                &movement.draft.store,
                order.standing.slot,
            );
            if let Err(kept) = given_back {
                return kept.into_outcome();
            }
        }
        if next == OrderState::Accepted {
            self.paid.insert(coupon, movement.order_id);
        }
        let before = order.standing.state.name();
        let standing = self.standing_after(order, next, &asked);
        if let Some(record) = record_of(movement, &asked, (before, &standing)) {
            self.written.record(record);
        }
        let closing = match &asked {
            Move::CloseStore { closing, .. } => Some(closing),
            _ => None,
        };
        self.written.rewrite(&standing, closing);
        Ok(Done::Moved(standing))
    }

    /// An acceptance, as the time allows: in another slot if the order's own is over, or a
    /// rejection if nothing that the shopper accepts is left.
    fn in_time(
        &self,
        movement: &Movement,
        order: &mut MovedOrder,
        asked: Move,
        stores: &mut HashMap<StoreId, Found>,
    ) -> Result<Move, Kept> {
        if !matches!(
            (&asked, &order.standing.state),
            (Move::Accept(_), OrderState::Pending)
        ) {
            return Ok(asked);
        }
        let latest = match Timing::of(&movement.draft, order.standing.slot, self.now) {
            Timing::InTime => return Ok(asked),
            Timing::Over => return Ok(Move::Reject(Rejection::too_late())),
            Timing::Rebook { latest } => latest,
        };
        let booked = match stores.get_mut(&movement.draft.store) {
            Some(Found::Locked(timetable)) => {
                let booked = timetable.book(self.now, Some(latest)).ok();
                if let (Some(_), Some(over)) = (booked, order.standing.slot) {
                    timetable.give_back(over);
                }
                booked
            }
            Some(Found::Busy) | None => return Err(Kept::StoreBusy),
            Some(Found::Unreadable) => return Err(Kept::StoreUnreadable),
            Some(Found::Missing) => None,
        };
        let Some(slot) = booked else {
            return Ok(Move::Reject(Rejection::too_late()));
        };
        order.standing.slot = Some(slot);
        Ok(asked)
    }

    fn standing_after(&self, order: MovedOrder, state: OrderState, asked: &Move) -> Standing {
        let discount_minor_units = match asked {
            Move::Accept(bill) => Some(bill.discount().minor_units),
            _ => order.standing.discount_minor_units,
        };
        Standing {
            state,
            discount_minor_units,
            updated_at: self.now,
            ..order.standing
        }
    }

    fn release(&mut self, movement: &Movement, known: &mut Known) -> Outcome {
        let Some(order) = known.moved.remove(&movement.order_id) else {
            return Err(OrderIntakeError::OrderNotFound);
        };
        let mut standing = order.standing;
        if standing.owes_coupon() {
            standing.coupon_released_at = Some(self.now);
            self.written.rewrite(&standing, None);
        }
        Ok(Done::Moved(standing))
    }
}

/// What the record of what staff change says of a move, if it says anything.
fn record_of(
    movement: &Movement,
    asked: &Move,
    (before, after): (&str, &Standing),
) -> Option<types::Change> {
    let (action, reason) = asked.recorded_as()?;
    let order_id = movement.order_id.to_string();
    let order = (ResourceKind::Order, &*order_id);
    let by = movement.by.as_deref()?;
    let change = types::Change::new(by, after.updated_at, action, order, reason);
    Some(change.with_field("state", before, after.state.name()))
}

/// A batch that is done again after a lost connection finds its own orders, and they are no
/// replays.
fn replay(placement: &Placement, earlier: Earlier) -> Outcome {
    if !earlier.is_same {
        return Err(OrderIntakeError::RequestIdConflict);
    }
    Ok(Done::Placed(Placed {
        replayed: earlier.standing.order_id != placement.order_id,
        standing: earlier.standing,
    }))
}

/// Why an order stays as it is.
enum Kept {
    StoreBusy,
    StoreUnreadable,
}

impl Kept {
    fn into_outcome(self) -> Outcome {
        match self {
            Self::StoreBusy => Ok(Done::LeftOut),
            Self::StoreUnreadable => Err(OrderIntakeError::Internal),
        }
    }
}

fn give_back(
    stores: &mut HashMap<StoreId, Found>,
    store: &StoreId,
    slot: Option<Slot>,
) -> Result<(), Kept> {
    match (stores.get_mut(store), slot) {
        // Not locked at all: an order of this very batch has been paid with the same coupon, which
        // nobody could know before.
        (Some(Found::Busy) | None, Some(_)) => return Err(Kept::StoreBusy),
        (Some(Found::Unreadable), Some(_)) => return Err(Kept::StoreUnreadable),
        (Some(Found::Locked(timetable)), Some(slot)) => timetable.give_back(slot),
        // Stores are never deleted; an order from before there were slots holds none.
        (Some(Found::Missing), _) | (_, None) => {}
    }
    Ok(())
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
