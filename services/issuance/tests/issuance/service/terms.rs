use std::time::Duration;

use tidegate_issuance::grpc::MAX_ITEMS;
use tidegate_proto::{
    issuance::v1::{RedeemItem, RedeemResult, redeem_result::Outcome},
    r#type::v1::{Coupon, CouponTerms, Money, Reason, Refusal},
};
use tidegate_rpc::wire;
use tidegate_test_kit::until;
use tidegate_types::Timestamp;

use super::suite::{Issuance, Suite, new_order};

fn asking(minimum_spend_minor_units: i64, areas: &[&str], stores: usize) -> CouponTerms {
    CouponTerms {
        minimum_spend_minor_units,
        areas: areas.iter().map(|area| area.to_string()).collect(),
        store_ids: (0..stores).map(|store| format!("s-{store:03}")).collect(),
    }
}

/// A new order of ann's, with this coupon.
fn order(coupon: &Coupon, store_id: &str, area: &str, minor_units: i64) -> RedeemItem {
    RedeemItem {
        shopper_id: "ann".to_owned(),
        coupon_code: coupon.code.clone(),
        order_id: new_order(),
        store_id: store_id.to_owned(),
        area: area.to_owned(),
        total: Some(Money {
            currency_code: "CNY".to_owned(),
            minor_units,
        }),
        ..RedeemItem::default()
    }
}

