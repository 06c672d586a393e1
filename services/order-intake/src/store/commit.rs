//! Commits batches: reads what they touch under locks, has the domain decide, and writes it in one
//! statement.
//!
//! Locks are taken in one order by everybody, so no two batches wait for each other: orders by key,
//! then stores by id, then the head of the lane's feed. Behind the head, the batches of a lane
//! write one after the other, also those of several replicas.

mod decide;
mod read;
mod write;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use sqlx::{Connection as _, PgConnection};
use tidegate_pg::{Commit, NotCommitted, Queued, Reply};
use tidegate_telemetry::{TraceContext, note};
use tidegate_types::{Actor, Lane, RequestId, ShopperId, Timestamp};

use crate::{
    domain::{Draft, Move, OrderId, Placed, Verdict, to_microsecond},
    error::Result,
};
use decide::Decisions;
use read::Known;

/// How the batches of one queue of a lane are committed.
pub(super) struct Commits {
    pub(super) lane: Lane,
    pub(super) busy_stores: BusyStores,
    /// How many orders a shopper may have that are still to be made.
    pub(super) orders_to_come: u16,
}

/// What a batch does about stores at which another one books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BusyStores {
    /// It leaves them out, so that the orders to all other stores never wait for a lock.
    LeaveOut,
    /// It waits for its turn.
    WaitFor,
}

/// One thing to be committed.
#[derive(Clone)]
pub(super) struct Change {
    /// Of an order that is placed, should there be no earlier one.
    pub(super) order_id: OrderId,
    pub(super) draft: Arc<Draft>,
    pub(super) asked: Asked,
}

#[derive(Clone)]
pub(super) enum Asked {
    Place {
        code: Verdict,
        /// What the order's later steps belong to.
        trace: TraceContext,
    },
    /// And who of the staff asks for it.
    Move(Move, Option<Arc<Actor>>),
    /// The coupon of an order that will not be made was given back.
    Released,
}

impl Change {
    fn places(&self) -> bool {
        matches!(self.asked, Asked::Place { .. })
    }
}

/// How the order stands, moved or not. Nothing was done if another batch books at the store: that
/// is for the queue that waits.
type Outcome = Result<Option<Placed>>;

impl Commit for Commits {
    type Item = (Change, Reply<Outcome>);
    type Key = (ShopperId, RequestId);

    fn key((change, _): &Self::Item) -> Self::Key {
        change.draft.key()
    }

    /// What moves an order goes first: somebody has waited longest for it, and its coupon may be
    /// spent.
    fn urgent((change, _): &Self::Item) -> bool {
        !change.places()
    }

    fn answer((_, reply): Self::Item, ended: Result<Duration, NotCommitted>) {
        reply.end(ended);
    }

    async fn commit(
        &mut self,
        connection: &mut PgConnection,
        items: &mut [Queued<Self::Item>],
    ) -> Result<(), sqlx::Error> {
        let now = to_microsecond(Timestamp::from(SystemTime::now()));
        let changes: Vec<&Change> = items.iter().map(|queued| &queued.item.0).collect();
        let mut transaction = connection.begin().await?;
        let known = Known::read(&mut transaction, self, &changes, now).await?;
        let mut decisions = Decisions::new(now, self.orders_to_come);
        let outcomes = decisions.decide(&changes, known);
        let written = decisions.written;
        written.describe();
        note("tidegate.lane", i64::from(self.lane.get()));
        written.write(&mut transaction, self.lane, now).await?;
        transaction.commit().await?;
        for (queued, outcome) in items.iter_mut().zip(outcomes) {
            queued.item.1.put(outcome);
        }
        Ok(())
    }
}
