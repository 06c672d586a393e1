use std::borrow::Cow;

use fail::fail_point;
use sqlx::{FromRow, PgConnection, PgPool, Postgres, query::QueryAs};
use tidegate_telemetry::TraceContext;
use tidegate_types::{CampaignNumber, Lane, RequestId, ShopperId, Slot, TierNumber, Timestamp};
use uuid::Uuid;

use super::leases::{campaign_number, lane_number};
use crate::domain::coupon::StoredCoupon;

/// A claim as the issuing statement takes it.
pub struct IssueRow<'a> {
    pub shopper: &'a ShopperId,
    pub campaign: CampaignNumber,
    pub request_id: &'a RequestId,
    pub requested_tier: Option<TierNumber>,
    /// The lease and tier it was assigned to; none if nothing may be issued.
    pub assigned: Option<(Uuid, TierNumber)>,
    /// How many coupons the shopper may hold.
    pub limit: u8,
    /// The end of its validity.
    pub valid_until: Timestamp,
    /// Its story, if that is recorded.
    pub traceparent: Option<String>,
}

/// What the issuing statement did with a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueOutcome {
    /// The coupon is durable, and this much is left of its lease and tier.
    Issued {
        /// Which of the shopper's coupons.
        slot: Slot,
        /// The tier it was assigned to.
        tier: TierNumber,
        /// What is left of the lease's tier.
        remaining: u64,
    },
    /// An earlier claim with this request id produced this one.
    Replay(Slot),
    /// The shopper holds all the campaign allows.
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
        Ok(
            match (
                self.replay_slot,
                self.over_limit,
                self.remaining.zip(assigned),
            ) {
                (Some(replay), _, _) => IssueOutcome::Replay(slot(replay)?),
                (None, true, _) => IssueOutcome::OverLimit,
                (None, false, Some((remaining, (_, tier)))) => IssueOutcome::Issued {
                    slot: slot(self.held + 1)?,
                    tier,
                    remaining: remaining.unsigned_abs(),
                },
                (None, false, None) => IssueOutcome::NoStock,
            },
        )
    }
}

#[derive(FromRow)]
pub(super) struct CouponRow {
    place: i64,
    slot: i16,
    request_id: String,
    requested_tier_number: Option<i16>,
    tier_number: i16,
    key_id: i16,
    issued_at: Timestamp,
    valid_until: Timestamp,
    order_id: Option<Uuid>,
    released_order_ids: Vec<Uuid>,
    revoked: bool,
    claim_traceparent: Option<String>,
    campaign_number: i32,
}

impl CouponRow {
    pub(super) fn into_domain(self) -> Result<StoredCoupon, sqlx::Error> {
        self.parse().ok_or_else(|| {
            sqlx::Error::Decode("a coupon's row holds a value outside its bounds".into())
        })
    }

    fn parse(self) -> Option<StoredCoupon> {
        Some(StoredCoupon {
            campaign: CampaignNumber::new(self.campaign_number).ok()?,
            slot: Slot::new(self.slot).ok()?,
            request_id: RequestId::parse(self.request_id).ok()?,
            requested_tier: self
                .requested_tier_number
                .map(TierNumber::new)
                .transpose()
                .ok()?,
            tier: TierNumber::new(self.tier_number).ok()?,
            key_id: self.key_id.try_into().ok()?,
            issued_at: self.issued_at,
            own_valid_until: self.valid_until,
            order_id: self.order_id,
            released_order_ids: self.released_order_ids,
            revoked: self.revoked,
            claim_trace: self
                .claim_traceparent
                .and_then(|text| TraceContext::parse(&text).ok()),
        })
    }
}

/// Reads coupons by key; `None` for those that are not there.
pub async fn read(
    connection: &mut PgConnection,
    lane: Lane,
    keys: &[CouponKey<'_>],
) -> Result<Vec<Option<StoredCoupon>>, sqlx::Error> {
    let rows: Vec<CouponRow> = with_keys(
        sqlx::query_as(include_str!("../../queries/read_coupons.sql")),
        lane,
        keys,
    )
    .fetch_all(connection)
    .await?;
    let mut coupons = vec![None; keys.len()];
    for row in rows {
        let coupon = coupons
            .get_mut((row.place - 1) as usize)
            .ok_or(sqlx::Error::RowNotFound)?;
        *coupon = Some(row.into_domain()?);
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
    let row: Option<CouponRow> = sqlx::query_as(include_str!("../../queries/read_claim.sql"))
        .bind(lane_number(lane))
        .bind(shopper.as_str())
        .bind(campaign_number(campaign))
        .bind(request_id.as_str())
        .fetch_optional(pool)
        .await?;
    row.map(CouponRow::into_domain).transpose()
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
    let rows: Vec<CouponRow> = sqlx::query_as(include_str!("../../queries/list_coupons.sql"))
        .bind(lane_number(lane))
        .bind(shopper.as_str())
        .bind(before.0 as i32)
        .bind(i16::from(before.1))
        .bind(campaign.map_or(0, campaign_number))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(CouponRow::into_domain).collect()
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

fn with_keys<'q, O>(
    query: QueryAs<'q, Postgres, O, sqlx::postgres::PgArguments>,
    lane: Lane,
    keys: &[CouponKey<'q>],
) -> QueryAs<'q, Postgres, O, sqlx::postgres::PgArguments> {
    let (shoppers, campaigns, slots) = columns(keys);
    query
        .bind(lane_number(lane))
        .bind(shoppers)
        .bind(campaigns)
        .bind(slots)
}
