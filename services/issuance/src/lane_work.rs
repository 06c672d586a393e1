//! What a lane's commit queue commits: claims, redemptions, releases and revocations.

mod in_force;
mod replays;
mod staff;
mod work;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use sqlx::{Connection as _, PgConnection};
use tidegate_pg::{Commit, Queued, record_changes};
use tidegate_telemetry::{Span, TraceContext};
use tidegate_types::{Change, Lane, ShopperId, Slot, TierNumber, Timestamp};

use crate::{
    coupon_keys::CouponKeys,
    domain::{coupon::StoredCoupon, lease_book::LeaseBook},
    metrics::IssuanceMetrics,
    store::{
        controls::Controls,
        coupon_changes::{self, RedeemRow, ReleaseRow},
        coupons::{self, CouponKey, IssueOutcome, IssueRow},
        statements::Statements,
        timelines,
    },
};
pub use staff::ByStaff;
pub use work::{Claim, CouponUse, Done, Redemption, Release, Revocation, Work};

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
    pub statements: Statements,
    /// Where refusals of the fence are counted.
    pub metrics: IssuanceMetrics,
}

impl Commit for LaneCommit {
    type Item = Work;
    type Outcome = Done;
    type Key = ShopperId;

    fn key(work: &Work) -> ShopperId {
        work.shopper().clone()
    }

    fn urgent(work: &Work) -> bool {
        !matches!(work, Work::Claim(_))
    }

    async fn connected(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let sealed = timelines::follow(connection, self.lane).await?;
        if sealed > 0 {
            tracing::warn!(lane = %self.lane, leases = sealed, "another database has taken over, or a backup was restored: every open lease of the lane was sealed anew, and what is left of them goes back to quota");
        }
        Ok(())
    }

    async fn commit(
        &mut self,
        connection: &mut PgConnection,
        items: &[Queued<Work>],
        span: &mut Span,
    ) -> Result<Vec<Done>, sqlx::Error> {
        // PostgreSQL keeps microseconds: a first answer must not tell more than its replay can.
        let now = Timestamp::now_utc().truncate_to_microsecond();
        let (mut claims, mut changes) = (Vec::new(), Changes::default());
        let mut has_grants = false;
        for (place, queued) in items.iter().enumerate() {
            match &queued.item {
                Work::Claim(claim) => {
                    has_grants |= claim.granted_by.is_some();
                    claims.push((place, claim, queued.trace));
                }
                Work::Redeem(redemption) => changes.redemptions.push((place, redemption)),
                Work::Release(release) => changes.releases.push((place, release)),
                Work::Revoke(revocation) => changes.revocations.push((place, revocation)),
            }
        }
        self.statements.prepare(connection).await?;
        let mut done: Vec<Option<Done>> = items.iter().map(|_| None).collect();
        if changes.is_empty() && !has_grants {
            // One statement is its own transaction: two round trips fewer.
            self.issue(connection, &claims, now, span, &mut done)
                .await?;
        } else {
            let mut transaction = connection.begin().await?;
            let mut recorded = self
                .change(&mut transaction, &changes, now, &mut done)
                .await?;
            if !claims.is_empty() {
                self.issue(&mut transaction, &claims, now, span, &mut done)
                    .await?;
            }
            if has_grants {
                recorded.extend(self.granted(&claims, &done, now));
            }
            // No statement if staff did nothing.
            record_changes(&mut transaction, &recorded).await?;
            transaction.commit().await?;
        }
        Ok(done
            .into_iter()
            .map(|done| done.unwrap_or(Done::NoStock))
            .collect())
    }
}

/// What a batch changes in coupons there are, each with its place in the batch.
#[derive(Default)]
struct Changes<'a> {
    redemptions: Vec<(usize, &'a Redemption)>,
    releases: Vec<(usize, &'a Release)>,
    revocations: Vec<(usize, &'a Revocation)>,
}

impl Changes<'_> {
    fn is_empty(&self) -> bool {
        self.redemptions.is_empty() && self.releases.is_empty() && self.revocations.is_empty()
    }
}

type Claims<'a> = [(usize, &'a Claim, TraceContext)];

