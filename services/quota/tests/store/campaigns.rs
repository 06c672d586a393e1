//! Campaigns on a real PostgreSQL.

use std::time::Instant;

use crate::database::with_database;
use crate::giveaway::{Giveaway, call, call_by, closed, counts, later, open, request, terms};
use tidegate_pg::Database;
use tidegate_quota::{
    QuotaError,
    campaigns::BudgetAddition,
    domain::{Availability, TierStock},
    store::Store,
};
use tidegate_types::{CampaignId, ChangeReason, MAX_STOCK, RequestId, TierId};

fn addition(campaign: &str, request_id: &str, tier: &str, additional_stock: u64) -> BudgetAddition {
    BudgetAddition {
        campaign: CampaignId::parse(campaign).unwrap(),
        request_id: RequestId::parse(request_id).unwrap(),
        tier: TierId::parse(tier).unwrap(),
        additional_stock,
        reason: ChangeReason::parse("more cups").unwrap(),
    }
}

#[tokio::test]
async fn the_same_campaign_again_is_the_campaign_there_is() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let first = giveaway.create("spring", &[10, 20]).await;
        assert_eq!(first.terms, terms("spring", &[10, 20]));
        assert_eq!(giveaway.create("spring", &[10, 20]).await, first);
        assert_eq!(giveaway.read("spring").await, first);
        let other = giveaway
            .campaigns
            .create(&terms("spring", &[10, 21]), None, &call(open()))
            .await;
        assert!(
            matches!(other, Err(QuotaError::CampaignIdTaken)),
            "{other:?}"
        );
        // It is still the same campaign after budget was added.
        let more = addition("spring", "more", "tier-1", 1);
        giveaway
            .campaigns
            .add_budget(&more, &call(open()))
            .await
            .unwrap();
        let again = giveaway.create("spring", &[10, 20]).await;
        assert_eq!((again.number, again.stock[1].stock()), (first.number, 21));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_made_by_16_callers_at_once_is_made_once() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let made: Vec<_> = (0..16)
            .map(|_| {
                let giveaway = giveaway.clone();
                tokio::spawn(async move { giveaway.create("spring", &[5]).await.number })
            })
            .collect();
        let mut numbers = Vec::new();
        for number in made {
            numbers.push(number.await.unwrap());
        }
        numbers.dedup();
        assert_eq!(numbers.len(), 1);
        assert_eq!(
            giveaway.read("spring").await.stock,
            [TierStock {
                free: 5,
                leased: 0,
                settled: 0
            }]
        );
    })
    .await;
}

#[tokio::test]
async fn budget_is_added_once_for_each_request_id() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let campaigns = giveaway.campaigns.clone();
        let before = giveaway.create("spring", &[10, 20]).await;
        let more = addition("spring", "more", "tier-1", 5);
        let (after, replayed) = campaigns.add_budget(&more, &call(open())).await.unwrap();
        assert!(!replayed);
        assert_eq!(
            after.stock.iter().map(|tier| tier.free).collect::<Vec<_>>(),
            [10, 25]
        );
        assert_eq!(after.revision, before.revision + 1);
        // Also when the campaign has ended since.
        let again = campaigns.add_budget(&more, &call(closed())).await.unwrap();
        assert_eq!(again, (after, true));
        for other in [
            addition("spring", "more", "tier-1", 6),
            addition("spring", "more", "tier-0", 5),
        ] {
            let refused = campaigns.add_budget(&other, &call(open())).await;
            assert!(
                matches!(refused, Err(QuotaError::BudgetRequestIdTaken)),
                "{refused:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn budget_needs_an_open_campaign_a_tier_of_it_and_room() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        giveaway.create("spring", &[10]).await;
        let add = async |addition: BudgetAddition, now| {
            giveaway
                .campaigns
                .add_budget(&addition, &call(now))
                .await
                .unwrap_err()
        };
        assert!(matches!(
            add(addition("autumn", "a", "tier-0", 1), open()).await,
            QuotaError::CampaignNotFound
        ));
        assert!(matches!(
            add(addition("spring", "b", "tier-0", 1), closed()).await,
            QuotaError::CampaignClosed
        ));
        assert!(matches!(
            add(addition("spring", "c", "tier-1", 1), open()).await,
            QuotaError::InvalidFields(_)
        ));
        assert!(matches!(
            add(addition("spring", "d", "tier-0", MAX_STOCK), open()).await,
            QuotaError::InvalidFields(_)
        ));
        let room = addition("spring", "e", "tier-0", MAX_STOCK - 10);
        let (full, _) = giveaway
            .campaigns
            .add_budget(&room, &call(open()))
            .await
            .unwrap();
        assert_eq!(full.stock[0].stock(), MAX_STOCK);
    })
    .await;
}