fn refusal(result: RedeemResult) -> Refusal {
    match result.outcome {
        Some(Outcome::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Suite and issuance with a coupon of ann's that asks this.
async fn with_terms(terms: CouponTerms) -> (Suite, Issuance, Coupon) {
    let suite = Suite::start().await;
    let quota = &suite.quota;
    quota.change(|campaign| campaign.tiers[0].terms = Some(terms));
    let issuance = suite.issuance().await;
    let coupon = issuance.claim_in_the_end("ann").await.coupon.unwrap();
    (suite, issuance, coupon)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_does_not_fit_is_told_which_would_also_while_quota_is_away() {
    let terms = asking(3_000, &["west"], 1);
    let (suite, issuance, coupon) = with_terms(terms.clone()).await;
    assert_eq!(coupon.terms, Some(terms));
    let issuance = suite.restart_without_quota(issuance).await;
    let mut in_dollars = order(&coupon, "s-000", "west", 9_000);
    in_dollars.total.as_mut().unwrap().currency_code = "USD".to_owned();
    let without_total = RedeemItem {
        total: None,
        ..order(&coupon, "s-000", "west", 0)
    };
    for (order, expected) in [
        // Of a store and a total that nobody tells nothing is known to fit.
        (order(&coupon, "", "", 3_000), "areas=west stores=s-000"),
        (without_total, "minimum_spend_minor_units=3000"),
        (
            order(&coupon, "s-001", "east", 3_000),
            "areas=west stores=s-000",
        ),
        (
            order(&coupon, "s-000", "east", 2_999),
            "minimum_spend_minor_units=3000",
        ),
        (in_dollars, "currency_code=CNY"),
    ] {
        let refusal = refusal(issuance.redeem_item(order).await);
        assert_eq!(refusal.reason(), Reason::CouponNotApplicable);
        assert_eq!((refusal.retry_after, refusal.retry_at), (None, None));
        let facts = refusal.metadata.iter();
        let mut told: Vec<_> = facts.map(|(key, fact)| format!("{key}={fact}")).collect();
        told.sort();
        assert_eq!(told.join(" "), expected);
    }
    let fitting = order(&coupon, "s-001", "west", 3_000);
    let redeemed = issuance.redeem_item(fitting).await;
    assert!(matches!(redeemed.outcome, Some(Outcome::Redeemed(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_that_holds_the_coupon_is_answered_whatever_it_says_of_itself() {
    let (_suite, issuance, coupon) = with_terms(asking(3_000, &[], 0)).await;
    let held = order(&coupon, "s-1", "west", 3_000);
    let first = issuance.redeem_item(held.clone()).await;
    assert!(matches!(first.outcome, Some(Outcome::Redeemed(_))));
    let silent = RedeemItem {
        total: None,
        ..held
    };
    assert_eq!(issuance.redeem_item(silent.clone()).await, first);
    let order_id = &silent.order_id;
    assert!(issuance.release("ann", &coupon.code, order_id).await);
    let late = refusal(issuance.redeem_item(silent.clone()).await);
    assert_eq!(late.reason(), Reason::CouponRedeemed);
    assert_eq!(late.metadata["order_id"], silent.order_id);
    // Who does not tell the total is not served with a coupon that asks for one.
    let order_id = new_order();
    let other = RedeemItem { order_id, ..silent };
    let unknown = refusal(issuance.redeem_item(other).await);
    assert_eq!(unknown.reason(), Reason::CouponNotApplicable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_field_of_a_redemption_is_named() {
    let (_suite, issuance, coupon) = with_terms(CouponTerms::default()).await;
    let mut bad = order(&coupon, "a store", "the west", -1);
    bad.order_id = "7".to_owned();
    bad.total.as_mut().unwrap().currency_code = "yuan".to_owned();
    let refusal = refusal(issuance.redeem_item(bad).await);
    assert_eq!(refusal.reason(), Reason::InvalidField);
    let fields: Vec<_> = refusal.violations.iter().map(|bad| &*bad.field).collect();
    let expected = "store_id area total.currency_code total.minor_units order_id";
    assert_eq!(fields.join(" "), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redemption_tells_when_the_campaign_closes_whether_it_is_refused_or_not() {
    let (suite, issuance, coupon) = with_terms(asking(3_000, &[], 0)).await;
    let closes_at = suite.quota.see(|state| state.campaign.closes_at);
    for minor_units in [2_999, 3_000] {
        let order = order(&coupon, "s-1", "west", minor_units);
        let redeemed = issuance.redeem_item(order).await;
        assert_eq!(redeemed.campaign_closes_at, closes_at);
    }
    let mut forged = order(&coupon, "s-1", "west", 3_000);
    forged.coupon_code = "0000000000000000".to_owned();
    let refused = issuance.redeem_item(forged).await;
    assert_eq!(refused.campaign_closes_at, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terms_that_do_not_fit_are_told_rather_than_a_halt() {
    let (suite, issuance, coupon) = with_terms(asking(3_000, &[], 0)).await;
    suite.quota.change(|campaign| {
        let control = campaign.control.as_mut().unwrap();
        control.set_redemption(tidegate_proto::r#type::v1::RedemptionControl::Halted);
        let later = Timestamp::now_utc() + Duration::from_secs(60);
        control.resume_at = Some(wire::timestamp(later));
    });
    until("redemption is halted", async || {
        let checked = issuance.check("ann", &coupon.code).await;
        checked.unusable_because() == Reason::RedemptionHalted
    })
    .await;
    let fitting = order(&coupon, "s-1", "west", 3_000);
    let halted = refusal(issuance.redeem_item(fitting).await);
    assert_eq!(halted.reason(), Reason::RedemptionHalted);
    let misfit = refusal(issuance.redeem_item(order(&coupon, "s-1", "west", 1)).await);
    assert_eq!(misfit.reason(), Reason::CouponNotApplicable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coupon_looked_at_by_itself_names_every_store_and_one_of_many_the_first_ten() {
    let whole = asking(0, &[], 1_000);
    let (_suite, issuance, coupon) = with_terms(whole.clone()).await;
    assert_eq!(coupon.terms, Some(asking(0, &[], 10)));
    assert!(coupon.terms_shortened);
    let checked = issuance.check("ann", &coupon.code).await.coupon.unwrap();
    assert_eq!(checked.terms, Some(whole));
    assert!(!checked.terms_shortened);
    // The longest names there can be, in the largest answer there can be.
    let longest = 2 * 10 * 66 + 512;
    assert!(MAX_ITEMS * longest < tidegate_rpc::MAX_MESSAGE_BYTES);
}
