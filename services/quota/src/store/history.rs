use tidegate_types::{CampaignNumber, Timestamp};

use super::{
    Work,
    values::{campaigns, number},
};
use crate::error::QuotaError;

impl Work {
    /// Archives at most `limit` leases that were settled before a moment; how many that were.
    pub async fn archive_leases(
        &mut self,
        settled_before: Timestamp,
        limit: u32,
    ) -> Result<u64, QuotaError> {
        let archived: i64 = sqlx::query_scalar(include_str!("../../queries/archive_leases.sql"))
            .bind(settled_before)
            .bind(i64::from(limit))
            .fetch_one(self.connection())
            .await?;
        Ok(archived.unsigned_abs())
    }

    /// At most `limit` campaigns that closed before a moment and can be retired.
    pub async fn campaigns_to_retire(
        &mut self,
        closed_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<CampaignNumber>, QuotaError> {
        let query = sqlx::query_scalar(include_str!("../../queries/campaigns_to_retire.sql"));
        let numbers: Vec<i32> = query
            .bind(closed_before)
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        Ok(campaigns(numbers)?)
    }

    /// Ends a campaign, in a transaction that holds its locks: it grants no lease from now on.
    pub async fn retire_campaign(
        &mut self,
        campaign: CampaignNumber,
        now: Timestamp,
    ) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../queries/retire_campaign.sql"));
        self.run(statement.bind(number(campaign)).bind(now)).await
    }

    /// At most `limit` retired campaigns whose leases are still there.
    pub async fn campaigns_to_forget(
        &mut self,
        limit: u32,
    ) -> Result<Vec<CampaignNumber>, QuotaError> {
        let query = sqlx::query_scalar(include_str!("../../queries/campaigns_to_forget.sql"));
        let numbers: Vec<i32> = query
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        Ok(campaigns(numbers)?)
    }

    /// Forgets at most `limit` leases of a retired campaign; how many that were.
    pub async fn forget_leases(
        &mut self,
        campaign: CampaignNumber,
        limit: u32,
    ) -> Result<u64, QuotaError> {
        let forgotten: i64 = sqlx::query_scalar(include_str!("../../queries/forget_leases.sql"))
            .bind(number(campaign))
            .bind(i64::from(limit))
            .fetch_one(self.connection())
            .await?;
        Ok(forgotten.unsigned_abs())
    }

    /// Notes that no lease of a retired campaign is left, if so it is.
    pub async fn mark_leases_forgotten(
        &mut self,
        campaign: CampaignNumber,
    ) -> Result<(), QuotaError> {
        let statement = sqlx::query(include_str!("../../queries/mark_leases_forgotten.sql"));
        self.run(statement.bind(number(campaign))).await
    }
}
