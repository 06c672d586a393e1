use std::{collections::HashMap, sync::Arc};

use tidegate_types::{CampaignId, CampaignNumber, HeldCoupons, TierId, TierNumber, Timestamp};

use super::queue::PRE_OPENING;

/// So long after the end of a campaign its queue is still reported.
const QUEUE_KEPT_AFTER_CLOSING: std::time::Duration = std::time::Duration::from_secs(60);

/// What the gateway needs of a campaign to answer a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    pub id: CampaignId,
    /// The number the other services use.
    pub number: CampaignNumber,
    /// Claims are served from this moment.
    pub opens_at: Timestamp,
    /// No coupon is issued from this moment.
    pub closes_at: Timestamp,
    pub tiers: Vec<Tier>,
    /// Whether staff let coupons be issued.
    pub issuing: Issuing,
    /// Whether the last coupon is gone, unless budget is added.
    pub sold_out: bool,
    /// Whether coupons can pay for orders.
    pub redeeming: bool,
    /// Every coupon is valid at least until then, if staff extended them.
    pub extended_valid_until: Option<Timestamp>,
    /// How many coupons leases that are settled have used: once nothing is on lease, how many were
    /// issued.
    pub settled: u64,
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    pub id: TierId,
    /// Whether its last coupon is gone, unless budget is added.
    pub is_gone: bool,
}

/// What becomes of a claim, by its campaign alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    Early,
    /// It can produce no coupon, but may have produced one before.
    Over(Over),
    /// It is asked to wait.
    Held,
    Open,
}

/// Why a claim can produce no coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    Halted {
        /// When it is expected to go on, if staff said so.
        resume_at: Option<Timestamp>,
    },
    SoldOut,
    Closed,
    /// The last coupon of the tier that it wants is gone, and there may be others.
    TierGone(TierId),
}

/// What staff want of issuing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuing {
    Open,
    /// Claims are asked to wait.
    Held {
        /// When it is expected to go on, if staff said so.
        resume_at: Option<Timestamp>,
    },
    /// Claims are refused, also while leases are still being sealed.
    Halted {
        /// When it is expected to go on, if staff said so.
        resume_at: Option<Timestamp>,
        /// Whether every lease is sealed, so that nothing commits any more.
        is_complete: bool,
    },
}

impl Campaign {
    pub fn tier(&self, id: &TierId) -> Option<TierNumber> {
        let place = self.tiers.iter().position(|tier| tier.id == *id)?;
        TierNumber::new(place as u64).ok()
    }

    /// What becomes at `now` of a claim for a tier, or for any.
    pub fn phase(&self, tier: Option<TierNumber>, now: Timestamp) -> Phase {
        let is_closed = self.is_closed(now);
        match self.issuing {
            _ if self.is_not_open(now) => Phase::Early,
            // What has ended does not go on, whatever staff said before.
            Issuing::Halted { resume_at, .. } if !is_closed => {
                Phase::Over(Over::Halted { resume_at })
            }
            _ if self.sold_out => Phase::Over(Over::SoldOut),
            _ if is_closed => Phase::Over(Over::Closed),
            issuing => match (self.tier_that_is_gone(tier), issuing) {
                (Some(tier), _) => Phase::Over(Over::TierGone(tier)),
                (None, Issuing::Open) => Phase::Open,
                (None, _) => Phase::Held,
            },
        }
    }

    /// The tier with this number, if there may be coupons of others. Otherwise its end is that of
    /// all.
    pub fn tier_beside_others(&self, tier: Option<TierNumber>) -> Option<&Tier> {
        let wanted = self.tiers.get(usize::from(tier?.get()))?;
        let is_other = |tier: &Tier| tier.id != wanted.id && !tier.is_gone;
        self.tiers.iter().any(is_other).then_some(wanted)
    }

    fn tier_that_is_gone(&self, tier: Option<TierNumber>) -> Option<TierId> {
        let wanted = self.tier_beside_others(tier)?;
        wanted.is_gone.then(|| wanted.id.clone())
    }

    /// Whether a claim at `now` is too early. Nothing can have been issued by then, so no other
    /// service needs to be asked. After the end they are asked: a claim of before may be repeated
    /// for ever.
    pub fn is_not_open(&self, now: Timestamp) -> bool {
        now < self.opens_at
    }

    /// Whether claims of before the opening already get a position in the queue.
    pub fn takes_early_claims(&self, now: Timestamp) -> bool {
        self.is_not_open(now) && self.opens_at - now <= PRE_OPENING
    }

    pub fn is_closed(&self, now: Timestamp) -> bool {
        now >= self.closes_at
    }

    /// Whether its queue can matter at `now`.
    pub fn may_queue(&self, now: Timestamp) -> bool {
        (!self.is_not_open(now) || self.takes_early_claims(now))
            && now - self.closes_at < QUEUE_KEPT_AFTER_CLOSING
    }

