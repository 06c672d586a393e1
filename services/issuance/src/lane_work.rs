//! What a lane's commit queue commits: claims, redemptions, releases and revocations.

mod issue;
mod staff;
mod uses;
mod work;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{Connection as _, PgConnection};
use tidegate_pg::{Commit, CommitQueue, NotCommitted, Queued, Reply, record_changes};
use tidegate_types::{Change, Lane, PerLane, ShopperId, Timestamp};

use crate::{
    coupon_keys::CouponKeys,
    domain::{campaign::CouponControl, lease_book::LeaseBook},
    metrics::IssuanceMetrics,
    store::{coupons::IssueRow, timelines},
};
use work::Tried;
pub use work::{Claimed, CouponUse, Issued, Redemption, Release, Revocation, Work};

/// Where the work of each lane is committed.
pub type Queues = Arc<PerLane<CommitQueue<LaneCommit>>>;

/// A lane's leases, shared by its writer and its keeper.
#[derive(Clone, Default)]
pub struct SharedBook(Arc<Mutex<LeaseBook>>);

impl SharedBook {
    /// The book, for a moment: never across an await.
    pub fn lock(&self) -> MutexGuard<'_, LeaseBook> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits the work of one lane.
pub struct LaneCommit {
    pub lane: Lane,
    pub keys: Arc<CouponKeys>,
    pub book: SharedBook,
    /// Where refusals of the fence are counted.
    pub metrics: IssuanceMetrics,
}

impl Commit for LaneCommit {
    type Item = Work;
    type Key = ShopperId;

    fn key(work: &Work) -> ShopperId {
        work.shopper().clone()
    }

    fn urgent(work: &Work) -> bool {
        !matches!(work, Work::Claim(..))
    }

    fn answer(work: Work, ended: Result<Duration, NotCommitted>) {
        match work {
            Work::Claim(_, reply) => reply.end(ended),
            Work::Redeem(_, reply) => reply.end(ended),
            Work::Release(_, reply) => reply.end(ended),
            Work::Revoke(_, reply) => reply.end(ended),
        }
    }

    async fn connected(&mut self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let sealed = timelines::follow(connection, self.lane).await?;
        if sealed > 0 {
            tracing::warn!(lane = %self.lane, leases = sealed, "another database has taken over, or a backup was restored: every open lease of the lane was sealed anew, and what is left of them goes back to quota");
        }
        Ok(())
    }

    async fn commit(
        &mut self,
        connection: &mut PgConnection,
        items: &mut [Queued<Work>],
    ) -> sqlx::Result<()> {
        // PostgreSQL keeps microseconds: a first answer must not tell more than its replay can.
        let now = Timestamp::now_utc().truncate_to_microsecond();
        let (mut claims, mut replies) = (Vec::new(), Vec::new());
        let mut changes = Changes::default();
        for queued in items {
            match &mut queued.item {
                Work::Claim(claim, reply) => {
                    claims.push(IssueRow {
                        claim,
                        assigned: None,
                        trace: queued.trace,
                    });
                    replies.push(reply);
                }
                Work::Redeem(work, reply) => changes.redemptions.push((work, reply)),
                Work::Release(work, reply) => changes.releases.push((work, reply)),
                Work::Revoke(work, reply) => changes.revocations.push((work, reply)),
            }
        }
        let has_grants = claims.iter().any(|row| row.claim.granted_by.is_some());
        if changes.is_empty() && !has_grants {
            // One statement is its own transaction: two round trips fewer.
            let issuing = self.issue(connection, &mut claims, &mut replies, now);
            return issuing.await;
        }
        let mut transaction = connection.begin().await?;
        let mut recorded = self.change(&mut transaction, changes, now).await?;
        if !claims.is_empty() {
            let issuing = self.issue(&mut transaction, &mut claims, &mut replies, now);
            issuing.await?;
            recorded.extend(self.granted(&claims, &replies, now));
        }
        // No statement if staff did nothing.
        record_changes(&mut transaction, &recorded).await?;
        transaction.commit().await
    }
}

type Redemptions<'a> = Vec<(&'a Redemption, &'a mut Reply<Option<Tried<CouponControl>>>)>;
type Releases<'a> = Vec<(&'a Release, &'a mut Reply<bool>)>;
type Revocations<'a> = Vec<(&'a Revocation, &'a mut Reply<Option<Tried<bool>>>)>;

/// What a batch changes in coupons there are.
#[derive(Default)]
struct Changes<'a> {
    redemptions: Redemptions<'a>,
    releases: Releases<'a>,
    revocations: Revocations<'a>,
}

impl Changes<'_> {
    fn is_empty(&self) -> bool {
        self.redemptions.is_empty() && self.releases.is_empty() && self.revocations.is_empty()
    }
}

impl LaneCommit {
    /// Changes coupons there are, and tells what is to be recorded of it.
    async fn change(
        &self,
        connection: &mut PgConnection,
        changes: Changes<'_>,
        now: Timestamp,
    ) -> sqlx::Result<Vec<Change>> {
        let controls = changes.lock_controls(connection, self.lane).await?;
        if !changes.redemptions.is_empty() {
            self.redeem(connection, changes.redemptions, &controls, now)
                .await?;
        }
        if !changes.releases.is_empty() {
            self.release(connection, changes.releases, &controls, now)
                .await?;
        }
        if changes.revocations.is_empty() {
            return Ok(Vec::new());
        }
        self.revoke(connection, changes.revocations, now).await
    }
}
