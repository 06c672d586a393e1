use tidegate_types::{CampaignId, ChangeReason};

use super::Campaigns;
use crate::{
    domain::{Campaign, CampaignUpdate, NotUpdated, Update},
    error::QuotaError,
    staff::{self, StaffCall},
    store::Work,
};

#[derive(Debug, Clone)]
pub struct UpdateRequest {
    pub campaign: CampaignId,
    /// Why, if somebody said so.
    pub reason: Option<ChangeReason>,
    pub wanted: CampaignUpdate,
}

impl Campaigns {
    /// Changes what a campaign is, so far as nothing else was promised. The same change again answers with the campaign as it is.
    pub async fn update(
        &self,
        request: UpdateRequest,
        call: &StaffCall,
    ) -> Result<Campaign, QuotaError> {
        self.store
            .transaction(call.deadline, async |work| {
                update(work, request, call).await
            })
            .await
    }
}

async fn update(
    work: &mut Work,
    request: UpdateRequest,
    call: &StaffCall,
) -> Result<Campaign, QuotaError> {
    let before = work.lock_campaign(&request.campaign).await?;
    let facts = work.update_facts(before.number).await?;
    let terms = match before.update(request.wanted, facts, call.now()) {
        Ok(Update::Now(terms)) => terms,
        Ok(Update::Before) => return Ok(before),
        Err(NotUpdated::Begun { fields }) => return Err(QuotaError::CampaignBegun { fields }),
        Err(NotUpdated::Closed) => return Err(QuotaError::CampaignClosed),
        Err(NotUpdated::Invalid { field, description }) => {
            return Err(QuotaError::invalid_field(field, description));
        }
    };
    work.update_campaign(before.number, &before.terms, &terms)
        .await?;
    let reason = request.reason.as_ref().map_or("", ChangeReason::as_str);
    let why = ("UpdateCampaign", reason);
    staff::record(work, call, why, &request.campaign, Some(&before)).await
}
