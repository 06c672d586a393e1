use std::{sync::Arc, time::Duration};

use tidegate_proto::r#type::v1 as shared;
use tidegate_rpc::wire;
use tidegate_types::{
    CampaignId, CampaignNumber, CouponTerms, CurrencyCode, LimitPerShopper, TierId, Timestamp,
    Violations,
};

use crate::domain::campaign::{Campaign, IssuanceControl, RedemptionControl, Tier};

/// A campaign as quota tells it; `None` if a field is outside its bounds.
pub fn campaign_from(campaign: shared::Campaign) -> Option<Campaign> {
    let tiers = campaign.tiers.into_iter().map(|tier| {
        Some(Tier {
            id: TierId::parse(tier.tier_id).ok()?,
            face_value_minor_units: tier.face_value_minor_units,
            terms: Arc::new(terms_from(&tier.terms.unwrap_or_default())?),
        })
    });
    let control = campaign.control.unwrap_or_default();
    let (issuance, redemption) = control_from(&control)?;
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
        issuance,
        redemption,
        resume_at: optional(control.resume_at.map(wire::moment))?,
        extended_valid_until: optional(campaign.extended_valid_until.map(wire::moment))?,
        // What its tiers were before is not known here.
        tiers_since: campaign.revision,
    })
}

/// Terms that were left out ask nothing.
fn terms_from(terms: &shared::CouponTerms) -> Option<CouponTerms> {
    CouponTerms::parse(
        &mut Violations::default(),
        "terms",
        terms.minimum_spend_minor_units,
        &terms.areas,
        &terms.store_ids,
    )
}

/// A control that was never set reads as open.
fn control_from(control: &shared::CampaignControl) -> Option<(IssuanceControl, RedemptionControl)> {
    use shared::{IssuanceControl as Issuance, RedemptionControl as Redemption};
    let issuance = match Issuance::try_from(control.issuance).ok()? {
        Issuance::Unspecified | Issuance::Open => IssuanceControl::Open,
        Issuance::QueueOnly => IssuanceControl::QueueOnly,
        Issuance::Halted => IssuanceControl::Halted,
    };
    let redemption = match Redemption::try_from(control.redemption).ok()? {
        Redemption::Unspecified | Redemption::Open => RedemptionControl::Open,
        Redemption::Halted => RedemptionControl::Halted,
    };
    Some((issuance, redemption))
}

/// A moment that may be left out; `None` if it is there and cannot be read.
fn optional(moment: Option<Option<Timestamp>>) -> Option<Option<Timestamp>> {
    moment.map_or(Some(None), |moment| moment.map(Some))
}

/// How much of each tier is in quota's pool, in the campaign's order; `None` if quota did not say of each.
pub(super) fn free_stock_of(campaign: &shared::Campaign) -> Option<Vec<u64>> {
    let tiers = campaign.tiers.iter().map(|tier| {
        let mut stock = campaign.stock.iter();
        let stock = stock.find(|stock| stock.tier_id == tier.tier_id)?;
        Some(stock.free)
    });
    tiers.collect()
}