impl LaneCommit {
    async fn issue(
        &self,
        connection: &mut PgConnection,
        claims: &Claims<'_>,
        now: Timestamp,
        span: &mut Span,
        done: &mut [Option<Done>],
    ) -> Result<(), sqlx::Error> {
        let rows = self.assign(claims, now, span);
        let issuing = &self.statements.issue;
        // One key a batch, whatever is read meanwhile: it is kept with the coupon.
        let key_id = self.keys.active_key_id();
        let outcomes = coupons::issue(connection, issuing, (self.lane, key_id), now, &rows).await;
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(error) => {
                self.forget_assignments(&rows);
                return Err(error);
            }
        };
        self.correct(&rows, &outcomes);
        let mut replays = Vec::new();
        for (((place, claim, trace), row), outcome) in claims.iter().zip(&rows).zip(&outcomes) {
            done[*place] = Some(match outcome {
                IssueOutcome::Issued { slot, tier, .. } => {
                    let given = (*slot, *tier, key_id);
                    Done::Issued {
                        coupon: Box::new(fresh_coupon(claim, row, given, *trace, now)),
                        replayed: false,
                        in_force: None,
                    }
                }
                IssueOutcome::OverLimit => Done::OverLimit,
                IssueOutcome::NoStock => Done::NoStock,
                IssueOutcome::Replay(slot) => {
                    replays.push((*place, (&claim.shopper, claim.campaign, *slot)));
                    continue;
                }
            });
        }
        replays::answer(connection, self.lane, &replays, done).await
    }

    fn assign<'a>(
        &self,
        claims: &Claims<'a>,
        now: Timestamp,
        span: &mut Span,
    ) -> Vec<IssueRow<'a>> {
        let mut book = self.book.lock();
        let mut linked = BTreeSet::new();
        let mut rows = Vec::with_capacity(claims.len());
        for (_, claim, trace) in claims {
            let assigned = if claim.may_issue {
                book.reserve(claim.campaign, claim.requested_tier)
            } else {
                None
            };
            if let Some((lease, _)) = assigned.filter(|(lease, _)| linked.insert(*lease))
                && let Some(trace) = book.trace_of(claim.campaign, lease)
            {
                span.link(trace);
            }
            rows.push(IssueRow {
                shopper: &claim.shopper,
                campaign: claim.campaign,
                request_id: &claim.request_id,
                requested_tier: claim.requested_tier,
                assigned,
                limit: claim.limit,
                valid_until: now + claim.validity,
                traceparent: trace.sampled().then(|| trace.traceparent()),
            });
        }
        rows
    }

    /// Sets the book to what the database said is left. A lease that did not yield was sealed or overdrawn, and has nothing left for this replica.
    fn correct(&self, rows: &[IssueRow<'_>], outcomes: &[IssueOutcome]) {
        let mut book = self.book.lock();
        let spent_at = Instant::now();
        let mut handed_back = Vec::new();
        for (row, outcome) in rows.iter().zip(outcomes) {
            let Some((lease, tier)) = row.assigned else {
                continue;
            };
            match outcome {
                IssueOutcome::Issued { remaining, .. } => {
                    book.served(row.campaign, row.requested_tier);
                    book.correct(row.campaign, lease, tier, *remaining, Some(spent_at));
                }
                IssueOutcome::NoStock => {
                    self.metrics.fence_refusals.inc();
                    book.correct(row.campaign, lease, tier, 0, None);
                }
                IssueOutcome::Replay(_) | IssueOutcome::OverLimit => {
                    handed_back.push((row.campaign, lease, tier))
                }
            }
        }
        // A reservation that no coupon came of goes back, unless a commit has told the exact count.
        let exact: BTreeSet<_> = rows
            .iter()
            .zip(outcomes)
            .filter(|(_, outcome)| {
                matches!(outcome, IssueOutcome::Issued { .. } | IssueOutcome::NoStock)
            })
            .filter_map(|(row, _)| row.assigned)
            .collect();
        for (campaign, lease, tier) in handed_back
            .into_iter()
            .filter(|(_, lease, tier)| !exact.contains(&(*lease, *tier)))
        {
            book.give_back(campaign, lease, tier);
        }
    }

    /// After an error nobody knows what was spent; the next success corrects the count.
    fn forget_assignments(&self, rows: &[IssueRow<'_>]) {
        let mut book = self.book.lock();
        for row in rows {
            if let Some((lease, tier)) = row.assigned {
                book.give_back(row.campaign, lease, tier);
            }
        }
    }

    /// Changes coupons there are, and tells what is to be recorded of it.
    async fn change(
        &self,
        connection: &mut PgConnection,
        changes: &Changes<'_>,
        now: Timestamp,
        done: &mut [Option<Done>],
    ) -> Result<Vec<Change>, sqlx::Error> {
        let controls = changes.lock_controls(connection, self.lane).await?;
        if !changes.redemptions.is_empty() {
            self.redeem(connection, &changes.redemptions, &controls, now, done)
                .await?;
        }
        if !changes.releases.is_empty() {
            self.release(connection, &changes.releases, &controls, now, done)
                .await?;
        }
        if changes.revocations.is_empty() {
            return Ok(Vec::new());
        }
        self.revoke(connection, &changes.revocations, now, done)
            .await
    }

    async fn redeem(
        &self,
        connection: &mut PgConnection,
        items: &[(usize, &Redemption)],
        controls: &Controls,
        now: Timestamp,
        done: &mut [Option<Done>],
    ) -> Result<(), sqlx::Error> {
        let in_force = |item: &Redemption| item.control.or_newer(controls.get(&item.used.campaign));
        let rows: Vec<_> = items
            .iter()
            .map(|(_, item)| {
                let control = in_force(item);
                RedeemRow {
                    key: key_of(&item.used),
                    order_id: item.used.order_id,
                    payable_tiers: in_force::payable_tiers(item, &control),
                    extended_valid_until: control.extended_valid_until,
                }
            })
            .collect();
        let statement = &self.statements.redeem;
        let coupons = coupon_changes::redeem(connection, statement, self.lane, &rows, now).await?;
        for ((place, item), coupon) in items.iter().zip(coupons) {
            let coupon = coupon.map(|coupon| (Box::new(coupon), in_force(item)));
            done[*place] = Some(Done::Coupon(coupon));
        }
        Ok(())
    }

    async fn release(
        &self,
        connection: &mut PgConnection,
        items: &[(usize, &Release)],
        controls: &Controls,
        now: Timestamp,
        done: &mut [Option<Done>],
    ) -> Result<(), sqlx::Error> {
        let rows: Vec<_> = items
            .iter()
            .map(|(_, item)| ReleaseRow {
                key: key_of(&item.used),
                order_id: item.used.order_id,
                // Extensions only ever grow, so the later one is the newer.
                extended_valid_until: item.extended_valid_until.max(
                    controls
                        .get(&item.used.campaign)
                        .and_then(|control| control.extended_valid_until),
                ),
                valid_at_least_until: item.minimum_validity.map(|least| now + least.get()),
            })
            .collect();
        let statement = &self.statements.release;
        let changed = coupon_changes::release(connection, statement, self.lane, &rows, now).await?;
        for ((place, _), changed) in items.iter().zip(changed) {
            done[*place] = Some(Done::Released(changed));
        }
        Ok(())
    }
}

fn fresh_coupon(
    claim: &Claim,
    row: &IssueRow<'_>,
    (slot, tier, key_id): (Slot, TierNumber, u8),
    trace: TraceContext,
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
        own_valid_until: row.valid_until,
        order_id: None,
        released_order_ids: Vec::new(),
        revoked: false,
        claim_trace: trace.sampled().then_some(trace),
    }
}

fn key_of(used: &CouponUse) -> CouponKey<'_> {
    (&used.shopper, used.campaign, used.slot)
}
