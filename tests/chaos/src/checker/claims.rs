//! Coupons against what was asked and what was told.

use std::collections::HashMap;

use super::{Check, Subject, books::Coupon};
use crate::{
    code,
    findings::Count,
    ledger::{ClaimKey, ToldCoupon},
};

/// A moment survives its way through messages and databases to the millisecond, but for rounding.
const ROUNDING_MS: u64 = 1;

impl Check<'_> {
    /// Checks that every coupon was asked for once, and every answer is true.
    pub fn claims(&mut self) {
        let (facts, told, place) = (self.subject.facts, self.subject.told, self.subject.place);
        let mut by_claim: HashMap<ClaimKey, Vec<&Coupon>> = HashMap::new();
        let mut by_shopper: HashMap<&str, u64> = HashMap::new();
        for coupon in &facts.coupons {
            *by_shopper.entry(&coupon.shopper_id).or_default() += 1;
            let claim = ClaimKey::read(&coupon.shopper_id, &coupon.request_id);
            match claim.filter(|claim| told.asked.contains(claim) && claim.campaign == place) {
                Some(claim) => by_claim.entry(claim).or_default().push(coupon),
                None => self.found(Count::NeverAskedFor, 1, format!("{coupon:?}")),
            }
        }
        let limit = u64::from(self.subject.campaign.terms.limit_per_shopper);
        for (shopper_id, coupons) in by_shopper.iter().filter(|(_, coupons)| **coupons > limit) {
            let example = format!("{shopper_id} has {coupons}");
            self.found(Count::ShoppersOverLimit, 1, example);
        }
        for (claim, coupons) in by_claim.iter().filter(|(_, coupons)| coupons.len() > 1) {
            let example = format!("{claim:?} has {}", coupons.len());
            self.found(Count::RequestsWithTwo, 1, example);
        }
        let answers = told.coupons.iter();
        for (claim, answer) in answers.filter(|(claim, _)| claim.campaign == place) {
            let kept = by_claim.get(claim).map_or(&[][..], Vec::as_slice);
            if !kept
                .iter()
                .any(|coupon| self.subject.agrees(coupon, answer))
            {
                let kept = kept.first();
                let example = format!("{claim:?} was told {answer:?}, and there is {kept:?}");
                self.found(Count::AcknowledgedNotKept, 1, example);
            }
        }
    }
}

impl Subject<'_> {
    fn agrees(&self, coupon: &Coupon, answer: &ToldCoupon) -> bool {
        let mut tiers = self.facts.tiers.iter();
        let tier = tiers.find(|tier| tier.tier_number == coupon.tier_number);
        code::read(&answer.code) == Some((self.campaign.campaign_number, coupon.slot))
            && tier.is_some_and(|tier| tier.tier_id == answer.tier_id)
            && coupon.issued_at_ms.abs_diff(answer.issued_at_ms) <= ROUNDING_MS
    }
}
