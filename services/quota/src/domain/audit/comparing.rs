use tidegate_types::TierNumber;
use uuid::Uuid;

use super::{
    AuditReport, CouponBooks, Coverage, Difference, DifferenceKind, FencedLease, LeaseBooks,
    LeaseMismatch, MAX_DIFFERENCES_DESCRIBED, PassSums, TierAudit, TierBooks,
};
use crate::domain::{TierCounts, TierStock, stock::tiers};

/// An audit under way: quota's books first, then leases from the newest downwards, page by page, then quota's books again. Each lease is read at quota before it and its coupons are read at issuance.
#[derive(Default)]
pub struct Audit {
    sums: PassSums,
    on_live_leases: TierCounts,
    oldest_lease: Option<Uuid>,
    differences: Vec<Difference>,
    difference_count: u64,
}

impl Audit {
    /// Begins with quota's books before any lease is read. `is_closed` tells whether the campaign grants nothing any more.
    pub fn begin(before: &[TierBooks], is_closed: bool) -> Self {
        let is_nothing_leased = before.iter().all(|books| books.at.leased == 0);
        let mut audit = Self::default();
        audit.sums.is_final = is_closed && is_nothing_leased;
        for (tier, books) in tiers().zip(before) {
            audit.sums.settled_before.set(tier, books.at.settled);
            audit.compare_books(tier, books);
        }
        audit
    }

    pub fn resume(sums: PassSums) -> Self {
        Self {
            sums,
            ..Self::default()
        }
    }

    /// Takes in a page of leases as quota had them, how they stood at issuance later (`None` if issuance does not know one), and the coupons there of all leases between the page before and the end of this one.
    pub fn page(
        &mut self,
        leases: &[LeaseBooks],
        fenced: &[Option<FencedLease>],
        coupons: &CouponBooks,
    ) {
        for (books, fenced) in leases.iter().zip(fenced) {
            self.lease(books, fenced.as_ref());
        }
        self.sums.coupons = self.sums.coupons.plus(&coupons.coupons);
        self.on_live_leases = self.on_live_leases.plus(&coupons.on_live_leases);
        for mismatch in &coupons.mismatches {
            let LeaseMismatch {
                lease_id,
                tier,
                used,
                coupons,
            } = mismatch;
            self.hold(false, DifferenceKind::LeaseCoupons, || {
                format!("lease {lease_id} says that {used} of tier {tier} were used, and {coupons} coupons name it")
            });
        }
        let (over, twice) = (coupons.shoppers_over_limit, coupons.shoppers_paying_twice);
        self.hold(over == 0, DifferenceKind::ShopperLimit, || {
            format!("{over} shoppers hold more coupons than the campaign allows")
        });
        self.hold(twice == 0, DifferenceKind::RedeemedOnce, || {
            format!("{twice} shoppers have several coupons that pay for one and the same order")
        });
    }

    /// What has been added up, for [`Audit::resume`].
    pub fn sums(&self) -> PassSums {
        self.sums
    }

    /// Ends with quota's books after the last page. `coverage` says how far the pages went.
    pub fn report(mut self, after: &[TierBooks], coverage: Coverage) -> AuditReport {
        let mut told = Vec::with_capacity(after.len());
        for (tier, books) in tiers().zip(after) {
            let coupons = self.sums.coupons.get(tier);
            if coverage.is_complete && !coverage.leases_forgotten {
                self.compare_pass(tier, books);
            }
            let stock = books.stock;
            self.hold(coupons <= stock, DifferenceKind::Oversold, || {
                format!("tier {tier} has {coupons} coupons and a stock of {stock}")
            });
            told.push(TierAudit {
                at: books.at,
                stock: books.stock,
                coupons,
                coupons_on_live_leases: self.on_live_leases.get(tier),
            });
        }
        AuditReport {
            tiers: told,
            differences: self.differences,
            difference_count: self.difference_count,
            coverage: Coverage {
                leases: self.sums.leases,
                oldest_lease: self.oldest_lease,
                ..coverage
            },
            sums: self.sums,
        }
    }

    /// Ends the audit of a campaign whose leases are forgotten with what issuance keeps of them: their sums.
    pub fn report_forgotten(
        mut self,
        after: &[TierBooks],
        archived_used: &TierCounts,
        coverage: Coverage,
    ) -> AuditReport {
        for (tier, books) in tiers().zip(after) {
            let (settled, used) = (books.at.settled, archived_used.get(tier));
            self.hold(settled == used, DifferenceKind::SettledLease, || {
                format!("tier {tier} was settled with {settled} used, and issuance says {used}")
            });
        }
        self.sums.coupons = *archived_used;
        self.report(after, coverage)
    }

