//! What staff may change of a campaign, and how it ends. What shoppers were promised stays.

use std::time::Duration;

use tidegate_types::{LimitPerShopper, Timestamp};

use super::{Campaign, CampaignTerms, Description, DisplayName, Tier};

/// Gateways and issuance replicas apply a change within this. What they open or close by must not
/// change when they may act on it before that: such a campaign has begun, or closed, already.
pub const APPLIED_WITHIN: Duration = Duration::from_secs(2);
/// The shortest time from the opening to the end that the database keeps.
const SHORTEST: Duration = Duration::from_micros(1);

/// What a campaign is to be; what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CampaignUpdate {
    /// What people call it, if they are to call it anything.
    pub display_name: Option<Option<DisplayName>>,
    /// What staff say of it, if anything.
    pub description: Option<Option<Description>>,
    /// How many coupons one shopper may hold.
    pub limit_per_shopper: Option<LimitPerShopper>,
    /// When claims begin to be served; whole microseconds.
    pub opens_at: Option<Timestamp>,
    /// When they are refused; whole microseconds.
    pub closes_at: Option<Timestamp>,
    /// How long a coupon can be used; whole seconds.
    pub coupon_validity: Option<Duration>,
    /// All tiers.
    pub tiers: Option<Vec<Tier>>,
}

/// What has happened to a campaign, so far as it decides what may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateFacts {
    /// Whether any of its stock was ever lent: coupons may have been issued, or be, without telling
    /// quota.
    pub was_lent: bool,
    /// Whether budget was ever added to one of its tiers.
    pub has_added_budget: bool,
    /// Whether anybody ever waited for it. Tickets name tiers by their places.
    pub has_queue: bool,
}

/// What is left to do about a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// These are the terms from now on.
    Now(CampaignTerms),
    /// Nothing: that is what the campaign is.
    Before,
}

/// Why a campaign is not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotUpdated {
    /// It has begun, and these fields were promised.
    Begun {
        /// Their names in the contract.
        fields: Vec<&'static str>,
    },
    Closed,
    /// A field cannot be so.
    Invalid {
        /// Its name in the contract.
        field: &'static str,
        /// A sentence that fits behind the name.
        description: &'static str,
    },
}

/// The moments of a campaign that is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Earlier than it was, if it had not opened yet.
    pub opens_at: Timestamp,
    /// Not later than it was.
    pub closes_at: Timestamp,
    pub ended_at: Timestamp,
}

impl Campaign {
    /// What a wish to change it means at `now`.
    pub fn update(
        &self,
        wanted: CampaignUpdate,
        facts: UpdateFacts,
        now: Timestamp,
    ) -> Result<Update, NotUpdated> {
        let old = &self.terms;
        let new = wanted.of(old);
        if new == *old {
            return Ok(Update::Before);
        }
        let moves_end = new.closes_at != old.closes_at;
        if self.is_over(now) || moves_end && self.is_over(now + APPLIED_WITHIN) {
            return Err(NotUpdated::Closed);
        }
        let fields = promised(old, &new, facts, now);
        if !fields.is_empty() {
            return Err(NotUpdated::Begun { fields });
        }
        let invalid = |description| NotUpdated::Invalid {
            field: "closes_at",
            description,
        };
        if moves_end && new.closes_at < now {
            return Err(invalid("must not be before now"));
        }
        if new.closes_at <= new.opens_at {
            return Err(invalid("must be after opens_at"));
        }
        Ok(Update::Now(new))
    }

    /// Its moments if it ends at `now` for good; `None` if staff have ended it before.
    pub fn end(&self, now: Timestamp) -> Option<End> {
        if self.ended_at.is_some() {
            return None;
        }
        let closes_at = self.terms.closes_at.min(now);
        Some(End {
            opens_at: self.terms.opens_at.min(closes_at - SHORTEST),
            closes_at,
            ended_at: now,
        })
    }

    /// Whether nothing is granted of it any more at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ended_at.is_some() || self.terms.closes_at <= now
    }
}

impl CampaignUpdate {
    fn of(self, old: &CampaignTerms) -> CampaignTerms {
        CampaignTerms {
            id: old.id.clone(),
            currency: old.currency,
            tiers: self.tiers.unwrap_or_else(|| old.tiers.clone()),
            limit_per_shopper: self.limit_per_shopper.unwrap_or(old.limit_per_shopper),
            opens_at: self.opens_at.unwrap_or(old.opens_at),
            closes_at: self.closes_at.unwrap_or(old.closes_at),
            coupon_validity: self.coupon_validity.unwrap_or(old.coupon_validity),
            display_name: self
                .display_name
                .unwrap_or_else(|| old.display_name.clone()),
            description: self.description.unwrap_or_else(|| old.description.clone()),
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
    let ids = |terms: &CampaignTerms| -> Vec<_> {
        terms.tiers.iter().map(|tier| tier.id.clone()).collect()
    };
    // With added budget it would not be clear what of the stock is new, and added budget is kept.
    let are_tiers_fixed =
        has_begun || facts.has_added_budget || facts.has_queue && ids(new) != ids(old);
    [
        (
            "limit_per_shopper",
            has_begun && new.limit_per_shopper < old.limit_per_shopper,
        ),
        ("opens_at", has_begun && new.opens_at != old.opens_at),
        (
            "coupon_validity",
            has_begun && new.coupon_validity != old.coupon_validity,
        ),
        ("tiers", are_tiers_fixed && new.tiers != old.tiers),
    ]
    .into_iter()
    .filter_map(|(field, is_promised)| is_promised.then_some(field))
    .collect()
}

#[cfg(test)]
mod tests;
