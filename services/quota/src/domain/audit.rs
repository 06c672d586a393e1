//! Comparing quota's books of a campaign with issuance's leases and coupons.
//!
//! Nothing stands still meanwhile, so each comparison is of things that cannot differ whatever happens between the readings; the order of the readings is part of that. See [`Audit`].

use tidegate_types::{Lane, TierNumber};
use uuid::Uuid;

use super::{TierCounts, TierStock};

/// Differences that are described; the rest are counted.
pub const MAX_DIFFERENCES_DESCRIBED: usize = 100;

/// One tier in quota's books, all of it at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TierBooks {
    /// All there is.
    pub stock: u64,
    /// Where it is said to be.
    pub at: TierStock,
    /// What was granted of it to leases that are not settled.
    pub granted_unsettled: u64,
    /// What was used of it by leases that are.
    pub used_settled: u64,
}

/// One lease in quota's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseBooks {
    /// Which.
    pub lease_id: Uuid,
    /// The lane it may be spent on.
    pub lane: Lane,
    /// What was granted.
    pub granted: TierCounts,
    /// What was used of it, once it is settled.
    pub used: Option<TierCounts>,
}

/// How a lease stands at issuance that was installed there, or sealed before it could be: then it holds nothing and nothing is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FencedLease {
    /// Whether nothing can be spent from it any more.
    pub is_sealed: bool,
    /// What was installed.
    pub granted: TierCounts,
    /// What has been spent.
    pub used: TierCounts,
}

/// A lease whose coupons are not as many as it says were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseMismatch {
    /// Which.
    pub lease_id: Uuid,
    /// Of which tier.
    pub tier: TierNumber,
    /// What the lease says.
    pub used: u64,
    /// How many coupons name it.
    pub coupons: u64,
}

/// The coupons of a campaign at issuance, each lane at an instant of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CouponBooks {
    /// All there are.
    pub coupons: TierCounts,
    /// Of them, coupons on leases that are not sealed.
    pub on_live_leases: TierCounts,
    /// What issuance itself found wrong.
    pub mismatches: Vec<LeaseMismatch>,
}

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// Quota's books with themselves.
    Stock,
    /// A settled lease with what issuance sealed.
    SettledLease,
    /// A lease that is not settled with what issuance installed.
    LiveLease,
    /// A lease's `used` with its coupons, by issuance.
    LeaseCoupons,
    /// The number of coupons with what leases can have used.
    Coupons,
    /// The number of coupons with the stock.
    Oversold,
}

impl DifferenceKind {
    /// The name callers are told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::SettledLease => "settled_lease",
            Self::LiveLease => "live_lease",
            Self::LeaseCoupons => "lease_coupons",
            Self::Coupons => "coupons",
            Self::Oversold => "oversold",
        }
    }
}

/// Something that does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What was compared.
    pub kind: DifferenceKind,
    /// In words, with the numbers.
    pub description: String,
}

/// One tier in the books of quota, as read last, and of issuance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierAudit {
    /// Where quota says the stock is.
    pub at: TierStock,
    /// All there is.
    pub stock: u64,
    /// Coupons there are.
    pub coupons: u64,
    /// Of them, coupons on leases that are not sealed.
    pub coupons_on_live_leases: u64,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// The books, in the campaign's order.
    pub tiers: Vec<TierAudit>,
    /// The first [`MAX_DIFFERENCES_DESCRIBED`]; empty if the books are sound.
    pub differences: Vec<Difference>,
    /// How many there are in all.
    pub difference_count: u64,
    /// Leases compared one by one.
    pub leases: u64,
}

/// An audit under way. Quota's books are read before issuance's coupons and again after them, and each lease is read at quota before it is read at issuance.
pub struct Audit {
    tiers: Vec<TierAudit>,
    differences: Vec<Difference>,
    difference_count: u64,
    leases: u64,
}

impl Audit {
    /// Begins with the tiers: quota's books before and after the coupons were counted.
    pub fn of_tiers(before: &[TierBooks], coupons: &CouponBooks, after: &[TierBooks]) -> Self {
        let mut audit = Self {
            tiers: Vec::with_capacity(after.len()),
            differences: Vec::new(),
            difference_count: 0,
            leases: 0,
        };
        let counts = coupons.coupons.iter().zip(coupons.on_live_leases.iter());
        for ((before, after), ((tier, count), (_, on_live_leases))) in
            before.iter().zip(after).zip(counts)
        {
            audit.compare_books(tier, before);
            audit.compare_coupons(tier, before, count, after);
            audit.tiers.push(TierAudit {
                at: after.at,
                stock: after.stock,
                coupons: count,
                coupons_on_live_leases: on_live_leases,
            });
        }
        for mismatch in &coupons.mismatches {
            let LeaseMismatch {
                lease_id,
                tier,
                used,
                coupons,
            } = mismatch;
            audit.note(DifferenceKind::LeaseCoupons, || {
                format!("lease {lease_id} says that {used} of tier {tier} were used, and {coupons} coupons name it")
            });
        }
        audit
    }

