//! Coupons against stock, and every lease on both sides.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{Facts, Subject, books::TierBooks};
use crate::{
    findings::{Count, Findings},
    ledger::Told,
};

/// Checks what was issued and the books of it.
pub fn check(subject: Subject<'_>, facts: &Facts, told: &Told, findings: &mut Findings) {
    let mut issued: BTreeMap<i16, i64> = BTreeMap::new();
    for coupon in &facts.coupons {
        *issued.entry(coupon.tier_number).or_default() += 1;
    }
    for tier in &facts.tiers {
        let coupons = issued.remove(&tier.tier_number).unwrap_or(0);
        check_tier(subject, tier, coupons, told, findings);
        check_sums(subject, tier, facts, findings);
    }
    for (tier_number, coupons) in issued {
        let example = format!("{coupons} coupons of a tier {tier_number} that does not exist");
        findings.add(
            subject.id(),
            Count::IssuedBeyondStock,
            coupons as u64,
            example,
        );
    }
    check_leases(subject, facts, findings);
}

fn check_tier(
    subject: Subject<'_>,
    tier: &TierBooks,
    coupons: i64,
    told: &Told,
    findings: &mut Findings,
) {
    let (id, stock) = (subject.id(), tier.stock);
    let example = format!(
        "{coupons} coupons of {}, and a stock of {stock}",
        tier.tier_id
    );
    let beyond = (coupons - stock).max(0) as u64;
    findings.add(id, Count::IssuedBeyondStock, beyond, &*example);
    let left = (stock - coupons).max(0) as u64;
    if subject.is_sold_out {
        findings.add(id, Count::IssuedShortOfStock, left, &*example);
        let told_of = |tier_id: &str| {
            let key = (subject.place, tier_id.to_owned());
            told.exhausted_since.contains_key(&key)
        };
        if told_of("") || told_of(&tier.tier_id) {
            findings.add(id, Count::ExhaustedTooEarly, left, example);
        }
    }
}

/// Quota's own books of a tier.
fn check_sums(subject: Subject<'_>, tier: &TierBooks, facts: &Facts, findings: &mut Findings) {
    let lent = || {
        facts
            .lent
            .iter()
            .filter(|lease| lease.tier_number == tier.tier_number)
    };
    let leased: i64 = lent()
        .filter(|lease| !lease.is_settled)
        .map(|lease| lease.granted)
        .sum();
    let settled: i64 = lent().filter_map(|lease| lease.used).sum();
    let adds_up = tier.free + tier.leased + tier.settled == tier.stock
        && tier.free.min(tier.leased).min(tier.settled) >= 0
        && (tier.leased, tier.settled) == (leased, settled);
    if !adds_up {
        let example =
            format!("{tier:?}, and its leases sum up to {leased} leased and {settled} settled");
        findings.add(subject.id(), Count::LedgerImbalance, 1, example);
    }
}

/// Each lease as quota lent it, as issuance spent it, and as coupons name it.
fn check_leases(subject: Subject<'_>, facts: &Facts, findings: &mut Findings) {
    let mut coupons: HashMap<(Uuid, i16), i64> = HashMap::new();
    for coupon in &facts.coupons {
        *coupons
            .entry((coupon.lease_id, coupon.tier_number))
            .or_default() += 1;
    }
    let lent: HashMap<_, _> = facts
        .lent
        .iter()
        .map(|lease| ((lease.lease_id, lease.tier_number), lease))
        .collect();
    let mut spent: HashMap<_, i64> = HashMap::new();
    for lease in &facts.spent {
        let key = (lease.lease_id, lease.tier_number);
        spent.insert(key, lease.used);
        let granted = lent.get(&key).map(|lent| lent.granted);
        let of_coupons = coupons.remove(&key).unwrap_or(0);
        if granted != Some(lease.granted) || lease.used > lease.granted || lease.used != of_coupons
        {
            let example = format!(
                "{lease:?}, of which quota granted {granted:?}, and {of_coupons} coupons name it"
            );
            findings.add(subject.id(), Count::LedgerImbalance, 1, example);
        }
    }
    for (key, count) in coupons {
        let example = format!("{count} coupons name a lease {key:?} that issuance does not have");
        findings.add(subject.id(), Count::LedgerImbalance, 1, example);
    }
    for (key, lease) in lent {
        let of_issuance = spent.get(&key).copied().unwrap_or(0);
        if lease.used.is_some_and(|used| used != of_issuance) {
            let example = format!("{lease:?}, of which issuance spent {of_issuance}");
            findings.add(subject.id(), Count::LedgerImbalance, 1, example);
        }
    }
}
