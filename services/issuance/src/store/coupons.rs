use std::borrow::Cow;

use fail::fail_point;
use sqlx::{
    FromRow, PgConnection, PgPool, Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tidegate_telemetry::TraceContext;
use tidegate_types::{CampaignNumber, Lane, RequestId, ShopperId, Slot, TierNumber, Timestamp};
use uuid::Uuid;

use super::{campaign_number, campaign_of, column, each, lane_number, of_row};
use crate::domain::{claim::Claim, coupon::StoredCoupon};

/// A claim as the issuing statement takes it.
pub struct IssueRow<'a> {
    pub claim: &'a Claim,
    /// The lease and tier it was assigned to; none if nothing may be issued.
    pub assigned: Option<(Uuid, TierNumber)>,
    pub trace: TraceContext,
}

/// What the issuing statement did with a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueOutcome {
    /// The coupon is durable, and this much is left of its lease and tier.
    Issued {
        slot: Slot,
        tier: TierNumber,
        remaining: u64,
    },
    /// An earlier claim with this request id produced this one.
    Replay(Slot),
    OverLimit,
    /// The lease did not have it, or there was none.
    NoStock,
}

/// The key of a coupon, within a lane.
pub type CouponKey<'a> = (&'a ShopperId, CampaignNumber, Slot);

#[derive(FromRow)]
struct IssuedRow {
    place: i64,
    held: i16,
    replay_slot: Option<i16>,
    over_limit: bool,
    remaining: Option<i64>,
}

fn issuing() -> Cow<'static, str> {
    const ISSUE: &str = include_str!("../../queries/issue_coupons.sql");
    fail_point!("acknowledge-before-commit", |_| {
        let waits_for_no_disk =
            "SELECT set_config('synchronous_commit', 'off', true), items.place,";
        ISSUE
            .replace("SELECT items.place,", waits_for_no_disk)
            .into()
    });
    fail_point!("spend-without-fence", |_| {
        let fence = "AND NOT lease.sealed AND lease.used + needed.quantity <= lease.granted";
        ISSUE.replace(fence, "").into()
    });
    ISSUE.into()
}

/// Runs the issuing statement: coupons of `lane` whose codes are made with the key of `key_id`. Outcomes stand in the order of the rows.
pub async fn issue(
    connection: &mut PgConnection,
    (lane, key_id): (Lane, u8),
    now: Timestamp,
    rows: &[IssueRow<'_>],
) -> sqlx::Result<Vec<IssueOutcome>> {
    let traceparent = |trace: TraceContext| trace.sampled().then(|| trace.traceparent());
    let answers: Vec<IssuedRow> = sqlx::query_as(&issuing())
        .bind(lane_number(lane))
        .bind(each(rows, |row| row.claim.shopper.as_str()))
        .bind(each(rows, |row| campaign_number(row.claim.campaign)))
        .bind(each(rows, |row| row.claim.request_id.as_str()))
        .bind(each(rows, |row| row.claim.requested_tier.map(tier_number)))
        .bind(each(rows, |row| row.assigned.map(|of| tier_number(of.1))))
        .bind(each(rows, |row| row.assigned.map(|(lease, _)| lease)))
        .bind(each(rows, |row| i16::from(row.claim.limit)))
        .bind(each(rows, |row| now + row.claim.validity))
        .bind(each(rows, |row| traceparent(row.trace)))
        .bind(i16::from(key_id))
        .bind(now)
        .fetch_all(connection)
        .await?;
    let mut outcomes = vec![IssueOutcome::NoStock; rows.len()];
    for answer in answers {
        let place = (answer.place - 1) as usize;
        let outcome = outcomes.get_mut(place).ok_or(sqlx::Error::RowNotFound)?;
        *outcome = answer.outcome(rows[place].assigned)?;
    }
    Ok(outcomes)
}

impl IssuedRow {
    fn outcome(&self, assigned: Option<(Uuid, TierNumber)>) -> sqlx::Result<IssueOutcome> {
        let slot = |slot: i16| Slot::new(slot).map_err(|error| sqlx::Error::Decode(error.into()));
        Ok(match (self.replay_slot, self.remaining.zip(assigned)) {
            (Some(replay), _) => IssueOutcome::Replay(slot(replay)?),
            (None, _) if self.over_limit => IssueOutcome::OverLimit,
            (None, Some((remaining, (_, tier)))) => IssueOutcome::Issued {
                slot: slot(self.held + 1)?,
                tier,
                remaining: remaining.unsigned_abs(),
            },
            (None, None) => IssueOutcome::NoStock,
        })
    }
}

impl FromRow<'_, PgRow> for StoredCoupon {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let requested = |tier: Option<i16>| tier.map(TierNumber::new).transpose();
        let trace: Option<String> = row.try_get("claim_traceparent")?;
        Ok(Self {
            campaign: campaign_of(row)?,
            slot: column(row, "slot", |slot: i16| Slot::new(slot))?,
            request_id: column(row, "request_id", |id: String| RequestId::parse(id))?,
            requested_tier: column(row, "requested_tier_number", requested)?,
            tier: column(row, "tier_number", |tier: i16| TierNumber::new(tier))?,
            key_id: column(row, "key_id", |id: i16| u8::try_from(id))?,
            issued_at: row.try_get("issued_at")?,
            own_valid_until: row.try_get("valid_until")?,
            order_id: row.try_get("order_id")?,
            released_order_ids: row.try_get("released_order_ids")?,
            revoked: row.try_get("revoked")?,
            claim_trace: trace.and_then(|text| TraceContext::parse(&text)),
        })
    }
}

