//! A campaign as other services, and staff, are told of it.

use std::iter::zip;

use tidegate_proto::r#type::v1 as wire_types;
use tidegate_rpc::wire;
use tidegate_types::{Area, CouponTerms, StoreId};

use crate::domain::{
    Campaign, IssuanceControl, IssuanceState, RedemptionControl, RedemptionState, text::shown,
};

pub(crate) fn campaign(campaign: &Campaign) -> wire_types::Campaign {
    let terms = &campaign.terms;
    let tiers = || zip(&terms.tiers, &campaign.stock);
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
        display_name: shown(&terms.display_name).to_owned(),
        description: shown(&terms.description).to_owned(),
        ended_at: campaign.ended_at.map(wire::timestamp),
    }
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
        issuance: wire_types::IssuanceControl::from(said.issuance).into(),
        redemption: wire_types::RedemptionControl::from(said.redemption).into(),
        reason: shown(&said.reason).to_owned(),
        resume_at: said.resume_at.map(wire::timestamp),
        epoch: said.epoch,
        issuance_state: wire_types::IssuanceState::from(campaign.issuance_state()).into(),
        redemption_state: wire_types::RedemptionState::from(campaign.redemption_state()).into(),
    }
}

/// Kinds of the domain that are called the same on the wire.
macro_rules! same_on_the_wire {
    ($($wire:ident::$name:ident { $($kind:ident),+ })+) => {$(
        impl From<$name> for $wire::$name {
            fn from(kind: $name) -> Self {
                match kind {
                    $($name::$kind => Self::$kind,)+
                }
            }
        }
    )+};
}
pub(crate) use same_on_the_wire;

same_on_the_wire! {
    wire_types::IssuanceControl { Open, QueueOnly, Halted }
    wire_types::RedemptionControl { Open, Halted }
    wire_types::IssuanceState { Open, QueueOnly, Halting, Halted }
    wire_types::RedemptionState { Open, Halting, Halted, Resuming }
}
