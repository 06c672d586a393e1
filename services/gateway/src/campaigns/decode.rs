use tidegate_proto::r#type::v1 as shared;
use tidegate_rpc::wire;
use tidegate_types::{CampaignId, CampaignNumber, TierId};

use crate::domain::campaign::{Campaign, Issuing};

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
        issuing: campaign.control.map_or(Some(Issuing::Open), issuing_from)?,
        revision: campaign.revision,
    })
}

/// What staff want; a control this version does not know holds claims, which refuses nobody for good.
fn issuing_from(control: shared::CampaignControl) -> Option<Issuing> {
    use shared::IssuanceControl::{Halted, Open, QueueOnly, Unspecified};
    Some(match shared::IssuanceControl::try_from(control.issuance) {
        Ok(Open | Unspecified) => Issuing::Open,
        Ok(Halted) => Issuing::Halted {
            resume_at: match control.resume_at {
                Some(moment) => Some(wire::moment(moment)?),
                None => None,
            },
        },
        Ok(QueueOnly) | Err(_) => Issuing::Held,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuing(number: i32) -> Option<Issuing> {
        issuing_from(shared::CampaignControl {
            issuance: number,
            ..Default::default()
        })
    }

    #[test]
    fn a_halt_is_told_as_one_and_what_is_not_understood_holds_claims() {
        assert_eq!(issuing(1), Some(Issuing::Open));
        assert_eq!(issuing(2), Some(Issuing::Held));
        assert_eq!(issuing(3), Some(Issuing::Halted { resume_at: None }));
        assert_eq!(issuing(99), Some(Issuing::Held));
    }
}
