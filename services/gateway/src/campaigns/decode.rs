use tidegate_proto::r#type::v1 as shared;
use tidegate_rpc::wire;
use tidegate_types::{CampaignId, CampaignNumber, TierId};

use crate::domain::campaign::{Campaign, Issuing, Tier};

/// A campaign as quota tells it; `None` if a field is outside its bounds.
pub(crate) fn campaign_from(campaign: shared::Campaign) -> Option<Campaign> {
    Some(Campaign {
        id: CampaignId::parse(campaign.campaign_id).ok()?,
        number: CampaignNumber::new(campaign.campaign_number).ok()?,
        opens_at: wire::moment(campaign.opens_at?)?,
        tiers: campaign
            .tiers
            .into_iter()
            .map(|tier| tier_from(tier, &campaign.stock))
            .collect::<Option<_>>()?,
        closes_at: wire::moment(campaign.closes_at?)?,
        issuing: campaign
            .control
            .as_ref()
            .map_or(Some(Issuing::Open), issuing_from)?,
        sold_out: campaign.sold_out,
        redeeming: campaign
            .control
            .is_none_or(|control| control.redemption() != shared::RedemptionControl::Halted),
        extended_valid_until: match campaign.extended_valid_until {
            Some(moment) => Some(wire::moment(moment)?),
            None => None,
        },
        settled: campaign
            .stock
            .iter()
            .fold(0, |sum, tier| tier.settled.saturating_add(sum)),
        revision: campaign.revision,
    })
}

/// A tier and whether any of it is left. Of a tier whose stock is not told, there is.
fn tier_from(tier: shared::Tier, stock: &[shared::TierStock]) -> Option<Tier> {
    let mut told = stock.iter().filter(|stock| stock.tier_id == tier.tier_id);
    Some(Tier {
        is_gone: told.any(|stock| stock.free == 0 && stock.leased == 0),
        id: TierId::parse(tier.tier_id).ok()?,
    })
}

/// What staff want; a control this version does not know holds claims, which refuses nobody for
/// good.
fn issuing_from(control: &shared::CampaignControl) -> Option<Issuing> {
    use shared::IssuanceControl::{Halted, Open, QueueOnly, Unspecified};
    let resume_at = match control.resume_at {
        Some(moment) => Some(wire::moment(moment)?),
        None => None,
    };
    Some(match shared::IssuanceControl::try_from(control.issuance) {
        Ok(Open | Unspecified) => Issuing::Open,
        Ok(Halted) => Issuing::Halted {
            resume_at,
            is_complete: control.issuance_state() == shared::IssuanceState::Halted,
        },
        Ok(QueueOnly) | Err(_) => Issuing::Held { resume_at },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuing(number: i32, state: shared::IssuanceState) -> Option<Issuing> {
        issuing_from(&shared::CampaignControl {
            issuance: number,
            issuance_state: state.into(),
            ..Default::default()
        })
    }

    #[test]
    fn a_tier_is_gone_once_nothing_of_it_is_free_or_on_lease() {
        let is_gone = |stock: &[(u64, u64)]| {
            let tier = shared::Tier {
                tier_id: "large".into(),
                ..Default::default()
            };
            let stock = stock.iter().map(|(free, leased)| shared::TierStock {
                tier_id: "large".into(),
                free: *free,
                leased: *leased,
                ..Default::default()
            });
            tier_from(tier, &stock.collect::<Vec<_>>()).unwrap().is_gone
        };
        assert!(is_gone(&[(0, 0)]));
        assert!(!is_gone(&[(1, 0)]));
        assert!(!is_gone(&[(0, 1)]), "what was lent may come back");
        assert!(!is_gone(&[]));
    }

    #[test]
    fn a_halt_is_told_as_one_and_what_is_not_understood_holds_claims() {
        use shared::IssuanceState as State;
        let held = Some(Issuing::Held { resume_at: None });
        let halted = |is_complete| {
            Some(Issuing::Halted {
                resume_at: None,
                is_complete,
            })
        };
        assert_eq!(issuing(1, State::Open), Some(Issuing::Open));
        assert_eq!(issuing(2, State::QueueOnly), held);
        assert_eq!(issuing(3, State::Halting), halted(false));
        assert_eq!(issuing(3, State::Halted), halted(true));
        assert_eq!(issuing(99, State::Open), held);
    }
}
