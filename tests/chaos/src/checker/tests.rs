//! One sound campaign, and each way in which it can be unsound.

use tidegate_client::CampaignTerms;
use tidegate_proto::r#type::v1::OrderState;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    books::{Coupon, LentLease, Order, SpentLease, TierBooks},
    *,
};
use crate::{
    code::tests::code_of,
    findings::Count,
    ledger::{ClaimKey, OrderKey, ToldCoupon, ToldOrder},
};

const NUMBER: i32 = 5;
const LEASE: Uuid = Uuid::from_u128(1);
const ORDER: Uuid = Uuid::from_u128(2);
const CLAIM: ClaimKey = ClaimKey {
    campaign: 0,
    shopper: 7,
    request: 1,
};

fn campaign() -> Campaign {
    Campaign {
        terms: CampaignTerms::open("tea", 1),
        campaign_number: NUMBER,
    }
}

fn coupon() -> Coupon {
    Coupon {
        shopper_id: CLAIM.shopper_id(),
        request_id: CLAIM.request_id(),
        slot: 1,
        tier_number: 0,
        lease_id: LEASE,
        issued_at_ms: 1_000,
        order_id: Some(ORDER),
    }
}

/// One coupon of a stock of one, told, and used for one order.
fn sound() -> (Facts, Told) {
    let key = OrderKey {
        claim: CLAIM,
        place: 1,
    };
    let facts = Facts {
        coupons: vec![coupon()],
        spent: vec![SpentLease {
            lease_id: LEASE,
            tier_number: 0,
            granted: 1,
            used: 1,
        }],
        lent: vec![LentLease {
            lease_id: LEASE,
            tier_number: 0,
            granted: 1,
            used: Some(1),
            is_settled: true,
            is_reclaimed: false,
        }],
        tiers: vec![TierBooks {
            tier_number: 0,
            tier_id: "tea".to_owned(),
            stock: 1,
            free: 0,
            leased: 0,
            settled: 1,
        }],
        orders: vec![Order {
            shopper_id: CLAIM.shopper_id(),
            request_id: key.request_id(),
            order_id: ORDER,
            state: OrderState::Accepted as i16,
            coupon_code: code_of(NUMBER, 1),
        }],
    };
    let mut told = Told::default();
    told.asked.insert(CLAIM);
    let coupon = ToldCoupon {
        code: code_of(NUMBER, 1),
        tier_id: "tea".to_owned(),
        issued_at_ms: 1_000,
    };
    told.coupons.insert(CLAIM, coupon);
    let order = ToldOrder {
        order_id: ORDER.to_string(),
        accepted_since: Some(Instant::now()),
        cancelled_since: None,
    };
    told.orders.insert(key, order);
    (facts, told)
}

fn found(change: impl FnOnce(&mut Facts, &mut Told)) -> Vec<Count> {
    let (mut facts, mut told) = sound();
    change(&mut facts, &mut told);
    let campaign = campaign();
    let subject = Subject {
        campaign: &campaign,
        place: 0,
        is_sold_out: true,
        facts: &facts,
        told: &told,
    };
    let findings = check(subject);
    let counts = Count::ALL.iter().copied();
    counts.filter(|count| findings.total(*count) > 0).collect()
}

#[test]
fn a_sound_campaign_has_no_findings() {
    assert_eq!(found(|_, _| ()), []);
}

#[test]
fn a_coupon_too_many_and_one_too_few_are_found_with_all_that_follows() {
    let too_many = found(|facts, _| facts.coupons.push(coupon()));
    let too_few = found(|facts, _| facts.coupons.clear());
    for (counts, expected) in [
        (
            too_many,
            [
                Count::IssuedBeyondStock,
                Count::ShoppersOverLimit,
                Count::RequestsWithTwo,
                Count::LedgerImbalance,
            ],
        ),
        (
            too_few,
            [
                Count::IssuedShortOfStock,
                Count::AcknowledgedNotKept,
                Count::LedgerImbalance,
                Count::OrdersWithoutCoupon,
            ],
        ),
    ] {
        for count in expected {
            assert!(counts.contains(&count), "{count:?} in {counts:?}");
        }
    }
}

type Change = fn(&mut Facts, &mut Told);

