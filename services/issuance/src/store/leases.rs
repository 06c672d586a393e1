use std::collections::BTreeMap;

use fail::fail_point;
use sqlx::{
    PgConnection, PgPool, Row as _,
    postgres::{PgExecutor, PgRow},
};
use tidegate_types::{CampaignNumber, Lane, Lanes, ReplicaId, TierNumber, Timestamp};
use uuid::Uuid;

use super::{campaign_number, campaign_of, column, each, lane_number, timelines::Timeline};

/// Tiers with a count each.
pub type TierCounts = Vec<(TierNumber, u64)>;

/// What became of an installation.
#[derive(Debug, PartialEq, Eq)]
pub enum Installed {
    Fresh,
    /// It was there already, or came too late; this is what is left of it, nothing if it is sealed, archived, or of a campaign that was retired.
    Before(TierCounts),
}

/// Makes a granted lease spendable, if the database is still on the timeline on which it was asked for. Installing again changes nothing. The caller must not drop this before it is done, so it runs in a task of its own.
pub async fn install(
    pool: &PgPool,
    lane: Lane,
    lease: &LeaseToSeal,
    granted: &TierCounts,
    asked_on: Timeline,
    now: Timestamp,
) -> sqlx::Result<Installed> {
    let tiers = each(granted, |(tier, _)| i16::from(tier.get()));
    let quantities = each(granted, |(_, quantity)| {
        i64::try_from(*quantity).unwrap_or(i64::MAX)
    });
    let mut transaction = tidegate_pg::begin(pool).await?;
    let installed: Option<Uuid> =
        sqlx::query_scalar(include_str!("../../queries/install_lease.sql"))
            .bind(lane_number(lane))
            .bind(lease.id)
            .bind(campaign_number(lease.campaign))
            .bind(lease.lease_holder.as_str())
            .bind(now)
            .bind(asked_on.0)
            .bind(tiers)
            .bind(quantities)
            .fetch_optional(&mut *transaction)
            .await?;
    if installed.is_some() {
        let is_too_late: bool =
            sqlx::query_scalar(include_str!("../../queries/lease_is_too_late.sql"))
                .bind(lane_number(lane))
                .bind(campaign_number(lease.campaign))
                .fetch_one(&mut *transaction)
                .await?;
        if is_too_late {
            transaction.rollback().await?;
            return Ok(Installed::Before(Vec::new()));
        }
        transaction.commit().await?;
        return Ok(Installed::Fresh);
    }
    let left: Vec<(i16, i64)> = sqlx::query_as(include_str!("../../queries/read_lease.sql"))
        .bind(lane_number(lane))
        .bind(lease.id)
        .fetch_all(&mut *transaction)
        .await?;
    // A tombstone may have been left.
    transaction.commit().await?;
    Ok(Installed::Before(counts(left)))
}

/// A lease, with what its tombstone must say if it is sealed before it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseToSeal {
    pub id: Uuid,
    pub campaign: CampaignNumber,
    pub lease_holder: ReplicaId,
}

fn lease(row: &PgRow) -> sqlx::Result<LeaseToSeal> {
    Ok(LeaseToSeal {
        id: row.try_get("lease_id")?,
        campaign: campaign_of(row)?,
        lease_holder: column(row, "holder_id", |holder: &str| ReplicaId::parse(holder))?,
    })
}

