use std::{sync::Arc, time::Duration};

use tidegate_types::{
    CampaignId, CampaignNumber, CouponTerms, CurrencyCode, LimitPerShopper, TierId, TierNumber,
    Timestamp,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// The number coupon codes carry.
    pub number: CampaignNumber,
    pub id: CampaignId,
    /// Of every face value.
    pub currency: CurrencyCode,
    pub limit_per_shopper: LimitPerShopper,
    /// Claims are served from this moment.
    pub opens_at: Timestamp,
    /// And refused from this one.
    pub closes_at: Timestamp,
    pub coupon_validity: Duration,
    pub revision: u64,
    /// Its tiers, in the order in which claims that name none are served.
    pub tiers: Vec<Tier>,
    pub issuance: IssuanceControl,
    pub redemption: RedemptionControl,
    /// When staff expect to resume what they have halted, if they said so.
    pub resume_at: Option<Timestamp>,
    /// Every coupon of it is valid at least until then.
    pub extended_valid_until: Option<Timestamp>,
    /// The revision from which on its tiers are known to be these; they may be so for longer.
    pub tiers_since: u64,
}

/// What staff have said of the coupons there are, and in which of the campaign's revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CouponControl {
    pub revision: u64,
    pub redemption: RedemptionControl,
    pub resume_at: Option<Timestamp>,
    pub extended_valid_until: Option<Timestamp>,
}

impl CouponControl {
    /// The newer of what is known here and what the database says.
    pub fn or_newer(self, kept: Option<&Self>) -> Self {
        match kept {
            Some(kept) if kept.revision > self.revision => *kept,
            _ => self,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IssuanceControl {
    #[default]
    Open,
    /// Claims are asked to wait.
    QueueOnly,
    Halted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RedemptionControl {
    #[default]
    Open,
    Halted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    pub id: TierId,
    /// What a coupon takes off an order.
    pub face_value_minor_units: i64,
    /// What an order must be for a coupon to pay for it.
    pub terms: Arc<CouponTerms>,
}

/// Whether new coupons may be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    NotOpen,
    Open,
    /// Not now, but those who wait will be served.
    QueueOnly,
    /// Not until staff resume.
    Halted,
    Closed,
}

impl Campaign {
    /// Where the campaign stands at `now`. A halt outlasts the opening, and nothing outlasts the end.
    pub fn phase(&self, now: Timestamp) -> Phase {
        match self.issuance {
            _ if now >= self.closes_at => Phase::Closed,
            IssuanceControl::Halted => Phase::Halted,
            _ if now < self.opens_at => Phase::NotOpen,
            IssuanceControl::QueueOnly => Phase::QueueOnly,
            IssuanceControl::Open => Phase::Open,
        }
    }

    /// What is known here of what staff have said of its coupons.
    pub fn coupon_control(&self) -> CouponControl {
        CouponControl {
            revision: self.revision,
            redemption: self.redemption,
            resume_at: self.resume_at,
            extended_valid_until: self.extended_valid_until,
        }
    }

    /// The campaign as a later revision than `known`. Its tiers have been the same for as long only
    /// if it is the very next one: a revision that was skipped may have had others.
    pub fn following(self, known: &Self) -> Self {
        let is_next = known.revision.checked_add(1) == Some(self.revision);
        let (ids, known_ids) = (self.tiers.iter(), known.tiers.iter());
        let has_same_tiers = ids.map(|tier| &tier.id).eq(known_ids.map(|tier| &tier.id));
        let tiers_since = match is_next && has_same_tiers {
            true => known.tiers_since,
            false => self.revision,
        };
        Self {
            tiers_since,
            ..self
        }
    }

    /// Whether whoever has seen that revision may mean another tier by a tier's number; 0 says nothing.
    pub fn had_other_tiers_at(&self, revision: u64) -> bool {
        revision > 0 && revision < self.tiers_since
    }

    pub fn tier(&self, number: TierNumber) -> Option<&Tier> {
        self.tiers.get(usize::from(number.get()))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn of_what_is_known_here_and_what_the_database_says_the_newer_counts() {
        let said = |revision, redemption| CouponControl {
            revision,
            redemption,
            ..CouponControl::default()
        };
        let (open, halted) = (RedemptionControl::Open, RedemptionControl::Halted);
        let known = said(4, open);
        assert_eq!(known.or_newer(None), known);
        assert_eq!(known.or_newer(Some(&said(5, halted))), said(5, halted));
        assert_eq!(known.or_newer(Some(&said(3, halted))), known);
    }

    /// A campaign that is open for a second from `now`.
    pub fn campaign(now: Timestamp, revision: u64) -> Campaign {
        let second = Duration::from_secs(1);
        Campaign {
            number: CampaignNumber::new(1u32).unwrap(),
            id: CampaignId::parse("spring").unwrap(),
            currency: CurrencyCode::parse("CNY").unwrap(),
            limit_per_shopper: LimitPerShopper::new(1u8).unwrap(),
            opens_at: now,
            closes_at: now + second,
            coupon_validity: second,
            revision,
            tiers: Vec::new(),
            issuance: IssuanceControl::Open,
            redemption: RedemptionControl::Open,
            resume_at: None,
            extended_valid_until: None,
            tiers_since: revision,
        }
    }

    #[test]
    fn only_the_very_next_revision_tells_that_the_tiers_stayed_the_same() {
        let now = Timestamp::now_utc();
        let mut others = campaign(now, 3);
        others.tiers.push(Tier {
            id: TierId::parse("cake").unwrap(),
            face_value_minor_units: 1,
            terms: Arc::default(),
        });
        let known = campaign(now, 2);
        let since = |campaign: Campaign| campaign.following(&known).tiers_since;
        assert_eq!(since(campaign(now, 3)), 2);
        assert_eq!(since(others), 3);
        assert_eq!(since(campaign(now, 4)), 4);
    }

    #[test]
    fn a_halt_outlasts_the_opening_and_nothing_outlasts_the_end() {
        let now = Timestamp::now_utc();
        let second = Duration::from_secs(1);
        let phase = |issuance, at: Timestamp| {
            let mut campaign = campaign(now, 1);
            campaign.issuance = issuance;
            campaign.phase(at)
        };
        let phases = |issuance| [now - second, now, now + second].map(|at| phase(issuance, at));
        use Phase::{Closed, Halted, NotOpen, Open, QueueOnly};
        assert_eq!(phases(IssuanceControl::Open), [NotOpen, Open, Closed]);
        assert_eq!(
            phases(IssuanceControl::QueueOnly),
            [NotOpen, QueueOnly, Closed]
        );
        assert_eq!(phases(IssuanceControl::Halted), [Halted, Halted, Closed]);
    }
}
