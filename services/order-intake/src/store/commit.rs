//! Commits batches. What can be decided from memory is written in one statement, which checks that
//! it still holds. For the rest what it touches is read under locks, decided and written.
//!
//! Locks are taken in one order by everybody, so no two batches wait for each other: orders by key,
//! then stores by id, then the head of the lane's feed. Behind the head, the batches of a lane
//! write one after the other, also those of several replicas.

mod decide;
mod from_memory;
mod read;
mod remembered;
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
    domain::{Draft, Move, OrderId, Placed, Standing, Verdict, to_microsecond},
    error::Result,
};
use decide::Decisions;
use from_memory::FromMemory;
use read::{Found, Known};
use remembered::Remembered;
pub(super) use remembered::RememberedStores;

/// How the batches of one queue of a lane are committed.
pub(super) struct Commits {
    pub(super) lane: Lane,
    pub(super) busy_stores: BusyStores,
    pub(super) remembered: Arc<RememberedStores>,
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
    Move {
        step: Move,
        /// Who of the staff asks for it.
        by: Option<Arc<Actor>>,
        /// How the order stood when that was decided.
        seen: Standing,
    },
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
        let mut outcomes: Vec<Option<Outcome>> = changes.iter().map(|_| None).collect();
        note("tidegate.lane", i64::from(self.lane.get()));
        if self.busy_stores == BusyStores::LeaveOut {
            let rules = (self.lane, self.orders_to_come);
            let remembered = &*self.remembered;
            let expected = FromMemory::decide(&changes, remembered, now);
            let written = expected.write(connection, rules, remembered, now, &mut outcomes);
            written.await?;
        }
        let left = changes.iter().zip(&outcomes);
        let left = left.filter(|(_, outcome)| outcome.is_none());
        let left: Vec<&Change> = left.map(|(change, _)| *change).collect();
        if !left.is_empty() {
            let mut decided = self.under_locks(connection, &left, now).await?.into_iter();
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
                *outcome = decided.next();
            }
        }
        for (queued, outcome) in items.iter_mut().zip(outcomes.into_iter().flatten()) {
            queued.item.1.put(outcome);
        }
        Ok(())
    }
}

impl Commits {
    async fn under_locks(
        &self,
        connection: &mut PgConnection,
        changes: &[&Change],
        now: Timestamp,
    ) -> Result<Vec<Outcome>, sqlx::Error> {
        let mut transaction = connection.begin().await?;
        let mut known = Known::read(&mut transaction, self, changes, now).await?;
        let mut decisions = Decisions::new(now, self.orders_to_come);
        let outcomes = decisions.decide(changes, &mut known);
        let written = decisions.written;
        written.describe();
        written.write(&mut transaction, self.lane, now).await?;
        transaction.commit().await?;
        self.remember(known);
        Ok(outcomes)
    }

    /// Remembers the stores that were read, as they are after the commit.
    fn remember(&self, known: Known) {
        for (id, found) in known.stores {
            let Found::Locked(timetable) = found else {
                continue;
            };
            if let Some(version) = known.versions.get(&id) {
                self.remembered.learn(Remembered {
                    version: version + i64::from(timetable.gave_back()),
                    timetable: *timetable,
                });
            }
        }
    }
}
