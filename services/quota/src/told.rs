//! A campaign as other services, and staff, are told of it.

use tidegate_proto::r#type::v1 as wire_types;
use tidegate_rpc::wire;
use tidegate_types::{Area, CouponTerms, PrintedText, StoreId};

use crate::domain::{Campaign, IssuanceControl, IssuanceState, RedemptionControl, RedemptionState};

pub(crate) fn campaign(campaign: &Campaign) -> wire_types::Campaign {
    let terms = &campaign.terms;
    let tiers = || terms.tiers.iter().zip(&campaign.stock);
    wire_types::Campaign {
        campaign_id: terms.id.to_string(),
        campaign_number: campaign.number.get(),
        currency_code: terms.currency.to_string(),
        tiers: tiers()
            .map(|(tier, stock)| wire_types::Tier {
                tier_id: tier.id.to_string(),
                face_value_minor_units: tier.face_value_minor_units,
                stock: stock.stock(),
                terms: encoded(&tier.terms),
            })
            .collect(),
        limit_per_shopper: terms.limit_per_shopper.get().into(),
        opens_at: Some(wire::timestamp(terms.opens_at)),
        closes_at: Some(wire::timestamp(terms.closes_at)),
        coupon_validity: Some(wire::duration(terms.coupon_validity)),
        stock: tiers()
            .map(|(tier, stock)| wire_types::TierStock {
                tier_id: tier.id.to_string(),
                stock: stock.stock(),
                free: stock.free,
                leased: stock.leased,
                settled: stock.settled,
            })
            .collect(),
        sold_out: campaign.sold_out(),
        revision: campaign.revision,
        control: Some(control(campaign)),
        extended_valid_until: campaign.extended_valid_until.map(wire::timestamp),
        display_name: printed(terms.display_name.as_ref()),
        description: printed(terms.description.as_ref()),
        ended_at: campaign.ended_at.map(wire::timestamp),
    }
}

/// A text for people; none is an empty one.
fn printed<const MAX: usize>(text: Option<&PrintedText<MAX>>) -> String {
    text.map_or("", PrintedText::as_str).to_owned()
}

/// Terms that ask nothing are left out.
pub(crate) fn encoded(terms: &CouponTerms) -> Option<wire_types::CouponTerms> {
    (*terms != CouponTerms::default()).then(|| wire_types::CouponTerms {
        minimum_spend_minor_units: terms.minimum_spend_minor_units(),
        areas: terms.areas().iter().map(Area::to_string).collect(),
        store_ids: terms.stores().iter().map(StoreId::to_string).collect(),
    })
}

fn control(campaign: &Campaign) -> wire_types::CampaignControl {
    let said = &campaign.control;
    wire_types::CampaignControl {
        issuance: match said.issuance {
            IssuanceControl::Open => wire_types::IssuanceControl::Open.into(),
            IssuanceControl::QueueOnly => wire_types::IssuanceControl::QueueOnly.into(),
            IssuanceControl::Halted => wire_types::IssuanceControl::Halted.into(),
        },
        redemption: match said.redemption {
            RedemptionControl::Open => wire_types::RedemptionControl::Open.into(),
            RedemptionControl::Halted => wire_types::RedemptionControl::Halted.into(),
        },
        reason: printed(said.reason.as_ref()),
        resume_at: said.resume_at.map(wire::timestamp),
        epoch: said.epoch,
        issuance_state: issuance_state(campaign.issuance_state()).into(),
        redemption_state: redemption_state(campaign.redemption_state()).into(),
    }
}

pub(crate) fn issuance_state(state: IssuanceState) -> wire_types::IssuanceState {
    match state {
        IssuanceState::Open => wire_types::IssuanceState::Open,
        IssuanceState::QueueOnly => wire_types::IssuanceState::QueueOnly,
        IssuanceState::Halting => wire_types::IssuanceState::Halting,
        IssuanceState::Halted => wire_types::IssuanceState::Halted,
    }
}

pub(crate) fn redemption_state(state: RedemptionState) -> wire_types::RedemptionState {
    match state {
        RedemptionState::Open => wire_types::RedemptionState::Open,
        RedemptionState::Halting => wire_types::RedemptionState::Halting,
        RedemptionState::Halted => wire_types::RedemptionState::Halted,
        RedemptionState::Resuming => wire_types::RedemptionState::Resuming,
    }
}
