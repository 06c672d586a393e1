use std::collections::HashMap;

use tidegate_types::{CouponCode, StoreId, Timestamp};

use super::{
    Change, Done, Movement, Outcome, Placement,
    read::{Earlier, Found, Known, MovedOrder},
    write::Written,
};
use crate::{
    domain::{Move, NoSlot, OrderId, OrderState, Slot, Standing, Timetable},
    error::{BusyStore, OrderIntakeError},
    store::Placed,
};

/// Decides a batch and gathers what is to be written of it.
pub(super) struct Decisions {
    now: Timestamp,
    written: Written,
    /// What each coupon pays for in this batch: what was read is what was committed before it.
    paid: HashMap<CouponCode, OrderId>,
}

impl Decisions {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            written: Written::default(),
            paid: HashMap::new(),
        }
    }

    pub(super) fn into_written(self) -> Written {
        self.written
    }

    /// What becomes of each change, in their order. Moves are decided first: a place that one gives back may go to a new order of the same batch.
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
        let timetable = match known.stores.get_mut(&draft.store) {
            Some(Found::Locked(timetable)) => timetable,
            Some(Found::Busy) => return Ok(Done::LeftOut),
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
        Ok(Done::Placed(Placed {
            standing,
            replayed: false,
        }))
    }

    fn move_order(&mut self, movement: &Movement, asked: &Move, known: &mut Known) -> Outcome {
        let Some(order) = known.moved.remove(&movement.order_id) else {
            return Err(OrderIntakeError::OrderNotFound);
        };
        let code = movement.draft.coupon_code;
        let asked = order.fair(asked, self.paid.get(&code).copied());
        let Some(next) = order.standing.state.after(&asked)? else {
            return Ok(Done::Moved(order.standing));
        };
        if order.standing.state.holds_slot() && !next.holds_slot() {
            match give_back(
                &mut known.stores,
                &movement.draft.store,
                order.standing.slot,
            ) {
                GivenBack::Yes => {}
                GivenBack::StoreBusy => return Ok(Done::LeftOut),
            }
        }
        if next == OrderState::Accepted {
            self.paid.insert(code, movement.order_id);
        }
        let standing = self.standing_after(order, next, &asked);
        self.written.rewrite(&standing);
        Ok(Done::Moved(standing))
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
        if standing.state == OrderState::Cancelled && standing.coupon_released_at.is_none() {
            standing.coupon_released_at = Some(self.now);
            self.written.rewrite(&standing);
        }
        Ok(Done::Moved(standing))
    }
}

/// A batch that is done again after a lost connection finds its own orders, and they are no replays.
fn replay(placement: &Placement, earlier: Earlier) -> Outcome {
    if !earlier.is_same {
        return Err(OrderIntakeError::RequestIdConflict);
    }
    Ok(Done::Placed(Placed {
        replayed: earlier.standing.order_id != placement.order_id,
        standing: earlier.standing,
    }))
}

enum GivenBack {
    Yes,
    StoreBusy,
}

fn give_back(
    stores: &mut HashMap<StoreId, Found>,
    store: &StoreId,
    slot: Option<Slot>,
) -> GivenBack {
    match (stores.get_mut(store), slot) {
        // Not locked at all: an order of this very batch has been paid with the same coupon, which nobody could know before.
        (Some(Found::Busy) | None, Some(_)) => return GivenBack::StoreBusy,
        (Some(Found::Locked(timetable)), Some(slot)) => timetable.give_back(slot),
        // Stores are never deleted; an order from before there were slots holds none.
        (Some(Found::Missing), _) | (_, None) => {}
    }
    GivenBack::Yes
}

fn no_slot(none: NoSlot, timetable: &Timetable) -> OrderIntakeError {
    match none {
        NoSlot::LatestPassed => OrderIntakeError::LatestPassed,
        NoSlot::Busy { next } => OrderIntakeError::StoreBusy(BusyStore {
            area: timetable.store().area.clone(),
            next_slot_at: next.map(Slot::starts_at),
            suggestions: Vec::new(),
        }),
        NoSlot::Closed { opens_at } => OrderIntakeError::StoreClosed { opens_at },
    }
}
