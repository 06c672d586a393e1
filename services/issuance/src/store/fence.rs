use std::{collections::BTreeMap, io, ops::RangeInclusive, time::Duration};

use sqlx::{Executor as _, FromRow, PgConnection, PgPool};
use tidegate_types::{CampaignNumber, Lane, LimitPerShopper, TierNumber};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    campaign_number, lane_number,
    leases::{TierCounts, counts},
};
use crate::domain::fence::{Counts, Fence};

/// Leases that do not add up which one count names.
pub const MAX_MISMATCHES: u32 = 100;
/// How much longer than it may take the database may be silent before a count is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// A lease, whether it is sealed, and a tier of it with what was lent and used, if it has any.
type InspectedRow = (Uuid, bool, Option<i16>, Option<i64>, Option<i64>);

/// How leases of one lane stand, in their order.
pub async fn inspect(pool: &PgPool, lane: Lane, leases: &[Uuid]) -> sqlx::Result<Vec<Fence>> {
    let rows: Vec<InspectedRow> = sqlx::query_as(include_str!("../../queries/inspect_leases.sql"))
        .bind(lane_number(lane))
        .bind(leases)
        .fetch_all(pool)
        .await?;
    let mut known = BTreeMap::<Uuid, (bool, Counts, Counts)>::new();
    for (lease, is_sealed, tier, lent, spent) in rows {
        let (sealed, granted, used) = known.entry(lease).or_default();
        *sealed |= is_sealed;
        granted.extend(counts(Vec::from_iter(tier.zip(lent))));
        used.extend(counts(Vec::from_iter(tier.zip(spent))));
    }
    let fences = leases.iter().map(|lease| match known.get(lease).cloned() {
        None => Fence::Unknown,
        Some((true, granted, used)) => Fence::Sealed { granted, used },
        Some((false, granted, used)) => Fence::Open { granted, used },
    });
    Ok(fences.collect())
}

/// The coupons of a campaign in one lane to be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponRange {
    pub campaign: CampaignNumber,
    pub lane: Lane,
    pub leases: RangeInclusive<Uuid>,
    /// What its shoppers are held against; they are left out without it.
    pub limit: Option<LimitPerShopper>,
}

/// The coupons of a range at one instant, and what its shoppers hold at the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CouponCount {
    pub coupons: TierCounts,
    /// Of them, those on leases that are not sealed.
    pub on_live_leases: TierCounts,
    /// Leases whose `used` is not the number of their coupons, [`MAX_MISMATCHES`] at most.
    pub mismatches: Vec<Mismatch>,
    /// Shoppers of the range who hold more of the campaign than the limit.
    pub shoppers_over_limit: u64,
    /// Shoppers of the range of whose coupons several pay for one order.
    pub shoppers_paying_twice: u64,
    /// What all archived leases of the campaign used in the lane.
    pub archived_used: TierCounts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    pub lease: Uuid,
    pub tier: TierNumber,
    pub used: u64,
    pub coupons: u64,
}

#[derive(FromRow)]
struct CountedRow {
    lease_id: Option<Uuid>,
    tier_number: i16,
    used: i64,
    coupons: i64,
    on_live_leases: i64,
}

/// Counts coupons and compares them with their leases. Each statement is given up after `limit`.
///
/// The connection goes back to its pool only with its transaction ended: whatever else happens closes it. The caller must not drop this before it is done, so it runs in a task of its own.
pub async fn count(
    pool: &PgPool,
    range: &CouponRange,
    limit: Duration,
) -> sqlx::Result<CouponCount> {
    let mut connection = pool.acquire().await?;
    // The database gives up first; this is for one that does not answer.
    let counting = timeout(
        limit * 2 + SILENCE_LIMIT,
        count_by(&mut connection, range, limit),
    );
    let counted = counting
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
    if counted.is_err() {
        connection.close_on_drop();
    }
    counted
}

async fn count_by(
    connection: &mut PgConnection,
    range: &CouponRange,
    limit: Duration,
) -> sqlx::Result<CouponCount> {
    connection.execute("BEGIN").await?;
    sqlx::query(include_str!("../../queries/allow_scan.sql"))
        .bind(limit.as_millis().to_string())
        .execute(&mut *connection)
        .await?;
    let (lane, campaign) = (lane_number(range.lane), campaign_number(range.campaign));
    let range = &within_bounds(connection, range).await?;
    let rows: Vec<CountedRow> = sqlx::query_as(include_str!("../../queries/count_coupons.sql"))
        .bind(lane)
        .bind(campaign)
        .bind(i64::from(MAX_MISMATCHES))
        .bind(range.leases.start())
        .bind(range.leases.end())
        .fetch_all(&mut *connection)
        .await?;
    let (over_limit, paying_twice) = match range.limit {
        Some(limit) => check_shoppers(connection, range, limit).await?,
        None => (0, 0),
    };
    let archived = sqlx::query_as(include_str!("../../queries/archived_sums.sql"))
        .bind(lane)
        .bind(campaign)
        .fetch_all(&mut *connection)
        .await?;
    connection.execute("ROLLBACK").await?;
    let of = |count: fn(&CountedRow) -> i64| {
        let tiers = rows.iter().filter(|row| row.lease_id.is_none());
        counts(tiers.map(|row| (row.tier_number, count(row))).collect())
    };
    Ok(CouponCount {
        coupons: of(|row| row.coupons),
        on_live_leases: of(|row| row.on_live_leases),
        mismatches: rows.iter().filter_map(mismatch).collect(),
        shoppers_over_limit: over_limit,
        shoppers_paying_twice: paying_twice,
        archived_used: counts(archived),
    })
}

/// The range from the campaign's first lease in it to its last: what is beside is of other campaigns, and may be most of the table. A coupon that names an unknown lease is found between them alone.
async fn within_bounds(
    connection: &mut PgConnection,
    range: &CouponRange,
) -> sqlx::Result<CouponRange> {
    let bounds: (Option<Uuid>, Option<Uuid>) =
        sqlx::query_as(include_str!("../../queries/lease_bounds.sql"))
            .bind(lane_number(range.lane))
            .bind(campaign_number(range.campaign))
            .bind(range.leases.start())
            .bind(range.leases.end())
            .fetch_one(connection)
            .await?;
    let leases = match bounds {
        (Some(first), Some(last)) => first..=last,
        (None, _) | (_, None) => Uuid::nil()..=Uuid::nil(),
    };
    Ok(CouponRange {
        leases,
        ..range.clone()
    })
}

async fn check_shoppers(
    connection: &mut PgConnection,
    range: &CouponRange,
    limit: LimitPerShopper,
) -> sqlx::Result<(u64, u64)> {
    let (over_limit, paying_twice): (i64, i64) =
        sqlx::query_as(include_str!("../../queries/check_shoppers.sql"))
            .bind(lane_number(range.lane))
            .bind(campaign_number(range.campaign))
            .bind(i64::from(limit.get()))
            .bind(range.leases.start())
            .bind(range.leases.end())
            .fetch_one(connection)
            .await?;
    Ok((over_limit.unsigned_abs(), paying_twice.unsigned_abs()))
}

fn mismatch(row: &CountedRow) -> Option<Mismatch> {
    Some(Mismatch {
        lease: row.lease_id?,
        tier: TierNumber::new(row.tier_number).ok()?,
        used: row.used.unsigned_abs(),
        coupons: row.coupons.unsigned_abs(),
    })
}
