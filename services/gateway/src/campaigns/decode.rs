use tidegate_proto::r#type::v1 as shared;
use tidegate_rpc::wire;
use tidegate_types::{CampaignId, CampaignNumber, TierId};

use crate::domain::campaign::Campaign;

/// A campaign as quota tells it; `None` if a field is outside its bounds.
pub(super) fn campaign_from(campaign: shared::Campaign) -> Option<Campaign> {
    Some(Campaign {
        id: CampaignId::parse(campaign.campaign_id).ok()?,
        number: CampaignNumber::new(campaign.campaign_number).ok()?,
        opens_at: wire::moment(campaign.opens_at?)?,
        tiers: campaign
            .tiers
            .into_iter()
            .map(|tier| TierId::parse(tier.tier_id).ok())
            .collect::<Option<_>>()?,
        revision: campaign.revision,
    })
}
