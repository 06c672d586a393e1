use std::collections::HashMap;

use tidegate_types::{CampaignId, CampaignNumber, TierId, TierNumber, Timestamp};

/// What the gateway needs of a campaign to answer at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// The public name.
    pub id: CampaignId,
    /// The number the other services use.
    pub number: CampaignNumber,
    /// Claims are served from this moment.
    pub opens_at: Timestamp,
    /// The names of its tiers.
    pub tiers: Vec<TierId>,
    /// Whether staff let coupons be issued.
    pub issuing: Issuing,
    /// Grows with each change.
    pub revision: u64,
}

/// What staff want of issuing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuing {
    /// Claims are served.
    Open,
    /// Claims are asked to wait.
    Held,
    /// Claims are refused, also while leases are still being sealed.
    Halted {
        /// When it is expected to go on, if staff said so.
        resume_at: Option<Timestamp>,
    },
}

impl Campaign {
    /// The number of the tier with this name.
    pub fn tier(&self, id: &TierId) -> Option<TierNumber> {
        let place = self.tiers.iter().position(|tier| tier == id)?;
        TierNumber::new(place as u64).ok()
    }

    /// Whether a claim at `now` is too early. Nothing can have been issued by then, so no other service needs to be asked. After the end they are asked: a claim of before may be repeated for ever.
    pub fn is_not_open(&self, now: Timestamp) -> bool {
        now < self.opens_at
    }
}

/// All campaigns known at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    campaigns: HashMap<CampaignId, Campaign>,
}

impl Snapshot {
    /// The campaign with this name.
    pub fn get(&self, id: &CampaignId) -> Option<&Campaign> {
        self.campaigns.get(id)
    }

    /// The same with this campaign as it is now; an older revision changes nothing.
    pub fn with(&self, campaign: Campaign) -> Self {
        let mut next = self.clone();
        if next
            .get(&campaign.id)
            .is_none_or(|known| known.revision <= campaign.revision)
        {
            next.campaigns.insert(campaign.id.clone(), campaign);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn campaign(revision: u64, opens_at: Timestamp) -> Campaign {
        let tiers = ["large", "small"]
            .map(|tier| TierId::parse(tier).unwrap())
            .into();
        Campaign {
            id: CampaignId::parse("tea").unwrap(),
            number: CampaignNumber::new(7u32).unwrap(),
            opens_at,
            tiers,
            issuing: Issuing::Open,
            revision,
        }
    }

    #[test]
    fn an_older_revision_never_replaces_a_newer_one() {
        let now = Timestamp::now_utc();
        let snapshot = Snapshot::default()
            .with(campaign(2, now))
            .with(campaign(1, now + Duration::from_secs(60)));
        let known = snapshot.get(&CampaignId::parse("tea").unwrap()).unwrap();
        assert_eq!((known.revision, known.opens_at), (2, now));
    }

    #[test]
    fn a_claim_before_the_opening_is_refused_at_the_door_and_one_at_the_opening_is_not() {
        let now = Timestamp::now_utc();
        assert!(campaign(1, now + Duration::from_millis(1)).is_not_open(now));
        assert!(!campaign(1, now).is_not_open(now));
    }

    #[test]
    fn tiers_are_numbered_in_the_campaigns_order() {
        let campaign = campaign(1, Timestamp::now_utc());
        assert_eq!(
            campaign.tier(&TierId::parse("small").unwrap()),
            TierNumber::new(1u8).ok()
        );
        assert_eq!(campaign.tier(&TierId::parse("medium").unwrap()), None);
    }
}
