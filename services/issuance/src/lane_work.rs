//! What a lane's commit queue commits: claims, redemptions and releases.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection};
use tidegate_pg::{Commit, Queued};
use tidegate_telemetry::{Span, TraceContext};
use tidegate_types::{CampaignNumber, Lane, RequestId, ShopperId, Slot, TierNumber, Timestamp};
use uuid::Uuid;

use crate::{
    domain::{coupon::StoredCoupon, lease_book::LeaseBook},
    store::coupons::{self, CouponKey, IssueOutcome, IssueRow},
};

/// A lane's leases, shared by its writer and its keeper.
#[derive(Clone, Default)]
pub struct SharedBook(Arc<Mutex<LeaseBook>>);

impl SharedBook {
    /// The book, for a moment: never across an await.
    pub fn lock(&self) -> MutexGuard<'_, LeaseBook> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing to commit.
pub enum Work {
    /// Give the shopper a coupon.
    Claim(Claim),
    /// Use a coupon for an order.
    Redeem(CouponUse),
    /// Give a coupon back that an order holds.
    Release(CouponUse),
}

/// A claim that has passed every check that needs no database.
pub struct Claim {
    /// Whose.
    pub shopper: ShopperId,
    /// Of which campaign.
    pub campaign: CampaignNumber,
    /// The claim's name.
    pub request_id: RequestId,
    /// The tier it named.
    pub requested_tier: Option<TierNumber>,
    /// How many coupons the shopper may hold.
    pub limit: u8,
    /// How long the coupon will be valid.
    pub validity: Duration,
    /// False if only a coupon there already may be answered, because the campaign is not open.
    pub may_issue: bool,
}

/// A coupon and an order.
pub struct CouponUse {
    /// Whose coupon.
    pub shopper: ShopperId,
    /// Of which campaign.
    pub campaign: CampaignNumber,
    /// Which one.
    pub slot: Slot,
    /// The order.
    pub order_id: Uuid,
}

/// What became of it.
#[derive(Debug)]
pub enum Done {
    /// The coupon is durable; `replayed` if an earlier claim produced it.
    Issued {
        /// The coupon.
        coupon: Box<StoredCoupon>,
        /// Whether it was there before.
        replayed: bool,
    },
    /// The shopper holds all the campaign allows.
    OverLimit,
    /// No stock in hand.
    NoStock,
    /// The coupon after a redemption was tried; `None` if it is not there.
    Coupon(Option<Box<StoredCoupon>>),
    /// Whether a release changed anything.
    Released(bool),
}

/// Commits the work of one lane.
pub struct LaneCommit {
    /// Which lane.
    pub lane: Lane,
    /// The key new codes are made with.
    pub key_id: u8,
    /// The lane's leases.
    pub book: SharedBook,
}

impl Commit for LaneCommit {
    type Item = Work;
    type Outcome = Done;
    type Key = ShopperId;

    fn key(work: &Work) -> ShopperId {
        match work {
            Work::Claim(claim) => claim.shopper.clone(),
            Work::Redeem(used) | Work::Release(used) => used.shopper.clone(),
        }
    }

    fn urgent(work: &Work) -> bool {
        !matches!(work, Work::Claim(_))
    }