/// A statement for coupons of one lane, with the first of its parameters: the lane and the columns of their keys.
pub(super) fn for_each<'q>(
    statement: &'static str,
    lane: Lane,
    keys: &[CouponKey<'q>],
) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(statement)
        .bind(lane_number(lane))
        .bind(each(keys, |(shopper, ..)| shopper.as_str()))
        .bind(each(keys, |(_, campaign, _)| campaign_number(*campaign)))
        .bind(each(keys, |(.., slot)| i16::from(slot.get())))
}

/// Reads coupons by key; `None` for those that are not there.
pub async fn read(
    connection: &mut PgConnection,
    lane: Lane,
    keys: &[CouponKey<'_>],
) -> sqlx::Result<Vec<Option<StoredCoupon>>> {
    let read = for_each(include_str!("../../queries/read_coupons.sql"), lane, keys);
    let mut coupons = vec![None; keys.len()];
    for row in read.fetch_all(connection).await? {
        *of_row(&mut coupons, &row)? = Some(StoredCoupon::from_row(&row)?);
    }
    Ok(coupons)
}

pub async fn of_claim(
    pool: &PgPool,
    lane: Lane,
    shopper: &ShopperId,
    campaign: CampaignNumber,
    request_id: &RequestId,
) -> sqlx::Result<Option<StoredCoupon>> {
    sqlx::query_as(include_str!("../../queries/read_claim.sql"))
        .bind(lane_number(lane))
        .bind(shopper.as_str())
        .bind(campaign_number(campaign))
        .bind(request_id.as_str())
        .fetch_optional(pool)
        .await
}

/// A page of a wallet: the coupons before `before`, newest campaign first.
pub async fn list(
    pool: &PgPool,
    lane: Lane,
    shopper: &ShopperId,
    before: (u32, u8),
    campaign: Option<CampaignNumber>,
    limit: u32,
) -> sqlx::Result<Vec<StoredCoupon>> {
    sqlx::query_as(include_str!("../../queries/list_coupons.sql"))
        .bind(lane_number(lane))
        .bind(shopper.as_str())
        .bind(before.0 as i32)
        .bind(i16::from(before.1))
        .bind(campaign.map_or(0, campaign_number))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
}

fn tier_number(tier: TierNumber) -> i16 {
    tier.get().into()
}
