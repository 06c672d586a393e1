use tidegate_proto::r#type::v1::{Money, Reason};
use tidegate_types as types;

use crate::suite::{Suite, code, item, placed, refused};

fn yuan(minor_units: i64) -> Option<Money> {
    Some(Money {
        currency_code: "CNY".to_owned(),
        minor_units,
    })
}

#[tokio::test]
async fn a_coupon_s_terms_are_told_and_the_total_beyond_all_bounds_is_refused() {
    let suite = Suite::start().await;
    suite.issuance.ask_for(2_501);
    let refusal = refused(suite.place(item("alice", "r-1", &code(1))).await);
    assert_eq!(refusal.reason(), Reason::CouponNotApplicable);
    assert_eq!(refusal.metadata["minimum_spend_minor_units"], "2501");
    let asked = suite.issuance.calls().concat().remove(0);
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
    suite
        .issuance
        .close_campaigns_at(types::Timestamp::UNIX_EPOCH);
    placed(suite.place(item("alice", "r-1", &code(1))).await);
    let remembered = "SELECT count(*) FROM campaign_ends WHERE closes_at = 'epoch'";
    while suite.database.number(remembered).await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
