//! Taking leases back, on a real PostgreSQL and with an issuance behind gRPC.

use crate::database::{TestDatabase, with_database};
use crate::giveaway::{Giveaway, closed, counts, open, request};
use crate::issuance::Issuance;
use tidegate_quota::{
    QuotaError,
    domain::{LeaseRequest, TierStock},
    issuance::IssuanceClient,
    reclaim::Reclaimer,
    store::Store,
};
use tidegate_telemetry::Tracing;
use tidegate_types::{CampaignNumber, ReplicaId};
use uuid::Uuid;

/// The holder of every lease that `request` asks for.
pub fn holder() -> ReplicaId {
    ReplicaId::parse("issuance-0").unwrap()
}

/// A reclaimer of one quota replica.
pub fn reclaimer(giveaway: &Giveaway, store: &Store, client: IssuanceClient) -> Reclaimer {
    Reclaimer::new(
        store.clone(),
        giveaway.leases.clone(),
        client,
        Tracing::disabled(),
        giveaway.metrics.clone(),
        giveaway.wake.clone(),
    )
}

/// Acquires a lease and spends from it.
pub async fn spend(
    giveaway: &Giveaway,
    issuance: &Issuance,
    campaign: CampaignNumber,
    used: u64,
) -> LeaseRequest {
    let asked = request(campaign, &[], 5);
    let granted = giveaway.acquire(&asked).await.granted;
    assert_eq!(granted, counts(&[5]));
    let lane = asked.lane.get().into();
    issuance.install(asked.lease_id, lane, granted, counts(&[used]));
    asked
}

/// Why a lease was sealed, once it is settled.
pub async fn sealed_because(database: &TestDatabase, lease_id: Uuid) -> Option<String> {
    sqlx::query_scalar("SELECT sealed_because FROM leases WHERE lease_id = $1")
        .bind(lease_id)
        .fetch_one(&database.pool)
        .await
        .unwrap()
}

fn stock(free: u64, leased: u64, settled: u64) -> [TierStock; 1] {
    [TierStock {
        free,
        leased,
        settled,
    }]
}

#[tokio::test]
async fn a_silent_holders_leases_are_sealed_and_then_credited_once() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create("spring", &[100]).await;
        let spent = spend(&giveaway, &issuance, campaign.number, 3).await;
        // Granted, and never installed: its answer was lost.
        let lost = request(campaign.number, &[], 5);
        giveaway.acquire(&lost).await;

        reclaimer.reclaim(&[], open()).await.unwrap();
        assert_eq!(giveaway.read("spring").await.stock, stock(90, 10, 0));
        for _ in 0..2 {
            reclaimer.reclaim(&[holder()], open()).await.unwrap();
            assert_eq!(giveaway.read("spring").await.stock, stock(97, 0, 3));
        }
        for lease_id in [spent.lease_id, lost.lease_id] {
            assert!(issuance.state().leases[&lease_id].is_sealed);
        }
        assert_eq!(issuance.state().seals.len(), 1);
        let because = sealed_because(&database, spent.lease_id).await;
        assert_eq!(because.as_deref(), Some("SILENT"));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_credited_while_issuance_is_away() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create("spring", &[100]).await;
        spend(&giveaway, &issuance, campaign.number, 3).await;
        issuance.state().is_away = true;
        for _ in 0..3 {
            let failed = reclaimer.reclaim(&[holder()], open()).await;
            assert!(
                matches!(failed, Err(QuotaError::IssuanceAway(_))),
                "{failed:?}"
            );
            assert_eq!(giveaway.read("spring").await.stock, stock(95, 5, 0));
        }
        issuance.state().is_away = false;
        reclaimer.reclaim(&[holder()], open()).await.unwrap();
        assert_eq!(giveaway.read("spring").await.stock, stock(97, 0, 3));
    })
    .await;
}

#[tokio::test]
async fn leases_of_a_campaign_that_has_ended_are_taken_back() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create("spring", &[100]).await;
        let asked = spend(&giveaway, &issuance, campaign.number, 3).await;
        reclaimer.reclaim(&[], closed()).await.unwrap();
        assert_eq!(giveaway.read("spring").await.stock, stock(97, 0, 3));
        let because = sealed_because(&database, asked.lease_id).await;
        assert_eq!(because.as_deref(), Some("CLOSED"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_credited_once_when_its_holder_returns_it_while_two_replicas_reclaim_it() {
    const ROUNDS: u64 = 20;
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let one = reclaimer(&giveaway, &database.store, client.clone());
        let other = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create("spring", &[1_000]).await;
        for _ in 0..ROUNDS {
            let asked = spend(&giveaway, &issuance, campaign.number, 2).await;
            let used = issuance.seal(asked.lease_id);
            let silent = [holder()];
            let (returned, one, other) = tokio::join!(
                giveaway.settle(asked.lease_id, &used),
                one.reclaim(&silent, open()),
                other.reclaim(&silent, open()),
            );
            returned.unwrap();
            one.unwrap();
            other.unwrap();
        }
        let spent = 2 * ROUNDS;
        let stock_now = giveaway.read("spring").await.stock;
        assert_eq!(stock_now, stock(1_000 - spent, 0, spent));
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_issuance_and_its_holder_disagree_about_keeps_no_other_from_coming_back() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create("spring", &[100]).await;
        let overspent = spend(&giveaway, &issuance, campaign.number, 6).await;
        for _ in 0..4 {
            spend(&giveaway, &issuance, campaign.number, 1).await;
        }
        let failed = reclaimer.reclaim(&[holder()], open()).await;
        assert!(
            matches!(&failed, Err(QuotaError::SealDisagrees { lease_id, why }) if *lease_id == overspent.lease_id && why.contains("at most 5")),
            "{failed:?}"
        );
        assert_eq!(giveaway.read("spring").await.stock, stock(91, 5, 4));
    })
    .await;
}

#[tokio::test]
async fn more_leases_than_one_call_takes_are_taken_back_in_several() {
    const LEASES: i64 = 1_200;
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let campaign = giveaway.create("spring", &[100_000]).await;
        sqlx::query("WITH many AS (INSERT INTO leases (lease_id, campaign_number, lane, holder_id, wanted, wanted_of_any_tier, granted_at) SELECT gen_random_uuid(), $1, 0, 'issuance-0', array_fill(0::bigint, ARRAY[16]), 1, now() FROM generate_series(1, $2) RETURNING lease_id), lent AS (UPDATE tiers SET free = free - $2, leased = leased + $2) INSERT INTO lease_tiers (lease_id, tier_number, granted) SELECT lease_id, 0, 1 FROM many")
            .bind(campaign.number.get() as i32)
            .bind(LEASES)
            .execute(&database.pool)
            .await
            .unwrap();
        reclaimer.reclaim(&[holder()], open()).await.unwrap();
        assert_eq!(giveaway.read("spring").await.stock, stock(100_000, 0, 0));
        let sizes: Vec<_> = issuance.state().seals.iter().map(Vec::len).collect();
        assert_eq!(sizes, [1_000, 200]);
    })
    .await;
}