    fn lease(&mut self, books: &LeaseBooks, fenced: Option<&FencedLease>) {
        self.sums.leases += 1;
        self.oldest_lease = Some(books.lease_id);
        match &books.used {
            Some(used) => {
                self.sums.settled_used = self.sums.settled_used.plus(used);
                self.compare_settled(books.lease_id, used, fenced);
            }
            None => self.compare_live(books.lease_id, &books.granted, fenced),
        }
    }

    fn compare_books(&mut self, tier: TierNumber, books: &TierBooks) {
        let TierStock {
            free,
            leased,
            settled,
        } = books.at;
        let stock = books.stock;
        self.hold(books.at.stock() == stock, DifferenceKind::Stock, || {
            format!("tier {tier} has {free} free, {leased} on lease and {settled} settled, which is not its stock of {stock}")
        });
        for (name, said, found) in [
            ("on lease", leased, books.granted_unsettled),
            ("settled", settled, books.used_settled),
        ] {
            self.hold(said == found, DifferenceKind::Stock, || {
                format!("tier {tier} has {said} {name}, and its leases add up to {found}")
            });
        }
    }

    /// Between the two readings of quota's books each lease was read once, and each coupon was counted at most once, however long that took.
    ///
    /// At least what had been settled before: a lease is settled only after its seal was committed, its coupons were committed with what it used, and neither is ever deleted while the campaign is not retired.
    ///
    /// At most what is settled or on lease after: every coupon counted was committed under a lease that quota had granted by then. If that lease is settled now, its coupons are all in `settled`, since
    /// a seal is final; if not, they are at most what it was granted, which is in `leased`. What was given back to the pool in between was never used, so it counts on neither side.
    fn compare_pass(&mut self, tier: TierNumber, after: &TierBooks) {
        let (least, settled) = (self.sums.settled_before.get(tier), after.at.settled);
        let used = self.sums.settled_used.get(tier);
        // Where the sums differ already, the leases one by one say nothing new.
        let adds_up = settled != after.used_settled || (least..=settled).contains(&used);
        self.hold(adds_up, DifferenceKind::Stock, || {
            format!("the settled leases of tier {tier} have used {used} one by one, and from {least} to {settled} in sum")
        });
        let (coupons, most) = (self.sums.coupons.get(tier), settled + after.at.leased);
        let is_allowed = (least..=most).contains(&coupons);
        self.hold(is_allowed, DifferenceKind::Coupons, || {
            format!(
                "tier {tier} has {coupons} coupons, and its leases allow from {least} to {most}"
            )
        });
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
            let total = settled.total();
            return self.hold(total == 0, DifferenceKind::SettledLease, || {
                format!(
                    "lease {lease_id} was settled with {total} used, and issuance does not know it"
                )
            });
        };
        if !fenced.is_sealed {
            return self.hold(false, DifferenceKind::SettledLease, || {
                format!("lease {lease_id} is settled, and issuance has not sealed it")
            });
        }
        for (tier, settled) in settled.iter() {
            let used = fenced.used.get(tier);
            self.hold(settled == used, DifferenceKind::SettledLease, || {
                format!("lease {lease_id} was settled with {settled} of tier {tier} used, and issuance says {used}")
            });
        }
    }

    /// A lease that was not settled when quota was read may be anything at issuance by now; but what it holds there is what was granted, or nothing if it was sealed before it arrived.
    fn compare_live(&mut self, lease_id: Uuid, lent: &TierCounts, fenced: Option<&FencedLease>) {
        let Some(fenced) = fenced else {
            return;
        };
        let is_tombstone = fenced.is_sealed && fenced.granted.total() == 0;
        for (tier, lent) in lent.iter() {
            let (granted, used) = (fenced.granted.get(tier), fenced.used.get(tier));
            let is_installed = lent == granted || is_tombstone;
            self.hold(is_installed, DifferenceKind::LiveLease, || {
                format!("lease {lease_id} was granted {lent} of tier {tier}, and issuance installed {granted}")
            });
            self.hold(used <= lent, DifferenceKind::LiveLease, || {
                format!("lease {lease_id} was granted {lent} of tier {tier}, and issuance has used {used}")
            });
        }
    }

    /// Notes a difference unless something holds that has to.
    fn hold(&mut self, holds: bool, kind: DifferenceKind, describe: impl FnOnce() -> String) {
        if holds {
            return;
        }
        self.difference_count += 1;
        self.sums.differences += 1;
        if self.differences.len() < MAX_DIFFERENCES_DESCRIBED {
            self.differences.push(Difference {
                kind,
                description: describe(),
            });
        }
    }
}
