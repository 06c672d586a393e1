//! What an order must be for a coupon to pay for it, on a real PostgreSQL.

use crate::giveaway::{Giveaway, call, terms};
use crate::watch::watch;
use tidegate_quota::{domain::CampaignTerms, error::QuotaError, watch::Event};
use tidegate_types::{CouponTerms, Timestamp, Violations};

fn asking(minimum_spend: i64, areas: &[&str], stores: &[String]) -> CouponTerms {
    let mut bad = Violations::default();
    CouponTerms::parse(&mut bad, "terms", minimum_spend, areas, stores).unwrap()
}

fn stores(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("store-{number}")).collect()
}

/// A campaign whose second tier asks this, and the others nothing.
fn with_second(id: &str, asked: CouponTerms) -> CampaignTerms {
    let mut terms = terms(id, &[10, 20, 30]);
    terms.tiers[1].terms = asked;
    terms
}

#[tokio::test]
async fn what_a_tier_asks_is_kept_and_another_campaign_cannot_take_its_id() {
    let giveaway = Giveaway::start().await;
    let most = asking(10_000_000, &["west", "east,north"], &stores(1_000));
    let terms = with_second("spring", most);
    let first = giveaway.make(&terms).await.unwrap();
    assert_eq!(first.terms, terms);
    assert_eq!(giveaway.make(&first.terms).await.unwrap(), first);
    assert_eq!(giveaway.read("spring").await, first);
    for other in [
        CouponTerms::default(),
        asking(9_999_999, &["west", "east,north"], &stores(1_000)),
        asking(10_000_000, &["west"], &stores(1_000)),
        asking(10_000_000, &["west", "east,north"], &stores(999)),
    ] {
        let refused = giveaway.make(&with_second("spring", other)).await;
        refused!(refused, QuotaError::CampaignIdTaken);
    }
}

#[tokio::test]
async fn watchers_are_told_what_each_tier_asks() {
    let giveaway = Giveaway::start().await;
    let now = Timestamp::now_utc().replace_nanosecond(0).unwrap();
    let mut made = with_second("spring", asking(3_000, &["west"], &[]));
    (made.opens_at, made.closes_at) = (now, now + time::Duration::hours(1));
    let making = giveaway.campaigns.create(&made, None, &call(now)).await;
    making.unwrap();
    match watch(&giveaway).subscribe().unwrap().next().await {
        Some(Event::Campaign(told)) => assert_eq!(told.terms, made),
        other => panic!("{other:?}"),
    };
}

#[tokio::test]
async fn pages_end_early_before_they_name_too_many_stores_for_a_message() {
    let giveaway = Giveaway::start().await;
    let mut terms = terms("a", &[1; 9]);
    for tier in &mut terms.tiers {
        tier.terms = asking(0, &[], &stores(1_000));
    }
    for id in ["a", "b", "c"] {
        terms.id = tidegate_types::CampaignId::parse(id).unwrap();
        giveaway.make(&terms).await.unwrap();
    }
    let (mut pages, mut before) = (Vec::new(), None);
    loop {
        let page = giveaway.campaigns.list(before, 100).await.unwrap();
        pages.push(page.campaigns.len());
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, [2, 1]);
}
