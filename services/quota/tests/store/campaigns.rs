//! Campaigns on a real PostgreSQL.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::Executor as _;
use tidegate_pg::{Fault, fault};
use tidegate_quota::{domain::CampaignTerms, error::QuotaError};
use tidegate_types::{CampaignId, CouponTerms, MAX_STOCK, Violations};
use tokio::time::timeout;

use crate::giveaway::{Giveaway, addition, call_by, closed, counts, open, request, stock, terms};

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_made_by_16_callers_at_once_is_made_once() {
    let giveaway = Giveaway::start().await;
    let making = (0..16).map(|_| {
        let giveaway = giveaway.clone();
        tokio::spawn(async move { giveaway.create("spring", &[5]).await.number })
    });
    let made = join_all(making).await.into_iter().map(Result::unwrap);
    let mut numbers: Vec<_> = made.collect();
    numbers.dedup();
    assert_eq!(numbers.len(), 1);
    assert_eq!(giveaway.read("spring").await.stock, [stock(5, 0, 0)]);
}

#[tokio::test]
async fn budget_is_added_once_for_each_request_id() {
    let (giveaway, before) = Giveaway::of(&[10, 20]).await;
    let more = addition("spring", "more", "tier-1", 5);
    let (after, replayed) = giveaway.add(&more, open()).await.unwrap();
    assert!(!replayed);
    assert_eq!(after.stock, [stock(10, 0, 0), stock(25, 0, 0)]);
    assert_eq!(after.revision, before.revision + 1);
    // Also when the campaign has ended since.
    let again = giveaway.add(&more, closed()).await.unwrap();
    assert_eq!(again, (after.clone(), true));
    for (tier, stock) in [("tier-1", 6), ("tier-0", 5)] {
        let other = addition("spring", "more", tier, stock);
        let refused = giveaway.add(&other, open()).await;
        refused!(refused, QuotaError::BudgetRequestIdTaken);
    }
    // It is still the campaign that it was made as.
    assert_eq!(giveaway.create("spring", &[10, 20]).await, after);
}

#[tokio::test]
async fn budget_needs_an_open_campaign_a_tier_of_it_and_room() {
    let (giveaway, _) = Giveaway::of(&[10]).await;
    let add = async |id, tier, more, now| giveaway.add(&addition(id, "a", tier, more), now).await;
    let refused = add("autumn", "tier-0", 1, open()).await;
    refused!(refused, QuotaError::CampaignNotFound);
    let refused = add("spring", "tier-0", 1, closed()).await;
    refused!(refused, QuotaError::CampaignClosed);
    let refused = add("spring", "tier-1", 1, open()).await;
    refused!(refused, QuotaError::InvalidFields(_));
    let refused = add("spring", "tier-0", MAX_STOCK, open()).await;
    refused!(refused, QuotaError::InvalidFields(_));
    let room = addition("spring", "e", "tier-0", MAX_STOCK - 10);
    let (full, _) = giveaway.add(&room, open()).await.unwrap();
    assert_eq!(full.stock[0].stock(), MAX_STOCK);
}

async fn pages(giveaway: &Giveaway, size: u8) -> Vec<String> {
    let (mut pages, mut before) = (Vec::new(), None);
    loop {
        let page = giveaway.campaigns.list(before, size).await.unwrap();
        let ids = page
            .campaigns
            .iter()
            .map(|campaign| campaign.terms.id.as_str());
        pages.push(ids.collect::<Vec<_>>().join(" "));
        before = page.next;
        if before.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn campaigns_are_listed_newest_first_and_page_by_page() {
    let giveaway = Giveaway::start().await;
    for id in ["a", "b", "c", "d", "e"] {
        giveaway.create(id, &[1, 2]).await;
    }
    assert_eq!(pages(&giveaway, 2).await, ["e d", "c b", "a"]);
    assert_eq!(pages(&giveaway, 5).await, ["e d c b a"]);
}

#[tokio::test]
async fn the_database_refuses_stock_that_does_not_add_up_and_terms_out_of_bounds() {
    let (giveaway, _) = Giveaway::of(&[10]).await;
    for (broken, constraint) in [
        ("free = free - 1", "conserve_stock"),
        ("free = -1, leased = 11", "free_is_not_negative"),
        ("free = 11, leased = -1", "leased_is_not_negative"),
        ("minimum_spend_minor_units = -1", "minimum_spend_in_range"),
        (
            "areas = array_fill('a'::text, ARRAY[101])",
            "areas_are_bounded",
        ),
        (
            "store_ids = array_fill('s'::text, ARRAY[1001])",
            "stores_are_bounded",
        ),
    ] {
        let broken = format!("UPDATE tiers SET {broken}");
        let refused = sqlx::query(&broken).execute(&giveaway.pool).await;
        let refused = refused.unwrap_err();
        let constraint = format!("tiers_{constraint}");
        assert_eq!(tidegate_pg::constraint(&refused), Some(&*constraint));
    }
}

#[tokio::test]
async fn work_nobody_waits_for_is_not_begun() {
    let giveaway = Giveaway::start().await;
    let (spring, late) = (terms("spring", &[1]), call_by(open(), Instant::now()));
    let refused = giveaway.campaigns.create(&spring, None, &late).await;
    refused!(refused, QuotaError::OutOfTime);
    assert_eq!(pages(&giveaway, 1).await, [""]);
}

#[tokio::test]
async fn connections_lost_are_overload_and_mend_themselves() {
    let (giveaway, campaign) = Giveaway::of(&[100]).await;
    let mut work = giveaway.locking(campaign.number).await;
    giveaway.database.lose_connections().await;
    let lost = work.lock_tiers(campaign.number).await.map(drop);
    let lost = work.end(lost).await.unwrap_err();
    assert!(matches!(lost, QuotaError::DatabaseAway(_)), "{lost:?}");
    let granted = giveaway.acquire(&request(campaign.number, &[], 1)).await;
    assert_eq!(granted.granted, counts(&[1]));
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_no_lock_and_no_change() {
    let (giveaway, campaign) = Giveaway::of(&[100]).await;
    let mut work = giveaway.locking(campaign.number).await;
    work.bump_revision(campaign.number).await.unwrap();
    drop(work);
    giveaway.acquire(&request(campaign.number, &[], 1)).await;
    assert_eq!(giveaway.read("spring").await.revision, campaign.revision);
}

/// What a transaction may idle for, and a margin for a busy machine.
const FREE_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_transaction_that_is_left_open_loses_its_locks_and_commits_nothing() {
    let giveaway = Giveaway::start().await;
    let pool = &giveaway.pool;
    let mut frozen = pool.begin().await.unwrap();
    frozen.execute("LOCK TABLE campaigns").await.unwrap();
    let read = pool.execute("SELECT FROM campaigns");
    timeout(FREE_WITHIN, read).await.unwrap().unwrap();
    let error = frozen.commit().await.unwrap_err();
    assert_eq!(fault(&error), Fault::ConnectionLost, "{error}");
}

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
async fn pages_end_early_before_they_name_too_many_stores_for_a_message() {
    let giveaway = Giveaway::start().await;
    let mut terms = terms("a", &[1; 9]);
    for tier in &mut terms.tiers {
        tier.terms = asking(0, &[], &stores(1_000));
    }
    for id in ["a", "b", "c"] {
        terms.id = CampaignId::parse(id).unwrap();
        giveaway.make(&terms).await.unwrap();
    }
    assert_eq!(pages(&giveaway, 100).await, ["c b", "a"]);
}
