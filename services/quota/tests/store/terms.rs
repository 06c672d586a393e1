//! What an order must be for a coupon to pay for it, on a real PostgreSQL.

use crate::database::with_database;
use crate::giveaway::{Giveaway, call, open, terms};
use tidegate_quota::{
    QuotaError,
    domain::CampaignTerms,
    watch::{Event, Watch},
};
use tidegate_types::{CouponTerms, Timestamp, Violations};
use tokio_util::sync::CancellationToken;

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
    with_database(async |database| {
        let campaigns = Giveaway::new(&database.store).campaigns;
        let create =
            async |terms: &CampaignTerms| campaigns.create(terms, None, &call(open())).await;
        let most = asking(10_000_000, &["west", "east,north"], &stores(1_000));
        let first = create(&with_second("spring", most.clone())).await.unwrap();
        assert_eq!(first.terms, with_second("spring", most.clone()));
        assert_eq!(create(&first.terms).await.unwrap(), first);
        assert_eq!(campaigns.get(&first.terms.id).await.unwrap(), first);
        for other in [
            CouponTerms::default(),
            asking(9_999_999, &["west", "east,north"], &stores(1_000)),
            asking(10_000_000, &["west"], &stores(1_000)),
            asking(10_000_000, &["west", "east,north"], &stores(999)),
        ] {
            let refused = create(&with_second("spring", other)).await;
            assert!(
                matches!(refused, Err(QuotaError::CampaignIdTaken)),
                "{refused:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn watchers_are_told_what_each_tier_asks() {
    with_database(async |database| {
        let now = Timestamp::now_utc().replace_nanosecond(0).unwrap();
        let mut made = with_second("spring", asking(3_000, &["west"], &[]));
        (made.opens_at, made.closes_at) = (now, now + time::Duration::hours(1));
        let campaigns = Giveaway::new(&database.store).campaigns;
        campaigns.create(&made, None, &call(now)).await.unwrap();
        let (watch, poller) = Watch::new(database.store, CancellationToken::new());
        tokio::spawn(poller);
        match watch.subscribe().unwrap().next().await {
            Some(Event::Campaign(told)) => assert_eq!(told.terms, made),
            other => panic!("{other:?}"),
        };
    })
    .await;
}

#[tokio::test]
async fn pages_end_early_before_they_name_too_many_stores_for_a_message() {
    with_database(async |database| {
        let campaigns = Giveaway::new(&database.store).campaigns;
        let mut terms = terms("a", &[1; 9]);
        for tier in &mut terms.tiers {
            tier.terms = asking(0, &[], &stores(1_000));
        }
        for id in ["a", "b", "c"] {
            terms.id = tidegate_types::CampaignId::parse(id).unwrap();
            campaigns.create(&terms, None, &call(open())).await.unwrap();
        }
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let page = campaigns.list(before, 100).await.unwrap();
            pages.push(page.campaigns.len());
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(pages, [2, 1]);
    })
    .await;
}

#[tokio::test]
async fn the_database_refuses_terms_out_of_bounds() {
    with_database(async |database| {
        Giveaway::new(&database.store).create("spring", &[10]).await;
        for (broken, constraint) in [
            (
                "minimum_spend_minor_units = -1",
                "tiers_minimum_spend_in_range",
            ),
            (
                "areas = array_fill('a'::text, ARRAY[101])",
                "tiers_areas_are_bounded",
            ),
            (
                "store_ids = array_fill('s'::text, ARRAY[1001])",
                "tiers_stores_are_bounded",
            ),
        ] {
            let refused = sqlx::query(&format!("UPDATE tiers SET {broken}"))
                .execute(&database.pool)
                .await
                .unwrap_err();
            assert_eq!(tidegate_pg::constraint(&refused), Some(constraint));
        }
    })
    .await;
}
