use sqlx::{Row as _, postgres::PgRow};
use tidegate_types::{CampaignNumber, Lane, ReplicaId, TierNumber, Timestamp};
use uuid::Uuid;

use super::{Work, values::*, work::Statement};
use crate::{
    domain::{Lease, LeaseHolderReading, LeaseRequest, SealedBecause, TierCounts, TierStock},
    error::{QuotaError, Result},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseToReclaim {
    pub lease_id: Uuid,
    pub campaign: CampaignNumber,
    pub lane: Lane,
    pub holder: ReplicaId,
    pub because: SealedBecause,
}

fn lease(row: &PgRow) -> Read<Lease> {
    let (used, is_settled) = (tier_counts(row, "used")?, row.try_get("is_settled")?);
    Ok(Lease {
        request: LeaseRequest {
            lease_id: row.try_get("lease_id")?,
            campaign: campaign_number(row)?,
            holder: holder(row)?,
            lane: lane(row)?,
            wanted: first_tier_counts(row, "wanted")?,
            wanted_of_any_tier: count(row, "wanted_of_any_tier")?,
        },
        granted: tier_counts(row, "granted")?,
        used: Some(used).filter(|_| is_settled),
        is_archived: row.try_get("is_archived")?,
    })
}

fn holder(row: &PgRow) -> Read<ReplicaId> {
    parsed(row, "holder_id", ReplicaId::parse)
}

fn lease_holder_reading(row: &PgRow) -> Read<LeaseHolderReading> {
    Ok(LeaseHolderReading {
        holder: holder(row)?,
        beats: count(row, "beats")?,
        is_holding: row.try_get("is_holding")?,
    })
}

fn lease_to_reclaim(row: &PgRow) -> Read<LeaseToReclaim> {
    Ok(LeaseToReclaim {
        lease_id: row.try_get("lease_id")?,
        campaign: campaign_number(row)?,
        lane: lane(row)?,
        holder: holder(row)?,
        because: named(row, "because", SealedBecause::from_name)?,
    })
}

/// Tier numbers and quantities side by side, as UNNEST takes them.
fn columns(
    counts: impl Iterator<Item = (TierNumber, u64)>,
) -> Result<(Vec<i16>, Vec<i64>), sqlx::Error> {
    counts
        .map(|(tier, quantity)| Ok((i16::from(tier.get()), stored(quantity)?)))
        .collect()
}

impl Work {
    /// Locks the stock of a campaign, which nobody else can move until the transaction ends. [`QuotaError::CampaignNotFound`] if there is no such campaign.
    pub async fn lock_tiers(&mut self, campaign: CampaignNumber) -> Result<Vec<TierStock>> {
        let lock = sql!("../../queries/lock_tiers.sql", number(campaign));
        self.lock(lock, QuotaError::CampaignNotFound).await
    }

    /// How many lanes, of this lease holder or of others, have leases of the campaign beside the one
    /// that asks.
    pub async fn others_with_leases(&mut self, asking: &LeaseRequest) -> Result<u64> {
        let others = sql!(
            "../../queries/count_others_with_leases.sql",
            number(asking.campaign),
            asking.holder.as_str(),
            asking.lane.get() as i16,
        );
        self.counted(others).await
    }

    /// Locks the stock of the campaign that a lease is of. [`QuotaError::LeaseNotFound`] if there is no such lease.
    pub async fn lock_tiers_of_lease(&mut self, lease_id: Uuid) -> Result<Vec<TierStock>> {
        let lock = sql!("../../queries/lock_tiers_of_lease.sql", lease_id);
        self.lock(lock, QuotaError::LeaseNotFound).await
    }

    async fn lock(&mut self, lock: Statement<'_>, none: QuotaError) -> Result<Vec<TierStock>> {
        let stock = Some(self.rows(lock, tier_stock).await?);
        stock.filter(|stock| !stock.is_empty()).ok_or(none)
    }

    pub async fn lease(&mut self, lease_id: Uuid) -> Result<Option<Lease>> {
        let found = sql!("../../queries/find_lease.sql", lease_id);
        self.row(found, lease).await
    }

    /// Moves stock from the pool to a new lease, in a transaction that holds the campaign's locks.
    pub async fn grant_lease(
        &mut self,
        request: &LeaseRequest,
        granted: &TierCounts,
        now: Timestamp,
    ) -> Result {
        let (tiers, quantities) = columns(granted.some())?;
        let grant = sql!(
            "../../queries/grant_lease.sql",
            request.lease_id,
            number(request.campaign),
            // Lanes end at 1,023.
            request.lane.get() as i16,
            request.holder.as_str(),
            stored_all(request.wanted.iter().map(|(_, wanted)| wanted))?,
            stored(request.wanted_of_any_tier)?,
            now,
            tiers,
            quantities,
        );
        self.run(grant).await
    }

    /// Settles a lease, in a transaction that holds the campaign's locks: what was used stays used, the rest is free again.
    pub async fn settle_lease(
        &mut self,
        lease: &Lease,
        used: &TierCounts,
        because: SealedBecause,
        now: Timestamp,
    ) -> Result {
        let held = lease.granted.some().map(|(tier, _)| (tier, used.get(tier)));
        let (tiers, quantities) = columns(held)?;
        let settle = sql!(
            "../../queries/settle_lease.sql",
            lease.request.lease_id,
            now,
            tiers,
            quantities,
            because.name(),
        );
        self.run(settle).await
    }

    pub async fn renew_lease_holder(&mut self, holder: &ReplicaId) -> Result {
        let renew = sql!("../../queries/renew_holder.sql", holder.as_str());
        self.run(renew).await
    }

    /// At most `limit` lease holders at one instant, those that hold a lease first.
    pub async fn lease_holders(&mut self, limit: i64) -> Result<Vec<LeaseHolderReading>> {
        let found = sql!("../../queries/read_holders.sql", limit);
        self.rows(found, lease_holder_reading).await
    }

    /// Removes lease holders that have given no sign of life since they were read and hold nothing.
    pub async fn forget_lease_holders(&mut self, silent: &[LeaseHolderReading]) -> Result {
        let holders: Vec<_> = silent.iter().map(|read| read.holder.as_str()).collect();
        let beats = stored_all(silent.iter().map(|read| read.beats))?;
        let forget = sql!("../../queries/forget_holders.sql", holders, beats);
        self.run(forget).await
    }

    /// At most `limit` leases from the id `from` on that are to be taken back: of these silent lease holders, of halted campaigns, and of campaigns that have ended.
    pub async fn leases_to_reclaim(
        &mut self,
        now: Timestamp,
        silent: &[&str],
        from: Uuid,
        limit: i64,
    ) -> Result<Vec<LeaseToReclaim>> {
        let found = sql!(
            "../../queries/leases_to_reclaim.sql",
            now,
            silent,
            from,
            limit
        );
        self.rows(found, lease_to_reclaim).await
    }
}
