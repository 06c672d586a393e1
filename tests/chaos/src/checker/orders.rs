//! Orders against the coupons that pay for them, and against what was told of them.

use std::collections::HashMap;

use tidegate_proto::r#type::v1::OrderState;
use uuid::Uuid;

use super::{
    Facts, Subject,
    books::{Coupon, Order},
};
use crate::{
    code,
    findings::{Count, Findings},
    ledger::{OrderKey, Told, is_paid},
};

/// Checks that each coupon pays for one order, each accepted order has its coupon, and every answer
/// is true.
pub fn check(subject: Subject<'_>, facts: &Facts, told: &Told, findings: &mut Findings) {
    let by_slot: HashMap<(&str, i16), &Coupon> = facts
        .coupons
        .iter()
        .map(|coupon| ((coupon.shopper_id.as_str(), coupon.slot), coupon))
        .collect();
    let by_id: HashMap<Uuid, &Order> = facts
        .orders
        .iter()
        .map(|order| (order.order_id, order))
        .collect();
    let mut paid: HashMap<(&str, &str), u64> = HashMap::new();
    for order in &facts.orders {
        if order.state() == OrderState::Pending {
            let example = format!("the order {} is pending", order.order_id);
            findings.add(subject.id(), Count::LeftUndecided, 1, example);
        }
        if is_paid(order.state()) {
            // Two shoppers may have the same code.
            let coupon = (order.shopper_id.as_str(), order.coupon_code.as_str());
            *paid.entry(coupon).or_default() += 1;
            let coupon = code::read(&order.coupon_code)
                .and_then(|(_, slot)| by_slot.get(&(order.shopper_id.as_str(), slot)));
            if coupon.and_then(|coupon| coupon.order_id) != Some(order.order_id) {
                let example = format!("{} is accepted, its coupon is {coupon:?}", order.order_id);
                findings.add(subject.id(), Count::OrdersWithoutCoupon, 1, example);
            }
        }
    }
    let twice = paid.values().filter(|orders| **orders > 1).count() as u64;
    findings.add(subject.id(), Count::RedeemedTwice, twice, "in the database");
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
            findings.add(subject.id(), count, 1, example);
        }
    }
    check_answers(subject, facts, told, findings);
}

fn check_answers(subject: Subject<'_>, facts: &Facts, told: &Told, findings: &mut Findings) {
    let by_request: HashMap<(&str, &str), &Order> = facts
        .orders
        .iter()
        .map(|order| {
            (
                (order.shopper_id.as_str(), order.request_id.as_str()),
                order,
            )
        })
        .collect();
    let mut accepted_of: HashMap<_, u64> = HashMap::new();
    let answers = told.orders.iter();
    for (key, answer) in answers.filter(|(key, _)| key.claim.campaign == subject.place) {
        let OrderKey { claim, .. } = *key;
        let stands = answer.accepted_since.is_some() && answer.may_stand();
        *accepted_of.entry(claim).or_default() += u64::from(stands);
        let (shopper_id, request_id) = (claim.shopper_id(), key.request_id());
        let kept = by_request.get(&(shopper_id.as_str(), request_id.as_str()));
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
            findings.add(subject.id(), Count::AcknowledgedNotKept, 1, example);
        }
    }
    let twice = accepted_of.values().filter(|orders| **orders > 1).count() as u64;
    findings.add(
        subject.id(),
        Count::RedeemedTwice,
        twice,
        "in what was told",
    );
}
