//! Orders against the coupons that pay for them, and against what was told of them.

use std::collections::HashMap;

use tidegate_proto::r#type::v1::OrderState;
use uuid::Uuid;

use super::{
    Check,
    books::{Coupon, Order},
};
use crate::{
    code,
    findings::Count,
    ledger::{ClaimKey, is_paid},
};

impl Check<'_> {
    /// Checks that each coupon pays for one order, each accepted order has its coupon, and every
    /// answer is true.
    pub fn orders(&mut self) {
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