#[tokio::test]
async fn budget_added_after_the_sell_out_opens_the_giveaway_again() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let campaign = giveaway.create("spring", &[1]).await;
        let asked = request(campaign.number, &[], 1);
        giveaway.acquire(&asked).await;
        giveaway
            .settle(asked.lease_id, &counts(&[1]))
            .await
            .unwrap();
        assert!(giveaway.read("spring").await.sold_out());
        let more = addition("spring", "more", "tier-0", 1);
        let (campaign, _) = giveaway
            .campaigns
            .add_budget(&more, &call(open()))
            .await
            .unwrap();
        assert!(!campaign.sold_out());
        let granted = giveaway.acquire(&request(campaign.number, &[], 1)).await;
        assert_eq!(granted.availability, Availability::Granted);
    })
    .await;
}

#[tokio::test]
async fn campaigns_are_listed_newest_first_and_page_by_page() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        for id in ["a", "b", "c", "d", "e"] {
            giveaway.create(id, &[1, 2]).await;
        }
        let (mut ids, mut before) = (Vec::new(), None);
        loop {
            let page = giveaway.campaigns.list(before, 2).await.unwrap();
            assert!(page.campaigns.len() <= 2);
            ids.extend(
                page.campaigns
                    .iter()
                    .map(|campaign| campaign.terms.id.to_string()),
            );
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(ids, ["e", "d", "c", "b", "a"]);
        assert_eq!(giveaway.campaigns.list(None, 5).await.unwrap().next, None);
    })
    .await;
}

#[tokio::test]
async fn a_migration_that_widens_the_view_breaks_no_statement_that_is_prepared() {
    with_database(async |database| {
        // One connection, which has prepared its statements before the migration.
        let pool = Database::parse(&database.url, "tidegate-quota-test")
            .unwrap()
            .pool(1);
        let store = Store::new(pool);
        let giveaway = Giveaway::new(&store);
        let spring = giveaway.create("spring", &[10]).await;
        assert_eq!(giveaway.read("spring").await, spring);
        sqlx::raw_sql(
            "DO $$ DECLARE definition text := rtrim(pg_get_viewdef('campaign_states'), ';'); BEGIN
                DROP VIEW campaign_states;
                EXECUTE 'CREATE VIEW campaign_states AS SELECT now() AS added, states.* FROM (' || definition || ') AS states';
            END $$",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        assert_eq!(giveaway.read("spring").await, spring);
    })
    .await;
}

#[tokio::test]
async fn the_database_refuses_stock_that_does_not_add_up() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        giveaway.create("spring", &[10]).await;
        for (broken, constraint) in [
            ("UPDATE tiers SET free = free - 1", "tiers_conserve_stock"),
            (
                "UPDATE tiers SET free = -1, leased = 11",
                "tiers_free_is_not_negative",
            ),
            (
                "UPDATE tiers SET free = 11, leased = -1",
                "tiers_leased_is_not_negative",
            ),
        ] {
            let refused = sqlx::query(broken)
                .execute(&database.pool)
                .await
                .unwrap_err();
            assert_eq!(tidegate_pg::constraint(&refused), Some(constraint));
        }
    })
    .await;
}

#[tokio::test]
async fn work_nobody_waits_for_is_not_begun() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let late = giveaway
            .campaigns
            .create(
                &terms("spring", &[1]),
                None,
                &call_by(open(), Instant::now()),
            )
            .await;
        assert!(matches!(late, Err(QuotaError::OutOfTime)), "{late:?}");
        assert_eq!(
            giveaway.campaigns.list(None, 1).await.unwrap().campaigns,
            []
        );
    })
    .await;
}

#[tokio::test]
async fn connections_lost_are_overload_and_mend_themselves() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let campaign = giveaway.create("spring", &[100]).await;
        let mut work = database.store.begin(later()).await.unwrap();
        work.lock_tiers(campaign.number).await.unwrap();
        sqlx::query("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
            .execute(&database.pool)
            .await
            .unwrap();
        let lost = work.lock_tiers(campaign.number).await.map(drop);
        let lost = work.end(lost).await.unwrap_err();
        assert!(matches!(lost, QuotaError::DatabaseAway(_)), "{lost:?}");
        let granted = giveaway.acquire(&request(campaign.number, &[], 1)).await;
        assert_eq!(granted.granted, counts(&[1]));
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_no_lock_and_no_change() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let campaign = giveaway.create("spring", &[100]).await;
        let mut work = database.store.begin(later()).await.unwrap();
        work.lock_tiers(campaign.number).await.unwrap();
        work.bump_revision(campaign.number).await.unwrap();
        drop(work);
        giveaway.acquire(&request(campaign.number, &[], 1)).await;
        assert_eq!(giveaway.read("spring").await.revision, campaign.revision);
    })
    .await;
}
