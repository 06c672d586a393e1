//! Coupons against what was asked and what was told.

use std::collections::HashMap;

use super::{Facts, Subject, books::Coupon};
use crate::{
    code,
    findings::{Count, Findings},
    ledger::{ClaimKey, Told, ToldCoupon},
};

/// A moment survives its way through messages and databases to the millisecond, but for rounding.
const ROUNDING_MS: u64 = 1;

/// Checks that every coupon was asked for once, and every answer is true.
pub fn check(subject: Subject<'_>, facts: &Facts, told: &Told, findings: &mut Findings) {
    let mut by_claim: HashMap<ClaimKey, Vec<&Coupon>> = HashMap::new();
    let mut by_shopper: HashMap<&str, u64> = HashMap::new();
    for coupon in &facts.coupons {
        *by_shopper.entry(&coupon.shopper_id).or_default() += 1;
        let claim = ClaimKey::read(&coupon.shopper_id, &coupon.request_id);
        match claim.filter(|claim| told.asked.contains(claim) && claim.campaign == subject.place) {
            Some(claim) => by_claim.entry(claim).or_default().push(coupon),
            None => findings.add(subject.id(), Count::NeverAskedFor, 1, format!("{coupon:?}")),
        }
    }
    let limit = u64::from(subject.campaign.terms.limit_per_shopper);
    for (shopper_id, coupons) in by_shopper.iter().filter(|(_, coupons)| **coupons > limit) {
        let example = format!("{shopper_id} has {coupons}");
        findings.add(subject.id(), Count::ShoppersOverLimit, 1, example);
    }
    for (claim, coupons) in by_claim.iter().filter(|(_, coupons)| coupons.len() > 1) {
        let example = format!("{claim:?} has {}", coupons.len());
        findings.add(subject.id(), Count::RequestsWithTwo, 1, example);
    }
    let answers = told
        .coupons
        .iter()
        .filter(|(claim, _)| claim.campaign == subject.place);
    for (claim, answer) in answers {
        let kept = by_claim.get(claim).map_or(&[][..], Vec::as_slice);
        if !kept
            .iter()
            .any(|coupon| agrees(subject, facts, coupon, answer))
        {
            let kept = kept.first();
            let example = format!("{claim:?} was told {answer:?}, and there is {kept:?}");
            findings.add(subject.id(), Count::AcknowledgedNotKept, 1, example);
        }
    }
}

fn agrees(subject: Subject<'_>, facts: &Facts, coupon: &Coupon, answer: &ToldCoupon) -> bool {
    let mut tiers = facts.tiers.iter();
    let tier = tiers.find(|tier| tier.tier_number == coupon.tier_number);
    code::read(&answer.code) == Some((subject.campaign.campaign_number, coupon.slot))
        && tier.is_some_and(|tier| tier.tier_id == answer.tier_id)
        && coupon.issued_at_ms.abs_diff(answer.issued_at_ms) <= ROUNDING_MS
}
