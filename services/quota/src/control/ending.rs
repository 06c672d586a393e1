use tidegate_types::{CampaignId, ChangeReason};

use super::Controls;
use crate::{
    domain::{Campaign, nothing_leased},
    error::QuotaError,
    staff::{self, StaffCall},
    store::Work,
};

#[derive(Debug, Clone)]
pub struct EndRequest {
    pub campaign: CampaignId,
    pub reason: ChangeReason,
}

impl Controls {
    /// Ends a campaign for good. Nothing is granted of it from then on; that nothing of it is on lease any more is waited for as long as the deadline allows, and the campaign is told as it is then.
    /// One that staff ended before stays as it is.
    pub async fn end(
        &self,
        request: &EndRequest,
        call: &StaffCall,
    ) -> Result<Campaign, QuotaError> {
        let campaign = self
            .store
            .transaction(call.deadline, async |work| end(work, request, call).await)
            .await?;
        let is_open = |campaign: &Campaign| !nothing_leased(&campaign.stock);
        if is_open(&campaign) {
            self.reclaimer.up(call.trace);
        }
        self.wait_while(is_open, campaign, call.deadline).await
    }
}

async fn end(
    work: &mut Work,
    request: &EndRequest,
    call: &StaffCall,
) -> Result<Campaign, QuotaError> {
    let before = work.lock_campaign(&request.campaign).await?;
    let Some(end) = before.end(call.now()) else {
        return Ok(before);
    };
    work.end_campaign(before.number, &before.terms, &end)
        .await?;
    let why = ("EndCampaign", request.reason.as_str());
    staff::record(work, call, why, &request.campaign, Some(&before)).await
}
