use sqlx::FromRow;
use tidegate_types::{CampaignNumber, Lanes};
use uuid::Uuid;

mod passes;

pub use passes::{KeptPass, SavedAudit, ShownAudit};

use super::{
    Work,
    values::{counts, decoded, number, tier_stock},
};
use crate::{
    domain::{LeaseBooks, TierBooks},
    error::QuotaError,
};

#[derive(FromRow)]
struct TierBooksRow {
    stock: i64,
    free: i64,
    leased: i64,
    settled: i64,
    granted_unsettled: i64,
    used_settled: i64,
    leases: i64,
}

#[derive(FromRow)]
struct LeaseBooksRow {
    lease_id: Uuid,
    lane: i16,
    is_settled: bool,
    tier_numbers: Vec<i16>,
    granted: Vec<i64>,
    used: Vec<i64>,
}

impl TryFrom<TierBooksRow> for TierBooks {
    type Error = sqlx::Error;

    fn try_from(row: TierBooksRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            stock: decoded(row.stock.try_into())?,
            at: tier_stock(row.free, row.leased, row.settled)?,
            granted_unsettled: decoded(row.granted_unsettled.try_into())?,
            used_settled: decoded(row.used_settled.try_into())?,
            leases: decoded(row.leases.try_into())?,
        })
    }
}

impl TryFrom<LeaseBooksRow> for LeaseBooks {
    type Error = sqlx::Error;

    fn try_from(row: LeaseBooksRow) -> Result<Self, sqlx::Error> {
        let used = counts(&row.tier_numbers, &row.used)?;
        Ok(Self {
            lease_id: row.lease_id,
            lane: decoded(Lanes::new(Lanes::MAX).and_then(|lanes| lanes.lane(row.lane)))?,
            granted: counts(&row.tier_numbers, &row.granted)?,
            used: row.is_settled.then_some(used),
        })
    }
}

impl Work {
    /// The books of every tier of a campaign at one instant, in the campaign's order.
    pub async fn tier_books(
        &mut self,
        campaign: CampaignNumber,
    ) -> Result<Vec<TierBooks>, QuotaError> {
        let query =
            sqlx::query_as::<_, TierBooksRow>(include_str!("../../queries/audit_books.sql"));
        self.rows(query.bind(number(campaign))).await
    }

    /// At most `limit` leases of a campaign from the id `from` downwards, the newest first.
    pub async fn lease_books(
        &mut self,
        campaign: CampaignNumber,
        from: Uuid,
        limit: u32,
    ) -> Result<Vec<LeaseBooks>, QuotaError> {
        let query =
            sqlx::query_as::<_, LeaseBooksRow>(include_str!("../../queries/audit_leases.sql"));
        self.rows(
            query
                .bind(number(campaign))
                .bind(from)
                .bind(i64::from(limit)),
        )
        .await
    }
}
