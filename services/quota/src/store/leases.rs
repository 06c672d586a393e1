use sqlx::FromRow;
use tidegate_types::{CampaignNumber, Lanes, ReplicaId, TierNumber, Timestamp};
use uuid::Uuid;

use super::{
    Work,
    values::{counts, decoded, number, stored, tier_stock},
};
use crate::{
    domain::{Lease, LeaseRequest, SealedBecause, TierCounts, TierStock},
    error::QuotaError,
};

/// A campaign's stock, which nobody else can move until the transaction ends.
pub struct LockedTiers {
    pub stock: Vec<TierStock>,
}

#[derive(FromRow)]
struct LockedTierRow {
    free: i64,
    leased: i64,
    settled: i64,
}

#[derive(FromRow)]
struct LeaseRow {
    campaign_number: i32,
    lane: i16,
    holder_id: String,
    wanted: Vec<i64>,
    wanted_of_any_tier: i64,
    is_settled: bool,
    is_archived: bool,
    tier_numbers: Vec<i16>,
    granted: Vec<i64>,
    used: Vec<i64>,
}

impl LeaseRow {
    fn into_lease(self, lease_id: Uuid) -> Result<Lease, sqlx::Error> {
        let used = counts(&self.tier_numbers, &self.used)?;
        Ok(Lease {
            request: LeaseRequest {
                lease_id,
                campaign: decoded(CampaignNumber::new(self.campaign_number))?,
                holder: decoded(ReplicaId::parse(self.holder_id))?,
                lane: decoded(Lanes::new(Lanes::MAX).and_then(|lanes| lanes.lane(self.lane)))?,
                wanted: counts(
                    &(0..).take(self.wanted.len()).collect::<Vec<_>>(),
                    &self.wanted,
                )?,
                wanted_of_any_tier: decoded(self.wanted_of_any_tier.try_into())?,
            },
            granted: counts(&self.tier_numbers, &self.granted)?,
            used: self.is_settled.then_some(used),
            is_archived: self.is_archived,
        })
    }
}

/// Tier numbers and quantities side by side, as UNNEST takes them.
fn columns(
    counts: impl Iterator<Item = (TierNumber, u64)>,
) -> Result<(Vec<i16>, Vec<i64>), sqlx::Error> {
    counts
        .map(|(tier, quantity)| Ok((i16::from(tier.get()), stored(quantity)?)))
        .collect()
}

fn locked(rows: Vec<LockedTierRow>) -> Result<Option<LockedTiers>, QuotaError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let stock = rows
        .iter()
        .map(|row| tier_stock(row.free, row.leased, row.settled));
    Ok(Some(LockedTiers {
        stock: stock.collect::<Result<_, _>>()?,
    }))
}

impl Work {
    /// Locks the stock of a campaign; `None` if there is no such campaign.
    pub async fn lock_tiers(
        &mut self,
        campaign: CampaignNumber,
    ) -> Result<Option<LockedTiers>, QuotaError> {
        let rows = sqlx::query_as(include_str!("../../queries/lock_tiers.sql"))
            .bind(number(campaign))
            .fetch_all(self.connection())
            .await?;
        locked(rows)
    }

    /// Locks the stock of the campaign that a lease is of; `None` if there is no such lease.
    pub async fn lock_tiers_of_lease(
        &mut self,
        lease_id: Uuid,
    ) -> Result<Option<LockedTiers>, QuotaError> {
        let rows = sqlx::query_as(include_str!("../../queries/lock_tiers_of_lease.sql"))
            .bind(lease_id)
            .fetch_all(self.connection())
            .await?;
        locked(rows)
    }

    /// Whether a campaign is retired.
    pub async fn is_retired(&mut self, campaign: CampaignNumber) -> Result<bool, QuotaError> {
        let retired: Option<bool> =
            sqlx::query_scalar(include_str!("../../queries/is_retired.sql"))
                .bind(number(campaign))
                .fetch_optional(self.connection())
                .await?;
        Ok(retired.unwrap_or(false))
    }

    pub async fn lease(&mut self, lease_id: Uuid) -> Result<Option<Lease>, QuotaError> {
        let row: Option<LeaseRow> = sqlx::query_as(include_str!("../../queries/find_lease.sql"))
            .bind(lease_id)
            .fetch_optional(self.connection())
            .await?;
        Ok(row.map(|row| row.into_lease(lease_id)).transpose()?)
    }

    /// Moves stock from the pool to a new lease, in a transaction that holds the campaign's locks.
    pub async fn grant_lease(
        &mut self,
        request: &LeaseRequest,
        granted: &TierCounts,
        now: Timestamp,
    ) -> Result<(), QuotaError> {
        let (_, wanted) = columns(request.wanted.iter())?;
        let (tiers, quantities) = columns(granted.some())?;
        let statement = sqlx::query(include_str!("../../queries/grant_lease.sql"));
        self.run(
            statement
                .bind(request.lease_id)
                .bind(number(request.campaign))
                // Lanes end at 1,023.
                .bind(request.lane.get() as i16)
                .bind(request.holder.as_str())
                .bind(wanted)
                .bind(stored(request.wanted_of_any_tier)?)
                .bind(now)
                .bind(tiers)
                .bind(quantities),
        )
        .await
    }

    /// Settles a lease, in a transaction that holds the campaign's locks: what was used stays used, the rest is free again.
    pub async fn settle_lease(
        &mut self,
        lease: &Lease,
        used: &TierCounts,
        because: SealedBecause,
        now: Timestamp,
    ) -> Result<(), QuotaError> {
        let held = lease.granted.some().map(|(tier, _)| (tier, used.get(tier)));
        let (tiers, quantities) = columns(held)?;
        let statement = sqlx::query(include_str!("../../queries/settle_lease.sql"));
        self.run(
            statement
                .bind(lease.request.lease_id)
                .bind(now)
                .bind(tiers)
                .bind(quantities)
                .bind(because.name()),
        )
        .await
    }
}
