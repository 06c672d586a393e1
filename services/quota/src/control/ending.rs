use tidegate_types::{CampaignId, ChangeReason};

use super::Controls;
use crate::{
    QuotaError,
    campaigns::{find, lock},
    domain::{Campaign, nothing_leased},
    staff::{self, StaffCall},
    store::{Work, within_limit},
};

/// The end of a campaign.
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
        let campaign = within_limit(async {
            let mut work = self.store.begin(call.deadline).await?;
            let outcome = end(&mut work, request, call).await;
            work.end(outcome).await
        })
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
    let before = lock(work, &request.campaign).await?;
    let Some(end) = before.end(call.now()) else {
        return Ok(before);
    };
    work.end_campaign(before.number, &before.terms, &end)
        .await?;
    let after = find(work, &request.campaign).await?;
    let change = call.change("EndCampaign", &request.campaign, request.reason.as_str());
    let change = change.map(|change| staff::compared(change, Some(&before), &after));
    work.record(change.as_slice()).await?;
    Ok(after)
}