/// None if the row cannot be read, which is logged and keeps no other lease from being sealed.
fn readable<T>(row: &PgRow, read: impl FnOnce(&PgRow) -> sqlx::Result<T>) -> Option<T> {
    let read = read(row).inspect_err(|error| {
        tracing::error!(
            lease = ?row.try_get::<Uuid, _>("lease_id").ok(),
            %error,
            "a lease's row cannot be read and is left out: the lease is neither given back nor sealed, and after a change of the database it goes on being spent from although what was spent may have been lost; halt its campaign, mend the row in the table of leases, restart issuance and audit the campaign"
        );
    });
    read.ok()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedLease {
    /// False if the lease had never been installed.
    pub was_installed: bool,
    /// What was used of it, for each tier that was lent.
    pub used: TierCounts,
}

/// Seals leases of one lane for ever, all or none, and tells what was used of each, in their order. No lease may be named twice.
pub async fn seal(
    pool: &PgPool,
    lane: Lane,
    leases: &[LeaseToSeal],
) -> sqlx::Result<Vec<SealedLease>> {
    let mut transaction = tidegate_pg::begin(pool).await?;
    let sealed = seal_in(&mut transaction, lane, leases).await?;
    fail_point!("seal-nothing", |_| Ok(sealed.clone()));
    transaction.commit().await?;
    Ok(sealed)
}

pub(super) async fn seal_in(
    transaction: &mut PgConnection,
    lane: Lane,
    leases: &[LeaseToSeal],
) -> sqlx::Result<Vec<SealedLease>> {
    let mut ids = each(leases, |lease| lease.id);
    sqlx::query(include_str!("../../queries/seal_lease_headers.sql"))
        .bind(lane_number(lane))
        .bind(&ids)
        .bind(each(leases, |lease| campaign_number(lease.campaign)))
        .bind(each(leases, |lease| lease.lease_holder.as_str()))
        .execute(&mut *transaction)
        .await?;
    ids.sort();
    let rows: Vec<(Uuid, i16, i64)> =
        sqlx::query_as(include_str!("../../queries/seal_lease_tiers.sql"))
            .bind(lane_number(lane))
            .bind(&ids)
            .fetch_all(transaction)
            .await?;
    let mut tiers = BTreeMap::<Uuid, Vec<(i16, i64)>>::new();
    for (lease, tier, used) in rows {
        tiers.entry(lease).or_default().push((tier, used));
    }
    let sealed = leases.iter().map(|lease| {
        // No lease is granted without a tier: what has none is a tombstone.
        let tiers = tiers.remove(&lease.id);
        SealedLease {
            was_installed: tiers.is_some(),
            used: counts(tiers.unwrap_or_default()),
        }
    });
    Ok(sealed.collect())
}

pub async fn mark_returned(
    pool: &PgPool,
    lane: Lane,
    lease: Uuid,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../queries/mark_lease_returned.sql"))
        .bind(lane_number(lane))
        .bind(lease)
        .bind(now)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Leases that earlier lives of this lease holder's replica left behind, and sealed ones that quota has not settled, each with its lane.
pub async fn unreturned(
    pool: &PgPool,
    lanes: Lanes,
    lease_holder: &ReplicaId,
    limit: u32,
) -> sqlx::Result<Vec<(Lane, LeaseToSeal)>> {
    let rows = sqlx::query(include_str!("../../queries/unreturned_leases.sql"))
        .bind(lease_holder.as_str())
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    let with_lane = |row: &PgRow| {
        let lane = column(row, "lane", |lane: i16| lanes.lane(lane))?;
        Ok((lane, lease(row)?))
    };
    let unreturned = rows.iter().filter_map(|row| readable(row, with_lane));
    Ok(unreturned.collect())
}

/// Leases of a lane that are not known to be settled: those that are sealed, or those that are not.
pub async fn unsettled(
    executor: impl PgExecutor<'_>,
    lane: Lane,
    are_sealed: bool,
    limit: Option<u32>,
) -> sqlx::Result<Vec<LeaseToSeal>> {
    let rows = sqlx::query(include_str!("../../queries/unsettled_leases.sql"))
        .bind(lane_number(lane))
        .bind(are_sealed)
        .bind(limit.map(i64::from))
        .fetch_all(executor)
        .await?;
    Ok(rows.iter().filter_map(|row| readable(row, lease)).collect())
}

pub(super) fn counts(mut rows: Vec<(i16, i64)>) -> TierCounts {
    rows.sort();
    // The table's checks keep both within their bounds.
    rows.into_iter()
        .filter_map(|(tier, count)| Some((TierNumber::new(tier).ok()?, u64::try_from(count).ok()?)))
        .collect()
}
