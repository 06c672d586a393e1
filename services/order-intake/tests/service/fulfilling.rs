use tidegate_proto::r#type::v1::{Money, Reason};
use tidegate_test_kit::until;
use tidegate_types as types;

use crate::suite::{Suite, code, item, refused};

fn yuan(minor_units: i64) -> Option<Money> {
    Some(Money {
        currency_code: "CNY".to_owned(),
        minor_units,
    })
}

#[tokio::test]
async fn a_coupon_s_terms_are_told_and_the_total_beyond_all_bounds_is_refused() {
    let suite = Suite::start().await;
    suite.issuance.state().minimum_spend = 2_501;
    let refusal = refused(suite.place(item("alice", "r-1", &code(1))).await);
    assert_eq!(refusal.reason(), Reason::CouponNotApplicable);
    assert_eq!(refusal.metadata["minimum_spend_minor_units"], "2501");
    let asked = suite.issuance.state().calls.clone().concat().remove(0);
    assert_eq!((&*asked.store_id, &*asked.area), ("s-1", "west"));
    assert_eq!(asked.total, yuan(2_500));
    let mut dear = item("alice", "r-2", &code(1));
    dear.lines[0].quantity = 99;
    if let Some(price) = &mut dear.lines[0].unit_price {
        price.minor_units = 10_000_000;
    }
    dear.lines.push(dear.lines[0].clone());
    let refusal = refused(suite.place(dear).await);
    assert_eq!(refusal.reason(), Reason::InvalidField);
    assert_eq!(refusal.violations[0].field, "lines");
}

#[tokio::test]
async fn the_end_of_a_campaign_is_remembered_when_one_of_its_coupons_pays() {
    let suite = Suite::start().await;
    suite.issuance.state().campaign_closes_at = Some(types::Timestamp::UNIX_EPOCH);
    suite.order(item("alice", "r-1", &code(1))).await;
    let ends = async || {
        let ends = "campaign_ends WHERE closes_at = 'epoch'";
        suite.database.count(ends).await
    };
    until("it is remembered", async || ends().await > 0).await;
}