    async fn commit(
        &mut self,
        connection: &mut PgConnection,
        items: &[Queued<Work>],
        span: &mut Span,
    ) -> Result<Vec<Done>, sqlx::Error> {
        // PostgreSQL keeps microseconds: a first answer must not tell more than its replay can.
        let now = Timestamp::now_utc().truncate_to_microsecond();
        let (mut claims, mut redeems, mut releases) = (Vec::new(), Vec::new(), Vec::new());
        for (place, queued) in items.iter().enumerate() {
            match &queued.item {
                Work::Claim(claim) => claims.push((place, claim, queued.trace)),
                Work::Redeem(used) => redeems.push((place, used)),
                Work::Release(used) => releases.push((place, used)),
            }
        }
        let mut done: Vec<Option<Done>> = items.iter().map(|_| None).collect();
        if redeems.is_empty() && releases.is_empty() {
            // One statement is its own transaction: two round trips fewer.
            self.issue(connection, &claims, now, span, &mut done)
                .await?;
        } else {
            let mut transaction = connection.begin().await?;
            self.redeem(&mut transaction, &redeems, now, &mut done)
                .await?;
            self.release(&mut transaction, &releases, &mut done).await?;
            if !claims.is_empty() {
                self.issue(&mut transaction, &claims, now, span, &mut done)
                    .await?;
            }
            transaction.commit().await?;
        }
        Ok(done
            .into_iter()
            .map(|done| done.unwrap_or(Done::NoStock))
            .collect())
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
        let outcomes = coupons::issue(connection, self.lane, self.key_id, now, &rows).await;
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
                IssueOutcome::Issued { slot, tier, .. } => Done::Issued {
                    coupon: Box::new(self.fresh_coupon(claim, row, (*slot, *tier), *trace, now)),
                    replayed: false,
                },
                IssueOutcome::OverLimit => Done::OverLimit,
                IssueOutcome::NoStock => Done::NoStock,
                IssueOutcome::Replay(slot) => {
                    replays.push((*place, (&claim.shopper, claim.campaign, *slot)));
                    continue;
                }
            });
        }
        if !replays.is_empty() {
            let keys: Vec<CouponKey<'_>> = replays.iter().map(|(_, key)| *key).collect();
            for ((place, _), coupon) in replays
                .iter()
                .zip(coupons::read(connection, self.lane, &keys).await?)
            {
                // Coupons are never deleted: what the statement before saw is still there.
                let coupon = coupon.ok_or(sqlx::Error::RowNotFound)?;
                done[*place] = Some(Done::Issued {
                    coupon: Box::new(coupon),
                    replayed: true,
                });
            }
        }
        Ok(())
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
                IssueOutcome::NoStock => book.correct(row.campaign, lease, tier, 0, None),
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

    fn fresh_coupon(
        &self,
        claim: &Claim,
        row: &IssueRow<'_>,
        (slot, tier): (Slot, TierNumber),
        trace: TraceContext,
        now: Timestamp,
    ) -> StoredCoupon {
        StoredCoupon {
            campaign: claim.campaign,
            slot,
            request_id: claim.request_id.clone(),
            requested_tier: claim.requested_tier,
            tier,
            key_id: self.key_id,
            issued_at: now,
            valid_until: row.valid_until,
            order_id: None,
            revoked: false,
            claim_trace: trace.sampled().then_some(trace),
        }
    }

    async fn redeem(
        &self,
        connection: &mut PgConnection,
        uses: &[(usize, &CouponUse)],
        now: Timestamp,
        done: &mut [Option<Done>],
    ) -> Result<(), sqlx::Error> {
        if uses.is_empty() {
            return Ok(());
        }
        let (keys, orders) = keys_and_orders(uses);
        coupons::redeem(connection, self.lane, &keys, &orders, now).await?;
        for ((place, _), coupon) in uses
            .iter()
            .zip(coupons::read(connection, self.lane, &keys).await?)
        {
            done[*place] = Some(Done::Coupon(coupon.map(Box::new)));
        }
        Ok(())
    }

    async fn release(
        &self,
        connection: &mut PgConnection,
        uses: &[(usize, &CouponUse)],
        done: &mut [Option<Done>],
    ) -> Result<(), sqlx::Error> {
        if uses.is_empty() {
            return Ok(());
        }
        let (keys, orders) = keys_and_orders(uses);
        for ((place, _), changed) in uses
            .iter()
            .zip(coupons::release(connection, self.lane, &keys, &orders).await?)
        {
            done[*place] = Some(Done::Released(changed));
        }
        Ok(())
    }
}

fn keys_and_orders<'a>(uses: &[(usize, &'a CouponUse)]) -> (Vec<CouponKey<'a>>, Vec<Uuid>) {
    uses.iter()
        .map(|(_, used)| ((&used.shopper, used.campaign, used.slot), used.order_id))
        .unzip()
}
