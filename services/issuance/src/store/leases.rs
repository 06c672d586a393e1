use sqlx::PgPool;
use tidegate_types::{CampaignNumber, Lane, ReplicaId, TierNumber, Timestamp};
use uuid::Uuid;

/// Tiers with a count each.
pub type TierCounts = Vec<(TierNumber, u64)>;

/// What became of an installation.
#[derive(Debug, PartialEq, Eq)]
pub enum Installed {
    /// The lease can be spent from.
    Fresh,
    /// It was there already; this is what is left of it, nothing if it was sealed before it arrived.
    Before(TierCounts),
}

/// Makes a granted lease spendable. Installing again changes nothing.
pub async fn install(
    pool: &PgPool,
    lane: Lane,
    lease: Uuid,
    campaign: CampaignNumber,
    holder: &ReplicaId,
    granted: &TierCounts,
    now: Timestamp,
) -> Result<Installed, sqlx::Error> {
    let tiers: Vec<_> = granted
        .iter()
        .map(|(tier, _)| i16::from(tier.get()))
        .collect();
    let quantities: Vec<_> = granted
        .iter()
        .map(|(_, quantity)| i64::try_from(*quantity).unwrap_or(i64::MAX))
        .collect();
    let installed: Option<Uuid> =
        sqlx::query_scalar(include_str!("../../queries/install_lease.sql"))
            .bind(lane_number(lane))
            .bind(lease)
            .bind(campaign_number(campaign))
            .bind(holder.as_str())
            .bind(now)
            .bind(tiers)
            .bind(quantities)
            .fetch_optional(pool)
            .await?;
    match installed {
        Some(_) => Ok(Installed::Fresh),
        None => {
            let rows: Vec<(i16, i64)> =
                sqlx::query_as(include_str!("../../queries/read_lease.sql"))
                    .bind(lane_number(lane))
                    .bind(lease)
                    .fetch_all(pool)
                    .await?;
            Ok(Installed::Before(counts(rows)))
        }
    }
}

/// Seals a lease for ever and tells what was used of it.
pub async fn seal(pool: &PgPool, lane: Lane, lease: Uuid) -> Result<TierCounts, sqlx::Error> {
    let rows: Vec<(i16, i64)> = sqlx::query_as(include_str!("../../queries/seal_lease.sql"))
        .bind(lane_number(lane))
        .bind(lease)
        .fetch_all(pool)
        .await?;
    Ok(counts(rows))
}

/// Notes that quota has settled a sealed lease.
pub async fn mark_returned(
    pool: &PgPool,
    lane: Lane,
    lease: Uuid,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(include_str!("../../queries/mark_lease_returned.sql"));
    query
        .bind(lane_number(lane))
        .bind(lease)
        .bind(now)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Leases this replica left behind when it stopped, and sealed ones that quota has not settled: lane number and lease.
pub async fn unreturned(
    pool: &PgPool,
    holder: &ReplicaId,
    limit: u32,
) -> Result<Vec<(u16, Uuid)>, sqlx::Error> {
    let rows: Vec<(i16, Uuid)> =
        sqlx::query_as(include_str!("../../queries/unreturned_leases.sql"))
            .bind(holder.as_str())
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(lane, lease)| Some((u16::try_from(lane).ok()?, lease)))
        .collect())
}

/// A lane as its column has it: lanes are at most 1,024.
pub(super) fn lane_number(lane: Lane) -> i16 {
    lane.get() as i16
}

/// A campaign as its column has it: numbers have 24 bits.
pub(super) fn campaign_number(campaign: CampaignNumber) -> i32 {
    campaign.get() as i32
}

fn counts(rows: Vec<(i16, i64)>) -> TierCounts {
    // The table's checks keep both within their bounds.
    rows.into_iter()
        .filter_map(|(tier, count)| Some((TierNumber::new(tier).ok()?, u64::try_from(count).ok()?)))
        .collect()
}