#[test]
fn each_fault_is_found_by_its_count_and_by_no_other() {
    let cases: [(&str, Change, &[Count]); 8] = [
        (
            "a coupon that was lost and issued again",
            |facts, _| facts.coupons[0].issued_at_ms += 500,
            &[Count::AcknowledgedNotKept],
        ),
        (
            "a coupon that nobody asked for",
            |_, told| {
                told.asked.clear();
                told.coupons.clear();
            },
            &[Count::NeverAskedFor],
        ),
        (
            "a lease that was credited with less than was spent",
            |facts, _| {
                facts.lent[0].used = Some(0);
                (facts.tiers[0].settled, facts.tiers[0].free) = (0, 1);
            },
            &[Count::LedgerImbalance],
        ),
        (
            "stock that is left after the end was told",
            |facts, told| {
                (facts.tiers[0].stock, facts.tiers[0].free) = (2, 1);
                told.exhausted(0, "");
            },
            &[Count::IssuedShortOfStock, Count::ExhaustedTooEarly],
        ),
        (
            "an order without its coupon",
            |facts, _| facts.coupons[0].order_id = None,
            &[Count::OrdersWithoutCoupon],
        ),
        (
            "a coupon without its order",
            |facts, told| {
                facts.orders.clear();
                told.orders.clear();
            },
            &[Count::OrdersWithoutCoupon],
        ),
        (
            "an order that nobody decides",
            |facts, told| {
                facts.orders[0].state = OrderState::Pending as i16;
                facts.coupons[0].order_id = None;
                told.orders.clear();
            },
            &[Count::LeftUndecided],
        ),
        (
            "an order of another shopper with the same code",
            |facts, _| {
                facts.orders.push(Order {
                    order_id: Uuid::from_u128(3),
                    shopper_id: "somebody-else".to_owned(),
                    ..facts.orders[0].clone()
                });
            },
            // It has no coupon, and is not taken for a second order of the first one's.
            &[Count::OrdersWithoutCoupon],
        ),
    ];
    for (fault, change, expected) in cases {
        assert_eq!(found(change), expected, "{fault}");
    }
}

#[test]
fn an_order_is_paid_or_given_up_by_its_state() {
    for state in [
        OrderState::InPreparation,
        OrderState::Ready,
        OrderState::Completed,
    ] {
        assert_eq!(found(|facts, _| facts.orders[0].state = state as i16), []);
    }
    for state in [OrderState::Rejected, OrderState::Cancelled] {
        let counts = found(|facts, told| {
            facts.orders[0].state = state as i16;
            told.orders.clear();
        });
        assert_eq!(counts, [Count::GivenUpWithCoupon]);
    }
}

#[test]
fn a_cancellation_that_was_told_is_kept_and_one_that_nobody_asked_for_is_found() {
    let give_up = |facts: &mut Facts| {
        facts.orders[0].state = OrderState::Cancelled as i16;
        facts.coupons[0].order_id = None;
    };
    let key = OrderKey {
        claim: CLAIM,
        place: 1,
    };
    let counts = found(|facts, told| {
        give_up(facts);
        told.cancels.insert(key);
    });
    assert_eq!(counts, []);
    assert_eq!(
        found(|facts, _| give_up(facts)),
        [Count::AcknowledgedNotKept]
    );
    let counts = found(|_, told| {
        let order = told.orders.get_mut(&key).unwrap();
        order.cancelled_since = Some(Instant::now());
    });
    assert_eq!(counts, [Count::AcknowledgedNotKept]);
}

#[test]
fn two_orders_for_one_coupon_are_found_in_the_database_and_in_what_was_told() {
    let counts = found(|facts, _| {
        let second = Order {
            order_id: Uuid::from_u128(3),
            request_id: "o-1-2".to_owned(),
            ..facts.orders[0].clone()
        };
        facts.orders.push(second);
    });
    assert!(counts.contains(&Count::RedeemedTwice), "{counts:?}");
    let counts = found(|_, told| {
        let key = OrderKey {
            claim: CLAIM,
            place: 2,
        };
        let order = ToldOrder {
            order_id: Uuid::from_u128(3).to_string(),
            accepted_since: Some(Instant::now()),
            cancelled_since: None,
        };
        told.orders.insert(key, order);
    });
    assert_eq!(counts, [Count::AcknowledgedNotKept, Count::RedeemedTwice]);
}
