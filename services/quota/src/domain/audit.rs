//! Comparing quota's books of a campaign with issuance's leases and coupons.
//!
//! Nothing stands still meanwhile, so each comparison is of things that cannot differ whatever happens between the readings; the order of the readings is part of that. See [`Audit`]. A report speaks of
//! what it covered and of nothing else.

use tidegate_types::{Lane, TierNumber, Timestamp};
use uuid::Uuid;

use super::{TierCounts, TierStock};

/// Differences that are described; the rest are counted.
pub const MAX_DIFFERENCES_DESCRIBED: usize = 100;

/// One tier in quota's books, all of it at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierBooks {
    pub stock: u64,
    pub at: TierStock,
    /// What was granted of it to leases that are not settled.
    pub granted_unsettled: u64,
    /// What was used of it by leases that are, archived or not.
    pub used_settled: u64,
    /// Leases of which this is the first tier they hold: of all tiers together, all there are.
    pub leases: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseBooks {
    pub lease_id: Uuid,
    pub lane: Lane,
    pub granted: TierCounts,
    /// What was used of it, once it is settled.
    pub used: Option<TierCounts>,
}

/// How a lease stands at issuance that was installed there, or sealed before it could be: then it holds nothing and nothing is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FencedLease {
    pub is_sealed: bool,
    pub granted: TierCounts,
    pub used: TierCounts,
}

/// A lease whose coupons are not as many as it says were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseMismatch {
    pub lease_id: Uuid,
    pub tier: TierNumber,
    pub used: u64,
    pub coupons: u64,
}

/// The coupons of a range of a campaign's leases at issuance, each lane at an instant of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CouponBooks {
    pub coupons: TierCounts,
    /// Of them, coupons on leases that are not sealed.
    pub on_live_leases: TierCounts,
    pub mismatches: Vec<LeaseMismatch>,
    /// Shoppers of the range who hold more coupons of the campaign than its limit.
    pub shoppers_over_limit: u64,
    /// Shoppers of the range of whose coupons several pay for one order.
    pub shoppers_paying_twice: u64,
    /// What all archived leases of the campaign used, whatever the range.
    pub archived_used: TierCounts,
}

impl CouponBooks {
    pub fn add(&mut self, other: Self) {
        self.coupons = self.coupons.plus(&other.coupons);
        self.on_live_leases = self.on_live_leases.plus(&other.on_live_leases);
        self.mismatches.extend(other.mismatches);
        self.shoppers_over_limit += other.shoppers_over_limit;
        self.shoppers_paying_twice += other.shoppers_paying_twice;
        self.archived_used = self.archived_used.plus(&other.archived_used);
    }
}

named!(
    DifferenceKind {
        Stock = "stock",
        /// A settled lease with what issuance sealed.
        SettledLease = "settled_lease",
        /// A lease that is not settled with what issuance installed.
        LiveLease = "live_lease",
        /// A lease's `used` with its coupons, by issuance.
        LeaseCoupons = "lease_coupons",
        /// The number of coupons with what leases can have used.
        Coupons = "coupons",
        /// The number of coupons with the stock.
        Oversold = "oversold",
        /// What a shopper holds with the campaign's limit.
        ShopperLimit = "shopper_limit",
        /// The coupons that pay for an order, which must be one.
        RedeemedOnce = "redeemed_once",
    }
);
named!(
    AuditOutcome {
        Sound = "sound",
        Different = "different",
        /// What was covered is sound; the rest was not looked at this time.
        Partial = "partial",
        Failed = "failed",
    }
);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub kind: DifferenceKind,
    pub description: String,
}

/// One tier in the books of quota, as read last, and of issuance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierAudit {
    pub at: TierStock,
    pub stock: u64,
    pub coupons: u64,
    /// Of them, coupons on leases that are not sealed.
    pub coupons_on_live_leases: u64,
}

/// What an audit went over, and what it left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Leases compared one by one, the newest first.
    pub leases: u64,
    pub leases_left_out: u64,
    pub oldest_lease: Option<Uuid>,
    /// Whether every lease was compared, and with them every coupon.
    pub is_complete: bool,
    /// Whether the campaign is retired, so that only sums are left to compare.
    pub leases_forgotten: bool,
    pub last_complete_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    pub tiers: Vec<TierAudit>,
    /// The first [`MAX_DIFFERENCES_DESCRIBED`]; empty if what was covered is sound.
    pub differences: Vec<Difference>,
    pub difference_count: u64,
    pub coverage: Coverage,
    /// What it has added up, and an interrupted pass before it.
    pub sums: PassSums,
}

impl AuditReport {
    pub fn outcome(&self) -> AuditOutcome {
        match (self.difference_count, self.coverage.is_complete) {
            (0, true) => AuditOutcome::Sound,
            (0, false) => AuditOutcome::Partial,
            _ => AuditOutcome::Different,
        }
    }
}

/// What a pass over the leases of a campaign has added up so far. It may take days: leases are compared newest first, page by page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PassSums {
    pub leases: u64,
    pub differences: u64,
    pub settled_before: TierCounts,
    /// What the settled leases that were compared have used.
    pub settled_used: TierCounts,
    pub coupons: TierCounts,
    /// Whether the campaign had closed and had nothing on lease when the pass began.
    pub is_final: bool,
}

mod comparing;

pub use comparing::Audit;

#[cfg(test)]
mod tests;
