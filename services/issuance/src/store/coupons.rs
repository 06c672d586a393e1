use std::borrow::Cow;

use fail::fail_point;
use sqlx::{FromRow, PgConnection, PgPool, Row as _, postgres::PgRow};
use tidegate_telemetry::TraceContext;
use tidegate_types::{CampaignNumber, Lane, RequestId, ShopperId, Slot, TierNumber, Timestamp};
use uuid::Uuid;

use super::{
    column,
    leases::{campaign_number, lane_number},
};
use crate::domain::coupon::StoredCoupon;

/// A claim as the issuing statement takes it.
pub struct IssueRow<'a> {
    pub shopper: &'a ShopperId,
    pub campaign: CampaignNumber,
    pub request_id: &'a RequestId,
    pub requested_tier: Option<TierNumber>,
    /// The lease and tier it was assigned to; none if nothing may be issued.
    pub assigned: Option<(Uuid, TierNumber)>,
    pub limit: u8,
    pub valid_until: Timestamp,
    pub traceparent: Option<String>,
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
) -> Result<Vec<IssueOutcome>, sqlx::Error> {
    let answers: Vec<IssuedRow> = sqlx::query_as(&issuing())
        .bind(lane_number(lane))
        .bind(each(rows, |row| row.shopper.as_str()))
        .bind(each(rows, |row| campaign_number(row.campaign)))
        .bind(each(rows, |row| row.request_id.as_str()))
        .bind(each(rows, |row| row.requested_tier.map(tier_number)))
        .bind(each(rows, |row| row.assigned.map(|of| tier_number(of.1))))
        .bind(each(rows, |row| row.assigned.map(|(lease, _)| lease)))
        .bind(each(rows, |row| i16::from(row.limit)))
        .bind(each(rows, |row| row.valid_until))
        .bind(each(rows, |row| row.traceparent.as_deref()))
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
    fn outcome(&self, assigned: Option<(Uuid, TierNumber)>) -> Result<IssueOutcome, sqlx::Error> {
        let slot =
            |number: i16| Slot::new(number).map_err(|error| sqlx::Error::Decode(error.into()));
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
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let requested = |tier: Option<i16>| tier.map(TierNumber::new).transpose();
        let trace: Option<String> = row.try_get("claim_traceparent")?;
        Ok(Self {
            campaign: column(row, "campaign_number", |number: i32| {
                CampaignNumber::new(number)
            })?,
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

#[derive(FromRow)]
struct PlacedRow {
    place: i64,
    #[sqlx(flatten)]
    coupon: StoredCoupon,
}

/// Reads coupons by key; `None` for those that are not there.
pub async fn read(
    connection: &mut PgConnection,
    lane: Lane,
    keys: &[CouponKey<'_>],
) -> Result<Vec<Option<StoredCoupon>>, sqlx::Error> {
    let (shoppers, campaigns, slots) = columns(keys);
    let rows: Vec<PlacedRow> = sqlx::query_as(include_str!("../../queries/read_coupons.sql"))
        .bind(lane_number(lane))
        .bind(shoppers)
        .bind(campaigns)
        .bind(slots)
        .fetch_all(connection)
        .await?;
    let mut coupons = vec![None; keys.len()];
    for row in rows {
        let coupon = coupons.get_mut((row.place - 1) as usize);
        *coupon.ok_or(sqlx::Error::RowNotFound)? = Some(row.coupon);
    }
    Ok(coupons)
}

/// The coupon a claim produced.
pub async fn of_claim(
    pool: &PgPool,
    lane: Lane,
    shopper: &ShopperId,
    campaign: CampaignNumber,
    request_id: &RequestId,
) -> Result<Option<StoredCoupon>, sqlx::Error> {
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
) -> Result<Vec<StoredCoupon>, sqlx::Error> {
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

/// A column of a batch: one value for each of its rows.
pub(super) fn each<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn tier_number(tier: TierNumber) -> i16 {
    tier.get().into()
}

pub(super) fn columns<'a>(keys: &[CouponKey<'a>]) -> (Vec<&'a str>, Vec<i32>, Vec<i16>) {
    (
        each(keys, |(shopper, ..)| shopper.as_str()),
        each(keys, |(_, campaign, _)| campaign_number(*campaign)),
        each(keys, |(.., slot)| slot.get().into()),
    )
}
