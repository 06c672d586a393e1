//! What staff may change of a campaign, and how it ends. What shoppers were promised stays.

use std::time::Duration;

use tidegate_types::{LimitPerShopper, Timestamp};

use super::{Campaign, CampaignTerms, Description, DisplayName, Tier};
use crate::error::{QuotaError, Result};

/// Gateways and issuance replicas apply a change within this. What they open or close by must not
/// change when they may act on it before that: such a campaign has begun, or closed, already.
pub const APPLIED_WITHIN: Duration = Duration::from_secs(2);
/// The shortest time from the opening to the end that the database keeps.
const SHORTEST: Duration = Duration::from_micros(1);

/// What a campaign is to be, as in [`CampaignTerms`]; what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CampaignUpdate {
    pub display_name: Option<Option<DisplayName>>,
    pub description: Option<Option<Description>>,
    pub limit_per_shopper: Option<LimitPerShopper>,
    pub opens_at: Option<Timestamp>,
    pub closes_at: Option<Timestamp>,
    pub coupon_validity: Option<Duration>,
    pub tiers: Option<Vec<Tier>>,
}

/// What has happened to a campaign, so far as it decides what may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateFacts {
    /// Whether any of its stock was ever lent: coupons may have been issued, or be, without telling
    /// quota.
    pub was_lent: bool,
    pub has_added_budget: bool,
    /// Whether anybody ever waited for it. Tickets name tiers by their places.
    pub has_queue: bool,
}

impl Campaign {
    /// The terms that a wish to change it makes of it at `now`; `None` if these are its terms.
    pub fn update(
        &self,
        wanted: CampaignUpdate,
        facts: UpdateFacts,
        now: Timestamp,
    ) -> Result<Option<CampaignTerms>> {
        let old = &self.terms;
        let new = wanted.of(old);
        if new == *old {
            return Ok(None);
        }
        let moves_end = new.closes_at != old.closes_at;
        if self.is_over(now) || moves_end && self.is_over(now + APPLIED_WITHIN) {
            return Err(QuotaError::CampaignClosed);
        }
        let fields = promised(old, &new, facts, now);
        let invalid = |what| Err(QuotaError::invalid_field("closes_at", what));
        if !fields.is_empty() {
            Err(QuotaError::CampaignBegun { fields })
        } else if moves_end && new.closes_at < now {
            invalid("must not be before now")
        } else if new.closes_at <= new.opens_at {
            invalid("must be after opens_at")
        } else {
            Ok(Some(new))
        }
    }

    /// Its terms if it ends at `now` for good: it closes no later than it would, and opened before that. `None` if staff have ended it before.
    pub fn end(&self, now: Timestamp) -> Option<CampaignTerms> {
        let closes_at = self.terms.closes_at.min(now);
        self.ended_at.is_none().then(|| CampaignTerms {
            opens_at: self.terms.opens_at.min(closes_at - SHORTEST),
            closes_at,
            ..self.terms.clone()
        })
    }

    /// Whether nothing is granted of it any more at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ended_at.is_some() || self.terms.closes_at <= now
    }
}

impl CampaignUpdate {
    fn of(self, old: &CampaignTerms) -> CampaignTerms {
        let old = old.clone();
        CampaignTerms {
            tiers: self.tiers.unwrap_or(old.tiers),
            limit_per_shopper: self.limit_per_shopper.unwrap_or(old.limit_per_shopper),
            opens_at: self.opens_at.unwrap_or(old.opens_at),
            closes_at: self.closes_at.unwrap_or(old.closes_at),
            coupon_validity: self.coupon_validity.unwrap_or(old.coupon_validity),
            display_name: self.display_name.unwrap_or(old.display_name),
            description: self.description.unwrap_or(old.description),
            ..old
        }
    }
}

/// The fields that would change and must not any more. A replica of issuance that has a lease goes on
/// with the terms it knows, whether or not it has others: then everything was promised.
fn promised(
    old: &CampaignTerms,
    new: &CampaignTerms,
    facts: UpdateFacts,
    now: Timestamp,
) -> Vec<&'static str> {
    let has_begun = facts.was_lent || old.opens_at <= now + APPLIED_WITHIN;
    let has_other_ids =
        !(old.tiers.iter().map(|tier| &tier.id)).eq(new.tiers.iter().map(|tier| &tier.id));
    // With added budget it would not be clear what of the stock is new, and added budget is kept.
    let has_tiers = has_begun || facts.has_added_budget || facts.has_queue && has_other_ids;
    let lowers_limit = new.limit_per_shopper < old.limit_per_shopper;
    let moves_validity = new.coupon_validity != old.coupon_validity;
    [
        ("limit_per_shopper", has_begun && lowers_limit),
        ("opens_at", has_begun && new.opens_at != old.opens_at),
        ("coupon_validity", has_begun && moves_validity),
        ("tiers", has_tiers && new.tiers != old.tiers),
    ]
    .into_iter()
    .filter_map(|(field, is_promised)| is_promised.then_some(field))
    .collect()
}

#[cfg(test)]
mod tests;