    /// Compares one lease with how it stood at issuance later; `None` if issuance does not know it.
    pub fn lease(&mut self, books: &LeaseBooks, fenced: Option<&FencedLease>) {
        self.leases += 1;
        match &books.used {
            Some(used) => self.compare_settled(books.lease_id, used, fenced),
            None => self.compare_live(books.lease_id, &books.granted, fenced),
        }
    }

    /// What was found.
    pub fn report(self) -> AuditReport {
        AuditReport {
            tiers: self.tiers,
            differences: self.differences,
            difference_count: self.difference_count,
            leases: self.leases,
        }
    }

    fn compare_books(&mut self, tier: TierNumber, books: &TierBooks) {
        let TierStock {
            free,
            leased,
            settled,
        } = books.at;
        if books.at.stock() != books.stock {
            let stock = books.stock;
            self.note(DifferenceKind::Stock, || {
                format!("tier {tier} has {free} free, {leased} on lease and {settled} settled, which is not its stock of {stock}")
            });
        }
        for (name, said, found) in [
            ("on lease", leased, books.granted_unsettled),
            ("settled", settled, books.used_settled),
        ] {
            if said != found {
                self.note(DifferenceKind::Stock, || {
                    format!("tier {tier} has {said} {name}, and its leases add up to {found}")
                });
            }
        }
    }

    /// Between the two readings of quota's books each lane's coupons were counted once.
    ///
    /// At least what had been settled before: a lease is settled only after its seal was committed, its coupons were committed with what it used, and no coupon is ever deleted.
    ///
    /// At most what is settled or on lease after: every coupon counted was committed under a lease that quota had granted by then. If that lease is settled now, its coupons are all in `settled`, since
    /// a seal is final; if not, they are at most what it was granted, which is in `leased`. What was given back to the pool in between was never used, so it counts on neither side.
    fn compare_coupons(
        &mut self,
        tier: TierNumber,
        before: &TierBooks,
        coupons: u64,
        after: &TierBooks,
    ) {
        let least = before.at.settled;
        let most = after.at.settled + after.at.leased;
        if coupons < least || coupons > most {
            self.note(DifferenceKind::Coupons, || {
                format!(
                    "tier {tier} has {coupons} coupons, and its leases allow from {least} to {most}"
                )
            });
        }
        if coupons > after.stock {
            let stock = after.stock;
            self.note(DifferenceKind::Oversold, || {
                format!("tier {tier} has {coupons} coupons and a stock of {stock}")
            });
        }
    }

    /// A settled lease was sealed before, and a sealed one never changes again: the counts are equal whenever issuance is read.
    fn compare_settled(
        &mut self,
        lease_id: Uuid,
        settled: &TierCounts,
        fenced: Option<&FencedLease>,
    ) {
        let Some(fenced) = fenced else {
            // What was sealed is known for ever, so only a lease of which nothing was used can be missing.
            if settled.total() > 0 {
                let total = settled.total();
                self.note(DifferenceKind::SettledLease, || {
                    format!("lease {lease_id} was settled with {total} used, and issuance does not know it")
                });
            }
            return;
        };
        if !fenced.is_sealed {
            self.note(DifferenceKind::SettledLease, || {
                format!("lease {lease_id} is settled, and issuance has not sealed it")
            });
            return;
        }
        for ((tier, settled), (_, used)) in settled.iter().zip(fenced.used.iter()) {
            if settled != used {
                self.note(DifferenceKind::SettledLease, || {
                    format!("lease {lease_id} was settled with {settled} of tier {tier} used, and issuance says {used}")
                });
            }
        }
    }

    /// A lease that was not settled when quota was read may be anything at issuance by now; but what it holds there is what was granted, or nothing if it was sealed before it arrived.
    fn compare_live(&mut self, lease_id: Uuid, lent: &TierCounts, fenced: Option<&FencedLease>) {
        let Some(FencedLease {
            is_sealed,
            granted,
            used,
        }) = fenced
        else {
            return;
        };
        let is_tombstone = *is_sealed && granted.total() == 0;
        for ((tier, lent), ((_, granted), (_, used))) in
            lent.iter().zip(granted.iter().zip(used.iter()))
        {
            if lent != granted && !is_tombstone {
                self.note(DifferenceKind::LiveLease, || {
                    format!("lease {lease_id} was granted {lent} of tier {tier}, and issuance installed {granted}")
                });
            }
            if used > lent {
                self.note(DifferenceKind::LiveLease, || {
                    format!("lease {lease_id} was granted {lent} of tier {tier}, and issuance has used {used}")
                });
            }
        }
    }

    fn note(&mut self, kind: DifferenceKind, describe: impl FnOnce() -> String) {
        self.difference_count += 1;
        if self.differences.len() < MAX_DIFFERENCES_DESCRIBED {
            self.differences.push(Difference {
                kind,
                description: describe(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
