use std::{collections::BTreeMap, time::Duration};

use sqlx::{FromRow, PgPool};
use tidegate_types::{CampaignNumber, Lane, TierNumber};
use uuid::Uuid;

use super::leases::{TierCounts, campaign_number, counts, lane_number};
use crate::domain::fence::{Counts, Fence};

/// Leases that do not add up which one count names.
pub const MAX_MISMATCHES: u32 = 100;

#[derive(FromRow)]
struct InspectedRow {
    lease_id: Uuid,
    sealed: bool,
    tier_number: Option<i16>,
    granted: Option<i64>,
    used: Option<i64>,
}

/// How leases of one lane stand, in their order.
pub async fn inspect(
    pool: &PgPool,
    lane: Lane,
    leases: &[Uuid],
) -> Result<Vec<Fence>, sqlx::Error> {
    let rows: Vec<InspectedRow> = sqlx::query_as(include_str!("../../queries/inspect_leases.sql"))
        .bind(lane_number(lane))
        .bind(leases)
        .fetch_all(pool)
        .await?;
    let mut known = BTreeMap::<Uuid, Vec<InspectedRow>>::new();
    for row in rows {
        known.entry(row.lease_id).or_default().push(row);
    }
    let fences = leases
        .iter()
        .map(|lease| known.get(lease).map_or(Fence::Unknown, |rows| fence(rows)));
    Ok(fences.collect())
}

fn fence(rows: &[InspectedRow]) -> Fence {
    let of = |count: fn(&InspectedRow) -> Option<i64>| -> Counts {
        let tiers = rows
            .iter()
            .filter_map(|row| row.tier_number.zip(count(row)));
        counts(tiers.collect()).into_iter().collect()
    };
    let (granted, used) = (of(|row| row.granted), of(|row| row.used));
    if rows.iter().any(|row| row.sealed) {
        Fence::Sealed { granted, used }
    } else {
        Fence::Open { granted, used }
    }
}

/// The coupons of a campaign in one lane at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CouponCount {
    /// Tier by tier.
    pub coupons: TierCounts,
    /// Of them, those on leases that are not sealed.
    pub on_live_leases: TierCounts,
    /// Leases whose `used` is not the number of their coupons, [`MAX_MISMATCHES`] at most.
    pub mismatches: Vec<Mismatch>,
}

/// A lease that does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Which.
    pub lease: Uuid,
    /// Which of its tiers.
    pub tier: TierNumber,
    /// What the lease says.
    pub used: u64,
    /// How many coupons name it.
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

/// Counts a campaign's coupons in one lane and compares them with its leases. The database gives up after `limit`.
pub async fn count(
    pool: &PgPool,
    lane: Lane,
    campaign: CampaignNumber,
    limit: Duration,
) -> Result<CouponCount, sqlx::Error> {
    let mut transaction = tidegate_pg::begin(pool).await?;
    sqlx::query(include_str!("../../queries/allow_scan.sql"))
        .bind(limit.as_millis().to_string())
        .execute(&mut *transaction)
        .await?;
    let rows: Vec<CountedRow> = sqlx::query_as(include_str!("../../queries/count_coupons.sql"))
        .bind(lane_number(lane))
        .bind(campaign_number(campaign))
        .bind(i64::from(MAX_MISMATCHES))
        .fetch_all(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    let of = |count: fn(&CountedRow) -> i64| {
        let tiers = rows.iter().filter(|row| row.lease_id.is_none());
        counts(tiers.map(|row| (row.tier_number, count(row))).collect())
    };
    Ok(CouponCount {
        coupons: of(|row| row.coupons),
        on_live_leases: of(|row| row.on_live_leases),
        mismatches: rows.iter().filter_map(mismatch).collect(),
    })
}

fn mismatch(row: &CountedRow) -> Option<Mismatch> {
    Some(Mismatch {
        lease: row.lease_id?,
        tier: TierNumber::new(row.tier_number).ok()?,
        used: row.used.unsigned_abs(),
        coupons: row.coupons.unsigned_abs(),
    })
}
