//! Claims of a batch: assigned to leases, issued in one statement, and the book set to what came of it.

use std::{collections::BTreeSet, time::Instant};

use sqlx::PgConnection;
use tidegate_pg::Reply;
use tidegate_telemetry::link;
use tidegate_types::{Slot, TierNumber, Timestamp};

use super::{Claimed, Issued, LaneCommit};
use crate::{
    domain::coupon::StoredCoupon,
    store::{
        controls,
        coupons::{self, CouponKey, IssueOutcome, IssueRow},
    },
};

impl LaneCommit {
    pub(super) async fn issue(
        &self,
        connection: &mut PgConnection,
        rows: &mut [IssueRow<'_>],
        replies: &mut [&mut Reply<Claimed>],
        now: Timestamp,
    ) -> sqlx::Result<()> {
        self.assign(rows);
        // One key a batch, whatever is read meanwhile: it is kept with the coupon.
        let key_id = self.keys.active_key_id();
        let outcomes = coupons::issue(connection, (self.lane, key_id), now, rows).await;
        let outcomes = outcomes.inspect_err(|_| self.forget_assignments(rows))?;
        self.correct(rows, &outcomes);
        let mut replays = Vec::new();
        for ((row, reply), outcome) in rows.iter().zip(replies).zip(&outcomes) {
            reply.put(match outcome {
                IssueOutcome::Issued { slot, tier, .. } => Claimed::Issued(Box::new(Issued {
                    coupon: fresh_coupon(row, (*slot, *tier, key_id), now),
                    replayed: false,
                    in_force: None,
                })),
                IssueOutcome::OverLimit => Claimed::OverLimit,
                IssueOutcome::NoStock => Claimed::NoStock,
                IssueOutcome::Replay(slot) => {
                    let key = (&row.claim.shopper, row.claim.campaign, *slot);
                    replays.push((&mut **reply, key));
                    continue;
                }
            });
        }
        self.answer_replays(connection, replays).await
    }

    /// Answers claims that have their coupon already, with what is in force of it in the database.
    async fn answer_replays(
        &self,
        connection: &mut PgConnection,
        replays: Vec<(&mut Reply<Claimed>, CouponKey<'_>)>,
    ) -> sqlx::Result<()> {
        if replays.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = replays.iter().map(|(_, key)| *key).collect();
        let campaigns: Vec<_> = keys.iter().map(|(_, campaign, _)| *campaign).collect();
        let controls = controls::read(&mut *connection, self.lane, &campaigns).await?;
        let coupons = coupons::read(connection, self.lane, &keys).await?;
        for ((reply, _), coupon) in replays.into_iter().zip(coupons) {
            // Coupons are never deleted: what the statement before saw is still there.
            let coupon = coupon.ok_or(sqlx::Error::RowNotFound)?;
            reply.put(Claimed::Issued(Box::new(Issued {
                in_force: controls.get(&coupon.campaign).copied(),
                coupon,
                replayed: true,
            })));
        }
        Ok(())
    }

    fn assign(&self, rows: &mut [IssueRow<'_>]) {
        let mut book = self.book.lock();
        let mut linked = BTreeSet::new();
        for IssueRow {
            claim, assigned, ..
        } in rows.iter_mut().filter(|row| row.claim.may_issue)
        {
            *assigned = book.reserve(claim.campaign, claim.requested_tier);
            if let Some((lease, _)) = assigned.filter(|(lease, _)| linked.insert(*lease))
                && let Some(trace) = book.trace_of(claim.campaign, lease)
            {
                link(trace);
            }
        }
    }

    /// Sets the book to what the database said is left. A lease that did not yield was sealed or overdrawn, and has nothing left for this replica.
    fn correct(&self, rows: &[IssueRow<'_>], outcomes: &[IssueOutcome]) {
        let mut book = self.book.lock();
        let spent_at = Instant::now();
        let (mut exact, mut handed_back) = (BTreeSet::new(), Vec::new());
        for (row, outcome) in rows.iter().zip(outcomes) {
            let Some((lease, tier)) = row.assigned else {
                continue;
            };
            let claim = row.claim;
            match outcome {
                IssueOutcome::Issued { remaining, .. } => {
                    exact.insert((lease, tier));
                    book.served(claim.campaign, claim.requested_tier);
                    book.correct(claim.campaign, lease, tier, *remaining, Some(spent_at));
                }
                IssueOutcome::NoStock => {
                    exact.insert((lease, tier));
                    self.metrics.fence_refusals.inc();
                    book.correct(claim.campaign, lease, tier, 0, None);
                }
                IssueOutcome::Replay(_) | IssueOutcome::OverLimit => {
                    handed_back.push((claim.campaign, lease, tier))
                }
            }
        }
        // A reservation that no coupon came of goes back, unless a commit has told the exact count.
        handed_back.retain(|(_, lease, tier)| !exact.contains(&(*lease, *tier)));
        for (campaign, lease, tier) in handed_back {
            book.give_back(campaign, lease, tier);
        }
    }

    /// After an error nobody knows what was spent; the next success corrects the count.
    fn forget_assignments(&self, rows: &[IssueRow<'_>]) {
        let mut book = self.book.lock();
        for row in rows {
            if let Some((lease, tier)) = row.assigned {
                book.give_back(row.claim.campaign, lease, tier);
            }
        }
    }
}

fn fresh_coupon(
    IssueRow { claim, trace, .. }: &IssueRow<'_>,
    (slot, tier, key_id): (Slot, TierNumber, u8),
    now: Timestamp,
) -> StoredCoupon {
    StoredCoupon {
        campaign: claim.campaign,
        slot,
        request_id: claim.request_id.clone(),
        requested_tier: claim.requested_tier,
        tier,
        key_id,
        issued_at: now,
        own_valid_until: now + claim.validity,
        order_id: None,
        released_order_ids: Vec::new(),
        revoked: false,
        claim_trace: trace.sampled().then_some(*trace),
    }
}
