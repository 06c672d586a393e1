use tidegate_types::{CampaignId, ChangeReason, MAX_STOCK, RequestId, TierId};

use super::{Campaigns, find, lock};
use crate::{
    QuotaError,
    domain::Campaign,
    staff::{self, StaffCall},
    store::{Work, within_limit},
};

/// More coupons for a tier.
#[derive(Debug, Clone)]
pub struct BudgetAddition {
    pub campaign: CampaignId,
    /// Chosen by the caller, the same on every retry.
    pub request_id: RequestId,
    pub tier: TierId,
    pub additional_stock: u64,
    pub reason: ChangeReason,
}

impl Campaigns {
    /// Adds to a tier's stock, once for each request id. Answers with the campaign as it is now and whether an earlier call had added it.
    pub async fn add_budget(
        &self,
        addition: &BudgetAddition,
        call: &StaffCall,
    ) -> Result<(Campaign, bool), QuotaError> {
        within_limit(async {
            let mut work = self.store.begin(call.deadline).await?;
            let outcome = add_budget(&mut work, addition, call).await;
            work.end(outcome).await
        })
        .await
    }
}

async fn add_budget(
    work: &mut Work,
    addition: &BudgetAddition,
    call: &StaffCall,
) -> Result<(Campaign, bool), QuotaError> {
    let BudgetAddition {
        request_id,
        additional_stock,
        ..
    } = addition;
    let campaign = lock(work, &addition.campaign).await?;
    let tier = campaign.tier_number(&addition.tier);
    if let Some(before) = work.budget_addition(campaign.number, request_id).await? {
        return if tier.map(|tier| (tier, *additional_stock)) == Some(before) {
            Ok((campaign, true))
        } else {
            Err(QuotaError::BudgetRequestIdTaken)
        };
    }
    let now = call.now();
    if campaign.is_over(now) {
        return Err(QuotaError::CampaignClosed);
    }
    let tier = tier.ok_or_else(|| {
        QuotaError::invalid_field("tier_id", "must be one of the campaign's tiers")
    })?;
    let stock = campaign
        .stock
        .get(usize::from(tier.get()))
        .map_or(MAX_STOCK, |stock| stock.stock());
    if stock + additional_stock > MAX_STOCK {
        let most = format!("must leave the tier with at most {MAX_STOCK} coupons; it has {stock}");
        return Err(QuotaError::invalid_field("additional_stock", most));
    }
    work.add_budget(campaign.number, request_id, tier, *additional_stock, now)
        .await?;
    work.bump_revision(campaign.number).await?;
    let after = find(work, &addition.campaign).await?;
    let change = call.change("AddBudget", &addition.campaign, addition.reason.as_str());
    let change = change.map(|change| {
        let change = change.with_field("request_id", "", request_id);
        staff::compared(change, Some(&campaign), &after)
    });
    work.record(change.as_slice()).await?;
    Ok((after, false))
}
