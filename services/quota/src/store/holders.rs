use sqlx::FromRow;
use tidegate_types::{CampaignNumber, Lane, Lanes, ReplicaId, Timestamp};
use uuid::Uuid;

use super::{
    Work,
    values::{decoded, stored, unknown},
};
use crate::{
    domain::{HolderReading, SealedBecause},
    error::QuotaError,
};

/// A lease that has to be sealed and settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseToReclaim {
    pub lease_id: Uuid,
    pub campaign: CampaignNumber,
    pub lane: Lane,
    pub holder: ReplicaId,
    pub because: SealedBecause,
}

#[derive(FromRow)]
struct HolderRow {
    holder_id: String,
    beats: i64,
    is_holding: bool,
}

#[derive(FromRow)]
struct LeaseToReclaimRow {
    lease_id: Uuid,
    campaign_number: i32,
    lane: i16,
    holder_id: String,
    because: String,
}

impl TryFrom<HolderRow> for HolderReading {
    type Error = sqlx::Error;

    fn try_from(row: HolderRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            holder: decoded(ReplicaId::parse(row.holder_id))?,
            beats: decoded(row.beats.try_into())?,
            is_holding: row.is_holding,
        })
    }
}

impl TryFrom<LeaseToReclaimRow> for LeaseToReclaim {
    type Error = sqlx::Error;

    fn try_from(row: LeaseToReclaimRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            lease_id: row.lease_id,
            campaign: decoded(CampaignNumber::new(row.campaign_number))?,
            lane: decoded(Lanes::new(Lanes::MAX).and_then(|lanes| lanes.lane(row.lane)))?,
            holder: decoded(ReplicaId::parse(row.holder_id))?,
            because: match row.because.as_str() {
                "SILENT" => SealedBecause::Silent,
                "HALTED" => SealedBecause::Halted,
                "CLOSED" => SealedBecause::Closed,
                other => return Err(unknown("because", other)),
            },
        })
    }
}

impl Work {
    pub async fn renew_holder(&mut self, holder: &ReplicaId) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../queries/renew_holder.sql"));
        self.run(statement.bind(holder.as_str())).await
    }

    /// At most `limit` holders at one instant, those that hold a lease first.
    pub async fn holders(&mut self, limit: u32) -> Result<Vec<HolderReading>, QuotaError> {
        let query = sqlx::query_as::<_, HolderRow>(include_str!("../../queries/read_holders.sql"));
        self.rows(query.bind(i64::from(limit))).await
    }

    /// Removes holders that have given no sign of life since they were read and hold nothing.
    pub async fn forget_holders(&mut self, silent: &[HolderReading]) -> Result<(), QuotaError> {
        let holders: Vec<_> = silent.iter().map(|read| read.holder.as_str()).collect();
        let beats = silent.iter().map(|read| stored(read.beats));
        let statement = sqlx::query(include_str!("../../queries/forget_holders.sql"));
        self.run(
            statement
                .bind(holders)
                .bind(beats.collect::<Result<Vec<_>, _>>()?),
        )
        .await
    }

    /// At most `limit` leases from the id `from` on that are to be taken back: of these silent holders, of halted campaigns, and of campaigns that have ended.
    pub async fn leases_to_reclaim(
        &mut self,
        now: Timestamp,
        silent: &[&str],
        from: Uuid,
        limit: u32,
    ) -> Result<Vec<LeaseToReclaim>, QuotaError> {
        let query = sqlx::query_as::<_, LeaseToReclaimRow>(include_str!(
            "../../queries/leases_to_reclaim.sql"
        ));
        self.rows(
            query
                .bind(now)
                .bind(silent)
                .bind(from)
                .bind(i64::from(limit)),
        )
        .await
    }
}