    /// Whether no coupon of it commits any more until somebody changes it, so that those who have
    /// one can be known.
    pub fn issues_no_more(&self) -> bool {
        let is_halted = matches!(
            self.issuing,
            Issuing::Halted {
                is_complete: true,
                ..
            }
        );
        self.sold_out || is_halted
    }

    /// What is true at `now` of coupons that shoppers have already.
    pub fn held_coupons(&self, now: Timestamp) -> HeldCoupons {
        HeldCoupons {
            usable: self.redeeming,
            valid_until: self.extended_valid_until.filter(|until| *until > now),
        }
    }
}

#[cfg(test)]
impl Campaign {
    /// One that opened a minute ago, with coupons of two tiers left.
    pub(crate) fn sample() -> Self {
        let opens_at = Timestamp::now_utc() - std::time::Duration::from_secs(60);
        let tiers = ["large", "small"].map(|tier| Tier {
            id: TierId::parse(tier).unwrap(),
            is_gone: false,
        });
        Self {
            id: CampaignId::parse("tea").unwrap(),
            number: CampaignNumber::new(7u32).unwrap(),
            opens_at,
            closes_at: opens_at + std::time::Duration::from_secs(3_600),
            tiers: tiers.into(),
            issuing: Issuing::Open,
            sold_out: false,
            redeeming: true,
            extended_valid_until: None,
            settled: 0,
            revision: 1,
        }
    }
}

/// All campaigns known at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    campaigns: HashMap<CampaignId, Arc<Campaign>>,
}

impl Snapshot {
    pub fn get(&self, id: &CampaignId) -> Option<&Arc<Campaign>> {
        self.campaigns.get(id)
    }

    pub fn all(&self) -> impl ExactSizeIterator<Item = &Arc<Campaign>> {
        self.campaigns.values()
    }

    /// The same with this campaign as it is now; an older revision changes nothing.
    pub fn with(&self, campaign: Arc<Campaign>) -> Self {
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
        Campaign {
            revision,
            opens_at,
            closes_at: opens_at + Duration::from_secs(3_600),
            ..Campaign::sample()
        }
    }

    #[test]
    fn an_older_revision_never_replaces_a_newer_one() {
        let now = Timestamp::now_utc();
        let snapshot = Snapshot::default()
            .with(campaign(2, now).into())
            .with(campaign(1, now + Duration::from_secs(60)).into());
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
    fn a_queue_matters_from_ten_minutes_before_the_opening_to_a_minute_after_the_end() {
        let opens_at = Timestamp::now_utc();
        let campaign = campaign(1, opens_at);
        let second = Duration::from_secs(1);
        for (now, early, queue) in [
            (opens_at - PRE_OPENING - second, false, false),
            (opens_at - PRE_OPENING, true, true),
            (opens_at, false, true),
            (campaign.closes_at, false, true),
            (campaign.closes_at + 60 * second, false, false),
        ] {
            let found = (campaign.takes_early_claims(now), campaign.may_queue(now));
            assert_eq!(found, (early, queue), "{now}");
        }
    }

    #[test]
    fn an_extension_that_has_passed_promises_nothing() {
        let now = Timestamp::now_utc();
        let extended = Campaign {
            extended_valid_until: Some(now),
            ..campaign(1, now)
        };
        assert_eq!(extended.held_coupons(now).valid_until, None);
        let before = now - Duration::from_secs(1);
        assert_eq!(extended.held_coupons(before).valid_until, Some(now));
    }

    #[test]
    fn a_halt_ends_with_its_campaign() {
        let opens_at = Timestamp::now_utc();
        let halted = Campaign {
            issuing: Issuing::Halted {
                resume_at: None,
                is_complete: true,
            },
            ..campaign(1, opens_at)
        };
        let halt = Phase::Over(Over::Halted { resume_at: None });
        assert_eq!(halted.phase(None, opens_at), halt);
        let after = halted.phase(None, halted.closes_at);
        assert_eq!(after, Phase::Over(Over::Closed));
    }

    #[test]
    fn a_tier_that_is_gone_ends_the_claims_for_it_and_no_others() {
        let now = Timestamp::now_utc();
        let mut campaign = campaign(1, now);
        campaign.tiers[1].is_gone = true;
        let [large, small] = [0u8, 1].map(|number| TierNumber::new(number).ok());
        for issuing in [Issuing::Open, Issuing::Held { resume_at: None }] {
            campaign.issuing = issuing;
            let gone = Phase::Over(Over::TierGone(campaign.tiers[1].id.clone()));
            assert_eq!(campaign.phase(small, now), gone);
            assert!(!matches!(campaign.phase(large, now), Phase::Over(_)));
            assert!(!matches!(campaign.phase(None, now), Phase::Over(_)));
        }
        campaign.sold_out = true;
        let sold_out = Phase::Over(Over::SoldOut);
        assert_eq!(campaign.phase(small, now), sold_out);
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
