//! Taking leases back, on a real PostgreSQL and with an issuance behind gRPC.

use std::time::Duration;

use crate::giveaway::{Giveaway, closed, counts, open, request, stock};
use crate::issuance::Issuance;
use tidegate_quota::{
    domain::{Campaign, LeaseRequest},
    error::QuotaError,
    issuance::IssuanceClient,
    reclaim::Reclaimer,
};
use tidegate_types::{CampaignNumber, ReplicaId};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The lease holder of every lease that `request` asks for.
pub fn holder() -> ReplicaId {
    ReplicaId::parse("issuance-0").unwrap()
}

pub async fn reclaiming(giveaway: &Giveaway) -> (Issuance, Reclaimer) {
    let (issuance, client) = Issuance::start().await;
    (issuance, reclaimer(giveaway, client))
}

pub async fn lending(stock: u64) -> (Giveaway, Campaign, Issuance, Reclaimer) {
    let (giveaway, campaign) = Giveaway::of(&[stock]).await;
    let (issuance, reclaimer) = reclaiming(&giveaway).await;
    (giveaway, campaign, issuance, reclaimer)
}

/// The reclaimer runs until the test ends. Its readings are a minute apart: whatever is sealed
/// within a test is sealed because something woke it.
pub fn run(reclaimer: Reclaimer) {
    tokio::spawn(reclaimer.run(Duration::from_secs(600), CancellationToken::new()));
}

pub fn reclaimer(giveaway: &Giveaway, client: IssuanceClient) -> Reclaimer {
    Reclaimer {
        store: giveaway.store.clone(),
        leases: giveaway.leases.clone(),
        issuance: client,
        metrics: giveaway.metrics.clone(),
        wake: giveaway.controls.reclaimer.clone(),
    }
}

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
pub async fn sealed_because(giveaway: &Giveaway, lease_id: Uuid) -> Option<String> {
    let query = format!("SELECT sealed_because FROM leases WHERE lease_id = '{lease_id}'");
    giveaway.database.ask(&query).await
}

#[tokio::test]
async fn a_silent_holders_leases_are_sealed_and_then_credited_once() {
    let (giveaway, campaign, issuance, reclaimer) = lending(100).await;
    let spent = spend(&giveaway, &issuance, campaign.number, 3).await;
    // Granted, and never installed: its answer was lost.
    let lost = request(campaign.number, &[], 5);
    giveaway.acquire(&lost).await;

    reclaimer.reclaim(&[], open()).await.unwrap();
    assert_eq!(giveaway.read("spring").await.stock, [stock(90, 10, 0)]);
    for _ in 0..2 {
        reclaimer.reclaim(&[holder()], open()).await.unwrap();
        assert_eq!(giveaway.read("spring").await.stock, [stock(97, 0, 3)]);
    }
    for lease_id in [spent.lease_id, lost.lease_id] {
        assert!(issuance.state().leases[&lease_id].is_sealed);
    }
    assert_eq!(issuance.state().seals.len(), 1);
    let because = sealed_because(&giveaway, spent.lease_id).await;
    assert_eq!(because.as_deref(), Some("SILENT"));
}

#[tokio::test]
async fn leases_of_a_campaign_that_has_ended_are_taken_back() {
    let (giveaway, campaign, issuance, reclaimer) = lending(100).await;
    let asked = spend(&giveaway, &issuance, campaign.number, 3).await;
    reclaimer.reclaim(&[], closed()).await.unwrap();
    assert_eq!(giveaway.read("spring").await.stock, [stock(97, 0, 3)]);
    let because = sealed_because(&giveaway, asked.lease_id).await;
    assert_eq!(because.as_deref(), Some("CLOSED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_credited_once_when_its_holder_returns_it_while_two_replicas_reclaim_it() {
    const ROUNDS: u64 = 20;
    let (giveaway, campaign, issuance, one) = lending(1_000).await;
    let other = reclaimer(&giveaway, issuance.client().await);
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
    assert_eq!(stock_now, [stock(1_000 - spent, 0, spent)]);
}

#[tokio::test]
async fn a_lease_that_issuance_and_its_holder_disagree_about_keeps_no_other_from_coming_back() {
    let (giveaway, campaign, issuance, reclaimer) = lending(100).await;
    let overspent = spend(&giveaway, &issuance, campaign.number, 6).await;
    for _ in 0..4 {
        spend(&giveaway, &issuance, campaign.number, 1).await;
    }
    let failed = reclaimer.reclaim(&[holder()], open()).await;
    refused!(failed, QuotaError::SealDisagrees { lease_id, why } if lease_id == overspent.lease_id && why.contains("at most 5"));
    assert_eq!(giveaway.read("spring").await.stock, [stock(91, 5, 4)]);
}

#[tokio::test]
async fn more_leases_than_one_call_takes_are_taken_back_in_several() {
    let (giveaway, _, issuance, reclaimer) = lending(100_000).await;
    giveaway.database.execute("WITH many AS (INSERT INTO leases (lease_id, campaign_number, lane, holder_id, wanted, wanted_of_any_tier, granted_at) SELECT gen_random_uuid(), 1, 0, 'issuance-0', array_fill(0::bigint, ARRAY[16]), 1, now() FROM generate_series(1, 1200) RETURNING lease_id), lent AS (UPDATE tiers SET free = free - 1200, leased = leased + 1200) INSERT INTO lease_tiers (lease_id, tier_number, granted) SELECT lease_id, 0, 1 FROM many").await;
    reclaimer.reclaim(&[holder()], open()).await.unwrap();
    assert_eq!(giveaway.read("spring").await.stock, [stock(100_000, 0, 0)]);
    let sizes: Vec<_> = issuance.state().seals.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1_000, 200]);
}
