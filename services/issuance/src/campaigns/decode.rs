use std::time::Duration;
use tidegate_proto::r#type::v1 as shared;
use tidegate_rpc::wire;

use tidegate_types::{CampaignId, CampaignNumber, CurrencyCode, LimitPerShopper, TierId};

use crate::domain::campaign::{Campaign, Tier};

/// A campaign as quota tells it; `None` if a field is outside its bounds.
pub(super) fn campaign_from(campaign: shared::Campaign) -> Option<Campaign> {
    let tiers = campaign.tiers.into_iter().map(|tier| {
        Some(Tier {
            id: TierId::parse(tier.tier_id).ok()?,
            face_value_minor_units: tier.face_value_minor_units,
        })
    });
    Some(Campaign {
        number: CampaignNumber::new(campaign.campaign_number).ok()?,
        id: CampaignId::parse(campaign.campaign_id).ok()?,
        currency: CurrencyCode::parse(&campaign.currency_code).ok()?,
        limit_per_shopper: LimitPerShopper::new(campaign.limit_per_shopper).ok()?,
        opens_at: wire::moment(campaign.opens_at?)?,
        closes_at: wire::moment(campaign.closes_at?)?,
        coupon_validity: wire::span(campaign.coupon_validity?)
            .filter(|validity| *validity >= Duration::from_secs(1))?,
        revision: campaign.revision,
        tiers: tiers.collect::<Option<_>>()?,
    })
}
