use tidegate_types::{CampaignId, ChangeReason};

use super::{Campaigns, find, lock};
use crate::{
    QuotaError,
    domain::{Campaign, CampaignUpdate, NotUpdated, Update},
    staff::{self, StaffCall},
    store::{Work, within_limit},
};

/// A change of what a campaign is.
#[derive(Debug, Clone)]
pub struct UpdateRequest {
    pub campaign: CampaignId,
    /// Why, if somebody said so.
    pub reason: Option<ChangeReason>,
    /// What it is to be.
    pub wanted: CampaignUpdate,
}

impl Campaigns {
    /// Changes what a campaign is, so far as nothing else was promised. The same change again answers with the campaign as it is.
    pub async fn update(
        &self,
        request: UpdateRequest,
        call: &StaffCall,
    ) -> Result<Campaign, QuotaError> {
        within_limit(async {
            let mut work = self.store.begin(call.deadline).await?;
            let outcome = update(&mut work, request, call).await;
            work.end(outcome).await
        })
        .await
    }
}

async fn update(
    work: &mut Work,
    request: UpdateRequest,
    call: &StaffCall,
) -> Result<Campaign, QuotaError> {
    let before = lock(work, &request.campaign).await?;
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
    let after = find(work, &request.campaign).await?;
    let reason = request.reason.as_ref().map_or("", ChangeReason::as_str);
    let change = call.change("UpdateCampaign", &request.campaign, reason);
    let change = change.map(|change| staff::compared(change, Some(&before), &after));
    work.record(change.as_slice()).await?;
    Ok(after)
}
