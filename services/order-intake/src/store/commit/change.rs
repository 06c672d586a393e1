use std::sync::Arc;

use tidegate_telemetry::TraceContext;
use tidegate_types::{Actor, Lane};

use crate::{
    domain::{Draft, Move, OrderId, Placed, Standing, Verdict},
    error::OrderIntakeError,
};

/// What a batch does about stores at which another one books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum BusyStores {
    /// It leaves them out, so that the orders to all other stores never wait for a lock.
    LeaveOut,
    /// It waits for its turn.
    WaitFor,
}

/// How the batches of one queue of a lane are decided.
pub(in crate::store) struct LaneRules {
    pub(in crate::store) lane: Lane,
    pub(in crate::store) busy_stores: BusyStores,
    /// How many orders a shopper may have that are still to be made.
    pub(in crate::store) orders_to_come: u16,
}

/// One thing to be committed.
#[derive(Clone)]
pub(in crate::store) enum Change {
    Place(Placement),
    Move(Movement, Move),
    /// The coupon of an order that will not be made was given back.
    Released(Movement),
}

#[derive(Clone)]
pub(in crate::store) struct Placement {
    /// The order's id, should there be no earlier one.
    pub(in crate::store) order_id: OrderId,
    pub(in crate::store) draft: Arc<Draft>,
    pub(in crate::store) code: Verdict,
    /// What the order's later steps belong to.
    pub(in crate::store) trace: TraceContext,
}

#[derive(Clone)]
pub(in crate::store) struct Movement {
    pub(in crate::store) order_id: OrderId,
    pub(in crate::store) draft: Arc<Draft>,
    pub(in crate::store) by: Option<Arc<Actor>>,
}

pub(in crate::store) enum Done {
    Placed(Placed),
    /// How the order stands, moved or not.
    Moved(Standing),
    /// Nothing was done, because another batch books at the store: for the queue that waits.
    LeftOut,
}

pub(in crate::store) type Outcome = Result<Done, OrderIntakeError>;

impl Change {
    pub(super) fn draft(&self) -> &Draft {
        match self {
            Self::Place(placement) => &placement.draft,
            Self::Move(movement, _) | Self::Released(movement) => &movement.draft,
        }
    }
}
