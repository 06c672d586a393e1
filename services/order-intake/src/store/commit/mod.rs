//! Commits batches: reads what they touch under locks, has the domain decide, and writes it in one statement.
//!
//! Locks are taken in one order by everybody, so no two batches wait for each other: orders by key, then stores by id, then the head of the lane's feed. Behind the head, the batches of a lane write one after the other, also those of several replicas.

mod decide;
mod read;
mod write;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use sqlx::{Connection as _, PgConnection};
use tidegate_pg::{Commit, NotCommitted, Queued, Reply};
use tidegate_telemetry::{Span, TraceContext};
use tidegate_types::{Actor, Lane, RequestId, ShopperId, Timestamp};

use super::Placed;
use crate::{
    domain::{Draft, Move, OrderId, Standing, Verdict, to_microsecond},
    error::OrderIntakeError,
};
use decide::Decisions;
use read::Known;
pub(super) use read::timetables;

/// What a batch does about stores at which another one books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BusyStores {
    /// It leaves them out, so that the orders to all other stores never wait for a lock.
    LeaveOut,
    /// It waits for its turn.
    WaitFor,
}

/// Commits the batches of one lane.
pub(super) struct Commits {
    pub(super) lane: Lane,
    pub(super) busy_stores: BusyStores,
    /// How many orders a shopper may have that are still to be made.
    pub(super) orders_to_come: u16,
}

/// One thing to be committed.
#[derive(Clone)]
pub(super) enum Change {
    /// A draft becomes an order.
    Place(Placement),
    /// An order goes from one state to the next.
    Move(Movement, Move),
    /// The coupon of an order that will not be made was given back.
    Released(Movement),
}

#[derive(Clone)]
pub(super) struct Placement {
    /// The order's id, should there be no earlier one.
    pub(super) order_id: OrderId,
    pub(super) draft: Arc<Draft>,
    /// What is known of its coupon's code.
    pub(super) code: Verdict,
    /// What the order's later steps belong to.
    pub(super) trace: TraceContext,
}

#[derive(Clone)]
pub(super) struct Movement {
    pub(super) order_id: OrderId,
    pub(super) draft: Arc<Draft>,
    /// Who of the staff asks for it.
    pub(super) by: Option<Arc<Actor>>,
}

/// What became of a change.
pub(super) enum Done {
    Placed(Placed),
    /// How the order stands, moved or not.
    Moved(Standing),
    /// Nothing was done, because another batch books at the store: for the queue that waits.
    LeftOut,
}

pub(super) type Outcome = Result<Done, OrderIntakeError>;

impl Change {
    fn draft(&self) -> &Draft {
        match self {
            Self::Place(placement) => &placement.draft,
            Self::Move(movement, _) | Self::Released(movement) => &movement.draft,
        }
    }
}

impl Commit for Commits {
    type Item = (Change, Reply<Outcome>);
    type Key = (ShopperId, RequestId);

    fn key((item, _): &Self::Item) -> Self::Key {
        let draft = item.draft();
        (draft.shopper.clone(), draft.request_id.clone())
    }

    /// What moves an order goes first: somebody has waited longest for it, and its coupon may be spent.
    fn urgent((item, _): &Self::Item) -> bool {
        match item {
            Change::Place(_) => false,
            Change::Move(..) | Change::Released(_) => true,
        }
    }

    fn answer((_, reply): Self::Item, ended: Result<Duration, NotCommitted>) {
        reply.end(ended);
    }

    async fn commit(
        &mut self,
        connection: &mut PgConnection,
        items: &mut [Queued<Self::Item>],
        span: &mut Span,
    ) -> Result<(), sqlx::Error> {
        let now = to_microsecond(Timestamp::from(SystemTime::now()));
        let changes: Vec<&Change> = items.iter().map(|queued| &queued.item.0).collect();
        let mut transaction = connection.begin().await?;
        let known = Known::read(&mut transaction, self, &changes, now).await?;
        let mut decisions = Decisions::new(now, self.orders_to_come);
        let outcomes = decisions.decide(&changes, known);
        let written = decisions.into_written();
        written.describe(span);
        span.attribute("tidegate.lane", i64::from(self.lane.get()));
        written.write(&mut transaction, self.lane, now).await?;
        transaction.commit().await?;
        for (queued, outcome) in items.iter_mut().zip(outcomes) {
            queued.item.1.put(outcome);
        }
        Ok(())
    }
}
