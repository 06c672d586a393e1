//! Commits batches: reads what they touch under locks, has the domain decide, and writes it in one
//! statement.
//!
//! Locks are taken in one order by everybody, so no two batches wait for each other: orders by key,
//! then stores by id, then the head of the lane's feed. Behind the head, the batches of a lane
//! write one after the other, also those of several replicas.

mod change;
mod decide;
mod read;
mod write;

use std::time::{Duration, SystemTime};

use sqlx::{Connection as _, PgConnection};
use tidegate_pg::{Commit, NotCommitted, Queued, Reply};
use tidegate_telemetry::Span;
use tidegate_types::{RequestId, ShopperId, Timestamp};

use crate::domain::to_microsecond;
use change::Outcome;
pub(super) use change::{BusyStores, Change, Done, LaneRules, Movement, Placement};
use decide::Decisions;
use read::Known;

pub(super) struct Commits(pub(super) LaneRules);

impl Commit for Commits {
    type Item = (Change, Reply<Outcome>);
    type Key = (ShopperId, RequestId);

    fn key((item, _): &Self::Item) -> Self::Key {
        let draft = item.draft();
        (draft.shopper.clone(), draft.request_id.clone())
    }

    /// What moves an order goes first: somebody has waited longest for it, and its coupon may be
    /// spent.
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
        let known = Known::read(&mut transaction, &self.0, &changes, now).await?;
        let mut decisions = Decisions::new(now, self.0.orders_to_come);
        let outcomes = decisions.decide(&changes, known);
        let written = decisions.into_written();
        written.describe(span);
        span.attribute("tidegate.lane", i64::from(self.0.lane.get()));
        written.write(&mut transaction, self.0.lane, now).await?;
        transaction.commit().await?;
        for (queued, outcome) in items.iter_mut().zip(outcomes) {
            queued.item.1.put(outcome);
        }
        Ok(())
    }
}
