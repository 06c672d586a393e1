use tidegate_types::{CampaignNumber, Lane, ReplicaId};
use uuid::Uuid;

use super::{TierCounts, TierStock};
use crate::error::{QuotaError, Result};

/// A lease is one of so many parts of an equal share: the rest is for those that ask next, so that
/// leases shrink towards 1 as the pool drains and the last coupons are not stranded with one holder.
const PARTS_OF_A_SHARE: u64 = 2;

/// What a replica asks for. Two requests with the same lease id are the same request if all of it is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    pub lease_id: Uuid,
    pub campaign: CampaignNumber,
    pub holder: ReplicaId,
    pub lane: Lane,
    pub wanted: TierCounts,
    /// Wanted of whichever tier comes first and has stock.
    pub wanted_of_any_tier: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub request: LeaseRequest,
    pub granted: TierCounts,
    pub used: Option<TierCounts>,
    /// Whether it is archived, so that what was wanted of which tier is no longer known.
    pub is_archived: bool,
}

named!(
    SealedBecause {
        Returned = "RETURNED",
        Silent = "SILENT",
        Halted = "HALTED",
        Closed = "CLOSED",
    }
);

/// Whether stock can be had, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Availability {
    /// Some was granted, or is free.
    Granted,
    /// Nothing is free, but leases may return some.
    Returning,
    /// Nothing is free and nothing is on lease.
    SoldOut,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseAnswer {
    /// What it holds now; nothing if there is no lease.
    pub granted: TierCounts,
    pub availability: Availability,
    /// How each tier stands, in the campaign's order.
    pub tier_availability: Vec<Availability>,
}

/// Divides what is free: for each tier at most what is wanted, at most half of an equal share with
/// the `others` that have leases, and at least 1 if any is free and wanted. A fixed part would be
/// given out one small lease after the other where nobody else asks.
///
/// What is wanted of any tier comes from the first tier that has stock and from no other, even if that gives less than is wanted: a later tier is not begun before an earlier one is empty.
pub fn grant(
    wanted: &TierCounts,
    wanted_of_any_tier: u64,
    tiers: &[TierStock],
    others: u64,
) -> TierCounts {
    let largest_lease = |stock: &TierStock| {
        let parts = others.saturating_add(1).saturating_mul(PARTS_OF_A_SHARE);
        stock.free.div_ceil(parts)
    };
    let mut granted = TierCounts::default();
    for ((tier, quantity), stock) in wanted.iter().zip(tiers) {
        granted.set(tier, quantity.min(largest_lease(stock)));
    }
    let first_in_stock = granted
        .iter()
        .zip(tiers)
        .find(|((_, taken), stock)| stock.free > *taken);
    if let Some(((tier, taken), stock)) = first_in_stock {
        let left = largest_lease(stock) - taken;
        granted.set(tier, taken + wanted_of_any_tier.min(left));
    }
    granted
}

impl LeaseAnswer {
    /// The answer to a request that was granted this much, with the stock as it is afterwards.
    pub fn new(request: &LeaseRequest, granted: TierCounts, tiers: &[TierStock]) -> Self {
        let tier_availability: Vec<_> = granted
            .iter()
            .zip(tiers)
            .map(|((_, granted), stock)| match stock {
                _ if granted > 0 => Availability::Granted,
                TierStock { free: 1.., .. } => Availability::Granted,
                TierStock { leased: 1.., .. } => Availability::Returning,
                _ => Availability::SoldOut,
            })
            .collect();
        let asked = request.wanted.iter().zip(&tier_availability);
        let best = asked
            .filter(|((_, wanted), _)| *wanted > 0 || request.wanted_of_any_tier > 0)
            .map(|(_, availability)| *availability)
            .min();
        let availability = match best {
            _ if granted.total() > 0 => Availability::Granted,
            best => best.unwrap_or(Availability::SoldOut),
        };
        Self {
            granted,
            availability,
            tier_availability,
        }
    }

    /// The answer while staff hold issuing back: nothing is granted, and nobody is turned away for good.
    pub fn held_back(tiers: &[TierStock]) -> Self {
        Self {
            granted: TierCounts::default(),
            availability: Availability::Returning,
            tier_availability: vec![Availability::Returning; tiers.len()],
        }
    }
}

/// What is left to do about a lease that is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    Now,
    /// Nothing: it was settled before with the same counts.
    Before,
}

impl Lease {
    /// Whether a request is the one that this lease was granted for.
    pub fn is_for(&self, request: &LeaseRequest) -> bool {
        let known = LeaseRequest {
            wanted: if self.is_archived {
                request.wanted
            } else {
                self.request.wanted
            },
            ..self.request.clone()
        };
        known == *request
    }

    pub fn settle(&self, used: &TierCounts) -> Result<Settlement> {
        if let Some((tier, _)) = used
            .iter()
            .find(|(tier, used)| *used > self.granted.get(*tier))
        {
            let granted = self.granted.get(tier);
            let most =
                format!("must be at most {granted} of tier {tier}, which is what was granted");
            return Err(QuotaError::invalid_field("used", most));
        }
        match &self.used {
            None => Ok(Settlement::Now),
            Some(before) if before == used => Ok(Settlement::Before),
            Some(_) => Err(QuotaError::LeaseSettledOtherwise),
        }
    }
}

#[cfg(test)]
mod tests;
