//! One sound campaign, and each way in which it can be unsound.

use tidegate_client::CampaignTerms;
use tokio::time::Instant;

use super::{
    books::{LentLease, SpentLease},
    *,
};
use crate::{
    code::tests::code_of,
    findings::Count::{self, *},
    ledger::{OrderKey, ToldOrder},
};

const NUMBER: i32 = 5;
const LEASE: Uuid = Uuid::from_u128(1);
const ORDER: Uuid = Uuid::from_u128(2);
const OTHER_ORDER: Uuid = Uuid::from_u128(3);
const CLAIM: ClaimKey = ClaimKey {
    campaign: 0,
    shopper: 7,
    request: 1,
};
const KEY: OrderKey = OrderKey {
    claim: CLAIM,
    place: 1,
};

fn accepted(order_id: Uuid) -> ToldOrder {
    ToldOrder {
        order_id: order_id.to_string(),
        accepted_since: Some(Instant::now()),
        cancelled_since: None,
    }
}

/// One coupon of a stock of one, told, and used for one order.
fn sound() -> (Facts, Told) {
    let facts = Facts {
        coupons: vec![Coupon {
            shopper_id: CLAIM.shopper_id(),
            request_id: CLAIM.request_id(),
            slot: 1,
            tier_number: 0,
            lease_id: LEASE,
            issued_at_ms: 1_000,
            order_id: Some(ORDER),
        }],
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
            request_id: KEY.request_id(),
            order_id: ORDER,
            state: OrderState::Accepted as i16,
            coupon_code: code_of(NUMBER, 1),
        }],
    };
    let coupon = ToldCoupon {
        code: code_of(NUMBER, 1),
        tier_id: "tea".to_owned(),
        issued_at_ms: 1_000,
    };
    let told = Told {
        asked: [CLAIM].into(),
        coupons: [(CLAIM, coupon)].into(),
        orders: [(KEY, accepted(ORDER))].into(),
        ..Told::default()
    };
    (facts, told)
}

fn found(change: impl FnOnce(&mut Facts, &mut Told)) -> Vec<Count> {
    let (mut facts, mut told) = sound();
    change(&mut facts, &mut told);
    let campaign = Campaign {
        terms: CampaignTerms::open("tea", 1),
        campaign_number: NUMBER,
    };
    let findings = check(Subject {
        campaign: &campaign,
        place: 0,
        is_sold_out: true,
        facts: &facts,
        told: &told,
    });
    let counts = Count::ALL.iter().copied();
    counts.filter(|count| findings.total(*count) > 0).collect()
}

type Change = fn(&mut Facts, &mut Told);

fn is_cancelled(facts: &mut Facts) {
    facts.orders[0].state = OrderState::Cancelled as i16;
    facts.coupons[0].order_id = None;
}

const CASES: [(&str, Change, &[Count]); 14] = [
    ("nothing", |_, _| (), &[]),
    (
        "a coupon too many",
        |facts, _| facts.coupons.push(facts.coupons[0].clone()),
        &[
            IssuedBeyondStock,
            ShoppersOverLimit,
            RequestsWithTwo,
            LedgerImbalance,
        ],
    ),
    (
        "a coupon too few",
        |facts, _| facts.coupons.clear(),
        &[
            IssuedShortOfStock,
            AcknowledgedNotKept,
            OrdersWithoutCoupon,
            LedgerImbalance,
        ],
    ),
    (
        "a coupon that was lost and issued again",
        |facts, _| facts.coupons[0].issued_at_ms += 500,
        &[AcknowledgedNotKept],
    ),
    (
        "a coupon that nobody asked for",
        |_, told| {
            told.asked.clear();
            told.coupons.clear();
        },
        &[NeverAskedFor],
    ),
    (
        "a lease that was credited with less than was spent",
        |facts, _| {
            facts.lent[0].used = Some(0);
            (facts.tiers[0].settled, facts.tiers[0].free) = (0, 1);
        },
        &[LedgerImbalance],
    ),
    (
        "stock that is left after the end was told",
        |facts, told| {
            (facts.tiers[0].stock, facts.tiers[0].free) = (2, 1);
            told.exhausted(0, "");
        },
        &[IssuedShortOfStock, ExhaustedTooEarly],
    ),
    (
        "an order without its coupon",
        |facts, _| facts.coupons[0].order_id = None,
        &[OrdersWithoutCoupon],
    ),
    (
        "a coupon without its order",
        |facts, told| {
            facts.orders.clear();
            told.orders.clear();
        },
        &[OrdersWithoutCoupon],
    ),
    (
        "an order that nobody decides",
        |facts, told| {
            facts.orders[0].state = OrderState::Pending as i16;
            facts.coupons[0].order_id = None;
            told.orders.clear();
        },
        &[LeftUndecided],
    ),
    (
        // It has no coupon, and is not taken for a second order of the first one's.
        "an order of another shopper with the same code",
        |facts, _| {
            facts.orders.push(Order {
                order_id: OTHER_ORDER,
                shopper_id: "somebody-else".to_owned(),
                ..facts.orders[0].clone()
            });
        },
        &[OrdersWithoutCoupon],
    ),
    (
        "a cancellation that nobody asked for",
        |facts, _| is_cancelled(facts),
        &[AcknowledgedNotKept],
    ),
    (
        "a cancellation that was told and is not kept",
        |_, told| told.orders.get_mut(&KEY).unwrap().cancelled_since = Some(Instant::now()),
        &[AcknowledgedNotKept],
    ),
    (
        "a second order for the coupon that was told, and is not kept",
        |_, told| {
            let key = OrderKey { place: 2, ..KEY };
            told.orders.insert(key, accepted(OTHER_ORDER));
        },
        &[AcknowledgedNotKept, RedeemedTwice],
    ),
];

#[test]
fn each_fault_is_found_by_its_counts_and_by_no_other() {
    for (fault, change, expected) in CASES {
        assert_eq!(found(change), expected, "{fault}");
    }
}

#[test]
fn two_orders_for_one_coupon_are_found_in_the_database() {
    let counts = found(|facts, _| {
        facts.orders.push(Order {
            order_id: OTHER_ORDER,
            request_id: "o-1-2".to_owned(),
            ..facts.orders[0].clone()
        });
    });
    assert!(counts.contains(&RedeemedTwice), "{counts:?}");
}

#[test]
fn an_order_is_paid_or_given_up_by_its_state_and_cancelled_when_that_was_asked_for() {
    use OrderState::{Cancelled, Completed, InPreparation, Ready, Rejected};
    for state in [InPreparation, Ready, Completed] {
        assert_eq!(found(|facts, _| facts.orders[0].state = state as i16), []);
    }
    for state in [Rejected, Cancelled] {
        let counts = found(|facts, told| {
            facts.orders[0].state = state as i16;
            told.orders.clear();
        });
        assert_eq!(counts, [GivenUpWithCoupon]);
    }
    let counts = found(|facts, told| {
        is_cancelled(facts);
        told.cancels.insert(KEY);
    });
    assert_eq!(counts, []);
}
