//! Holds the three databases against each other and against what the shoppers were told.

mod books;

use std::collections::{BTreeMap, HashMap};

use tidegate_proto::r#type::v1::OrderState;
use uuid::Uuid;

use crate::{
    campaigns::Campaign,
    code,
    findings::{Count, Findings},
    ledger::{ClaimKey, Told, ToldCoupon, is_paid},
};
use books::{Coupon, Order, TierBooks};

pub use books::{Books, Facts};

/// A moment survives its way through messages and databases to the millisecond, but for rounding.
const ROUNDING_MS: u64 = 1;

/// A campaign with all that is known of it.
pub struct Subject<'a> {
    pub campaign: &'a Campaign,
    pub place: usize,
    /// Whether more was asked for than there is, so that all of it must have been issued.
    pub is_sold_out: bool,
    pub facts: &'a Facts,
    pub told: &'a Told,
}

struct Check<'a> {
    subject: Subject<'a>,
    findings: Findings,
}

impl Check<'_> {
    fn found(&mut self, count: Count, number: u64, example: impl Into<String>) {
        let campaign_id = &self.subject.campaign.terms.id;
        self.findings.add(campaign_id, count, number, example);
    }
}

pub fn check(subject: Subject<'_>) -> Findings {
    let mut check = Check {
        subject,
        findings: Findings::default(),
    };
    check.stock();
    check.claims();
    check.orders();
    check.findings
}

impl Check<'_> {
    /// Checks what was issued and the books of it.
    fn stock(&mut self) {
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

impl Check<'_> {
    /// Checks that every coupon was asked for once, and every answer is true.
    fn claims(&mut self) {
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

impl Check<'_> {
    /// Checks that each coupon pays for one order, each accepted order has its coupon, and every
    /// answer is true.
    fn orders(&mut self) {
        let facts = self.subject.facts;
        let by_slot = facts.coupons.iter();
        let by_slot: HashMap<(&str, i16), &Coupon> = by_slot
            .map(|coupon| ((&*coupon.shopper_id, coupon.slot), coupon))
            .collect();
        let mut paid: HashMap<(&str, &str), u64> = HashMap::new();
        for order in &facts.orders {
            let order_id = order.order_id;
            if order.state() == OrderState::Pending {
                self.found(
                    Count::LeftUndecided,
                    1,
                    format!("the order {order_id} is pending"),
                );
            }
            if is_paid(order.state()) {
                // Two shoppers may have the same code.
                *paid
                    .entry((&order.shopper_id, &order.coupon_code))
                    .or_default() += 1;
                let coupon = code::read(&order.coupon_code)
                    .and_then(|(_, slot)| by_slot.get(&(&*order.shopper_id, slot)));
                if coupon.and_then(|coupon| coupon.order_id) != Some(order_id) {
                    let example = format!("{order_id} is accepted, its coupon is {coupon:?}");
                    self.found(Count::OrdersWithoutCoupon, 1, example);
                }
            }
        }
        self.redeemed_twice(paid, "in the database");
        self.used_coupons();
        self.answers();
    }

    fn redeemed_twice<Key>(&mut self, orders_of: HashMap<Key, u64>, place: &str) {
        let twice = orders_of.values().filter(|orders| **orders > 1).count();
        self.found(Count::RedeemedTwice, twice as u64, place);
    }

    fn used_coupons(&mut self) {
        let facts = self.subject.facts;
        let by_id = facts.orders.iter();
        let by_id: HashMap<Uuid, &Order> = by_id.map(|order| (order.order_id, order)).collect();
        for coupon in &facts.coupons {
            let Some(order_id) = coupon.order_id else {
                continue;
            };
            let order = by_id.get(&order_id).copied();
            if !order.is_some_and(|order| is_paid(order.state())) {
                let count = if order.is_some_and(Order::is_given_up) {
                    Count::GivenUpWithCoupon
                } else {
                    Count::OrdersWithoutCoupon
                };
                let state = order.map(|order| order.state);
                let example = format!("{coupon:?} is used, and its order is in state {state:?}");
                self.found(count, 1, example);
            }
        }
    }

    fn answers(&mut self) {
        let (facts, told, place) = (self.subject.facts, self.subject.told, self.subject.place);
        let by_request = facts.orders.iter();
        let by_request: HashMap<(&str, &str), &Order> = by_request
            .map(|order| ((&*order.shopper_id, &*order.request_id), order))
            .collect();
        let mut accepted_of: HashMap<ClaimKey, u64> = HashMap::new();
        let answers = told.orders.iter();
        for (key, answer) in answers.filter(|(key, _)| key.claim.campaign == place) {
            let stands = answer.accepted_since.is_some() && answer.may_stand();
            *accepted_of.entry(key.claim).or_default() += u64::from(stands);
            let (shopper_id, request_id) = (key.claim.shopper_id(), key.request_id());
            let kept = by_request.get(&(&*shopper_id, &*request_id));
            let is_kept = kept.is_some_and(|order| {
                order.order_id.to_string() == answer.order_id
                    && if order.state() == OrderState::Cancelled {
                        told.cancels.contains(key)
                    } else {
                        answer.cancelled_since.is_none()
                            && (answer.accepted_since.is_none() || is_paid(order.state()))
                    }
            });
            if !is_kept {
                let kept = kept.map(|order| (order.order_id, order.state));
                let example = format!("{key:?} was told {answer:?}, and there is {kept:?}");
                self.found(Count::AcknowledgedNotKept, 1, example);
            }
        }
        self.redeemed_twice(accepted_of, "in what was told");
    }
}

#[cfg(test)]
mod tests;
