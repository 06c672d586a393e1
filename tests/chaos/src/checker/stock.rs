//! Coupons against stock, and every lease on both sides.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{Check, books::TierBooks};
use crate::findings::Count;

impl Check<'_> {
    /// Checks what was issued and the books of it.
    pub fn stock(&mut self) {
        let facts = self.subject.facts;
        let mut issued: BTreeMap<i16, i64> = BTreeMap::new();
        for coupon in &facts.coupons {
            *issued.entry(coupon.tier_number).or_default() += 1;
        }
        for tier in &facts.tiers {
            self.tier(tier, issued.remove(&tier.tier_number).unwrap_or(0));
            self.sums(tier);
        }
        for (tier_number, coupons) in issued {
            let example = format!("{coupons} coupons of a tier {tier_number} that does not exist");
            self.found(Count::IssuedBeyondStock, coupons as u64, example);
        }
        self.leases();
    }

    fn tier(&mut self, tier: &TierBooks, coupons: i64) {
        let (tier_id, stock) = (&tier.tier_id, tier.stock);
        let example = format!("{coupons} coupons of {tier_id}, and a stock of {stock}");
        self.found(
            Count::IssuedBeyondStock,
            (coupons - stock).max(0) as u64,
            &*example,
        );
        if self.subject.is_sold_out {
            let left = (stock - coupons).max(0) as u64;
            self.found(Count::IssuedShortOfStock, left, &*example);
            let exhausted = &self.subject.told.exhausted_since;
            let is_told =
                |tier_id: &str| exhausted.contains_key(&(self.subject.place, tier_id.to_owned()));
            if is_told("") || is_told(tier_id) {
                self.found(Count::ExhaustedTooEarly, left, example);
            }
        }
    }

    /// Quota's own books of a tier.
    fn sums(&mut self, tier: &TierBooks) {
        let lent = self.subject.facts.lent.iter();
        let lent = lent.filter(|lease| lease.tier_number == tier.tier_number);
        let settled: i64 = lent.clone().filter_map(|lease| lease.used).sum();
        let open = lent.filter(|lease| !lease.is_settled);
        let leased: i64 = open.map(|lease| lease.granted).sum();
        let adds_up = tier.free + tier.leased + tier.settled == tier.stock
            && tier.free.min(tier.leased).min(tier.settled) >= 0
            && (tier.leased, tier.settled) == (leased, settled);
        if !adds_up {
            let example =
                format!("{tier:?}, and its leases sum up to {leased} leased and {settled} settled");
            self.found(Count::LedgerImbalance, 1, example);
        }
    }

    /// Each lease as quota lent it, as issuance spent it, and as coupons name it.
    fn leases(&mut self) {
        let facts = self.subject.facts;
        let mut coupons: HashMap<(Uuid, i16), i64> = HashMap::new();
        for coupon in &facts.coupons {
            let key = (coupon.lease_id, coupon.tier_number);
            *coupons.entry(key).or_default() += 1;
        }
        let lent = facts.lent.iter();
        let lent: HashMap<_, _> = lent
            .map(|lease| ((lease.lease_id, lease.tier_number), lease))
            .collect();
        let mut spent: HashMap<_, i64> = HashMap::new();
        for lease in &facts.spent {
            let key = (lease.lease_id, lease.tier_number);
            spent.insert(key, lease.used);
            let granted = lent.get(&key).map(|lent| lent.granted);
            let named = coupons.remove(&key).unwrap_or(0);
            let agree = granted == Some(lease.granted) && lease.used == named;
            if !agree || lease.used > lease.granted {
                let example = format!(
                    "{lease:?}, of which quota granted {granted:?}, and {named} coupons name it"
                );
                self.found(Count::LedgerImbalance, 1, example);
            }
        }
        for (key, count) in coupons {
            let example =
                format!("{count} coupons name a lease {key:?} that issuance does not have");
            self.found(Count::LedgerImbalance, 1, example);
        }
        for (key, lease) in lent {
            let of_issuance = spent.get(&key).copied().unwrap_or(0);
            if lease.used.is_some_and(|used| used != of_issuance) {
                let example = format!("{lease:?}, of which issuance spent {of_issuance}");
                self.found(Count::LedgerImbalance, 1, example);
            }
        }
    }
}
