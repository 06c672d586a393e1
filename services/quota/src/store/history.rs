use tidegate_types::{CampaignNumber, Timestamp};

use super::{Work, values::*};
use crate::error::Result;

impl Work {
    /// Archives at most `limit` leases that were settled before a moment; how many that were.
    pub async fn archive_leases(&mut self, settled_before: Timestamp, limit: i64) -> Result<u64> {
        let archive = sql!("../../queries/archive_leases.sql", settled_before, limit);
        self.counted(archive).await
    }

    /// At most `limit` campaigns that closed before a moment and can be retired.
    pub async fn campaigns_to_retire(
        &mut self,
        closed_before: Timestamp,
        limit: i64,
    ) -> Result<Vec<CampaignNumber>> {
        let found = sql!(
            "../../queries/campaigns_to_retire.sql",
            closed_before,
            limit
        );
        self.rows(found, campaign_number).await
    }

    /// Ends a campaign, in a transaction that holds its locks: it grants no lease from now on.
    pub async fn retire_campaign(&mut self, campaign: CampaignNumber, now: Timestamp) -> Result {
        let retire = sql!("../../queries/retire_campaign.sql", number(campaign), now);
        self.run(retire).await
    }

    pub async fn campaigns_to_forget(&mut self, limit: i64) -> Result<Vec<CampaignNumber>> {
        let found = sql!("../../queries/campaigns_to_forget.sql", limit);
        self.rows(found, campaign_number).await
    }

    pub async fn forget_leases(&mut self, campaign: CampaignNumber, limit: i64) -> Result<u64> {
        let campaign = number(campaign);
        let forget = sql!("../../queries/forget_leases.sql", campaign, limit);
        self.counted(forget).await
    }

    pub async fn mark_leases_forgotten(&mut self, campaign: CampaignNumber) -> Result {
        let mark = sql!("../../queries/mark_leases_forgotten.sql", number(campaign));
        self.run(mark).await
    }
}
