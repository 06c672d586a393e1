//! What is over, on a real PostgreSQL and with an issuance behind gRPC.

use std::time::Duration;

use sqlx::Row as _;
use tidegate_quota::{
    QuotaError,
    audit::Auditor,
    domain::{AuditReport, LeaseRequest},
    history::History,
    issuance::IssuanceClient,
    store::Store,
    watch::Watch,
};
use tidegate_telemetry::{Registry, TraceContext, Tracing};
use tidegate_types::{CampaignId, Timestamp};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    database::{TestDatabase, with_database},
    giveaway::{Giveaway, closed, counts, later, open, request},
    issuance::{Issuance, Lease},
};

const RETENTION: Duration = Duration::from_secs(24 * 3_600);
/// Leases beyond what one round of an auditor compares first.
const MANY: i64 = 5_000;

fn history(giveaway: &Giveaway, store: &Store, client: IssuanceClient) -> History {
    let metrics = giveaway.metrics.clone();
    History::new(
        store.clone(),
        client,
        Tracing::disabled(),
        metrics,
        RETENTION,
    )
}

/// A settled lease of which three of five were used, at quota and at issuance.
async fn settled(giveaway: &Giveaway, issuance: &Issuance, id: &str) -> LeaseRequest {
    let campaign = giveaway.read(id).await.number;
    let asked = request(campaign, &[], 5);
    assert_eq!(giveaway.acquire(&asked).await.granted, counts(&[5]));
    issuance.install(asked.lease_id, 3, counts(&[5]), counts(&[3]));
    let used = issuance.seal(asked.lease_id);
    giveaway.settle(asked.lease_id, &used).await.unwrap();
    asked
}

async fn audit(auditor: &Auditor, id: &str) -> AuditReport {
    let id = CampaignId::parse(id).unwrap();
    let trace = TraceContext::new_root(false);
    auditor.audit(&id, later(), trace).await.unwrap().1
}

async fn count(database: &TestDatabase, counted: &str) -> i64 {
    sqlx::query_scalar(counted)
        .fetch_one(&database.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_archived_lease_still_counts_in_the_audit() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        giveaway.create("spring", &[100]).await;
        let lease = settled(&giveaway, &issuance, "spring").await.lease_id;
        let history = history(&giveaway, &database.store, client.clone());
        history.archive(closed()).await.unwrap();
        assert_eq!(
            count(&database, "SELECT count(*) FROM lease_tiers").await,
            0
        );
        let archived = "SELECT count(*) FROM leases WHERE archived_used = '{3}' AND wanted = '{}'";
        assert_eq!(count(&database, archived).await, 1);

        let auditor = Auditor::new(database.store.clone(), client, Tracing::disabled());
        let report = audit(&auditor, "spring").await;
        assert_eq!(report.differences, []);
        assert_eq!(
            (report.tiers[0].at.settled, report.tiers[0].coupons),
            (3, 3)
        );
        assert_eq!(report.coverage.leases, 1);

        // Neither the sums nor the lease itself may say otherwise.
        issuance.state().leases.get_mut(&lease).unwrap().used = counts(&[4]);
        let found = audit(&auditor, "spring").await.differences;
        assert_eq!(found[0].kind.name(), "settled_lease");
        issuance.state().leases.get_mut(&lease).unwrap().used = counts(&[3]);
        sqlx::query("UPDATE archived_lease_sums SET used = 4")
            .execute(&database.pool)
            .await
            .unwrap();
        let found = audit(&auditor, "spring").await.differences;
        assert_eq!(found[0].kind.name(), "stock");
    })
    .await;
}

#[tokio::test]
async fn an_archived_lease_answers_a_repeated_request_as_it_did_and_takes_no_other() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        giveaway.create("spring", &[100]).await;
        let asked = settled(&giveaway, &issuance, "spring").await;
        let history = history(&giveaway, &database.store, client);
        history.archive(closed()).await.unwrap();
        let before = giveaway.read("spring").await.stock;
        assert_eq!(giveaway.acquire(&asked).await.granted, counts(&[5]));
        let other = LeaseRequest {
            holder: tidegate_types::ReplicaId::parse("issuance-1").unwrap(),
            ..asked.clone()
        };
        let refused = giveaway.acquire_at(&other, open()).await;
        assert!(matches!(refused, Err(QuotaError::LeaseIdTaken)));
        giveaway
            .settle(asked.lease_id, &counts(&[3]))
            .await
            .unwrap();
        let refused = giveaway.settle(asked.lease_id, &counts(&[4])).await;
        assert!(matches!(refused, Err(QuotaError::LeaseSettledOtherwise)));
        assert_eq!(giveaway.read("spring").await.stock, before);
    })
    .await;
}

#[tokio::test]
async fn leases_are_forgotten_only_once_their_campaign_was_found_sound_and_can_grant_no_more() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        giveaway.create("spring", &[100]).await;
        let asked = settled(&giveaway, &issuance, "spring").await;
        let history = history(&giveaway, &database.store, client.clone());
        let past = closed() + RETENTION + Duration::from_secs(1);
        let leases = "SELECT count(*) FROM leases";
        history.round(past).await.unwrap();
        assert_eq!(count(&database, leases).await, 1, "nobody has audited it");
        audit_in_rounds(
            &database,
            &client,
            "tidegate_audit_differences{campaign_id=\"spring\"} 0",
        )
        .await;
        history.round(closed()).await.unwrap();
        assert_eq!(count(&database, leases).await, 1, "its time is not over");

        issuance.state().is_away = true;
        assert!(history.round(past).await.is_err());
        assert_eq!(
            count(&database, leases).await,
            1,
            "issuance could still install it"
        );
        // Whatever the clock of a replica says.
        let late = request(asked.campaign, &[], 5);
        let refused = giveaway.acquire_at(&late, open()).await;
        assert!(
            matches!(refused, Err(QuotaError::CampaignClosed)),
            "{refused:?}"
        );

        issuance.state().is_away = false;
        history.round(past).await.unwrap();
        assert_eq!(count(&database, leases).await, 0);
        assert!(issuance.state().retired.contains(&asked.campaign.get()));
        let refused = giveaway.acquire_at(&asked, open()).await;
        assert!(
            matches!(refused, Err(QuotaError::CampaignClosed)),
            "{refused:?}"
        );

        let auditor = Auditor::new(database.store.clone(), client, Tracing::disabled());
        issuance.state().leases.clear();
        issuance.state().archived_used = counts(&[3]);
        let report = audit(&auditor, "spring").await;
        assert_eq!(report.differences, []);
        assert!(report.coverage.leases_forgotten && report.coverage.is_complete);
        issuance.state().archived_used = counts(&[2]);
        let found = audit(&auditor, "spring").await.differences;
        assert_eq!(found[0].kind.name(), "settled_lease");
    })
    .await;
}

/// Many leases that are settled, one coupon each, at quota and at issuance.
pub async fn fill(database: &TestDatabase, issuance: &Issuance, campaign: i32) {
    let filled = "WITH many AS (
            INSERT INTO leases (lease_id, campaign_number, lane, holder_id, wanted, wanted_of_any_tier, granted_at, settled_at, sealed_because, archived_granted, archived_used)
            SELECT lpad(to_hex(number), 32, '0')::uuid, $1, 3, 'issuance-0', '{}', 1, now(), now(), 'RETURNED', '{1}', '{1}' FROM generate_series(1, $2) AS number
        ), summed AS (
            INSERT INTO archived_lease_sums (campaign_number, tier_number, leases, used) VALUES ($1, 0, $2, $2)
        )
        UPDATE tiers SET free = free - $2, settled = settled + $2 WHERE campaign_number = $1";
    sqlx::query(filled)
        .bind(campaign)
        .bind(MANY)
        .execute(&database.pool)
        .await
        .unwrap();
    let lease = Lease {
        lane: 3,
        is_sealed: true,
        granted: counts(&[1]),
        used: counts(&[1]),
    };
    let ids = (1..=MANY as u128).map(Uuid::from_u128);
    issuance.state().leases.extend(ids.map(|id| (id, lease)));
}

/// Lets an auditor run until its metrics show a line.
async fn audit_in_rounds(database: &TestDatabase, client: &IssuanceClient, line: &str) {
    let (watch, _) = Watch::new(database.store.clone(), CancellationToken::new());
    let mut registry = Registry::default();
    let metrics = tidegate_quota::Metrics::register(&mut registry, watch);
    let auditor = Auditor::new(database.store.clone(), client.clone(), Tracing::disabled());
    let stop = CancellationToken::new();
    let interval = Duration::from_millis(20);
    let running = tokio::spawn(auditor.run(metrics, interval, stop.clone()));
    let shown = async {
        let mut shown = String::new();
        while !shown.contains(line) {
            sleep(Duration::from_millis(20)).await;
            shown.clear();
            prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
        }
    };
    timeout(Duration::from_secs(120), shown).await.unwrap();
    stop.cancel();
    running.await.unwrap();
}

/// Goes on until a pass over all leases is complete: it rests between its pages, so that may take some rounds.
async fn audit_all_in_rounds(
    database: &TestDatabase,
    client: &IssuanceClient,
    line: &str,
) -> Timestamp {
    let auditor = Auditor::new(database.store.clone(), client.clone(), Tracing::disabled());
    let rounds = async {
        loop {
            audit_in_rounds(database, client, line).await;
            let covered = audit(&auditor, "spring").await.coverage;
            if let Some(complete_at) = covered.last_complete_at {
                return complete_at;
            }
        }
    };
    timeout(Duration::from_secs(120), rounds).await.unwrap()
}

#[tokio::test]
async fn a_lease_that_disagrees_is_found_however_old_it_is() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let campaign = giveaway.create("spring", &[100_000]).await;
        fill(&database, &issuance, campaign.number.get() as i32).await;
        let line = |differences: u64| {
            format!("tidegate_audit_differences{{campaign_id=\"spring\"}} {differences}\n")
        };
        audit_all_in_rounds(&database, &client, &line(0)).await;
        let newest = issuance.state().inspections[0].clone();
        assert_eq!(newest[0], Uuid::from_u128(MANY as u128), "newest first");
        let oldest = Uuid::from_u128(1);
        issuance.state().leases.get_mut(&oldest).unwrap().used = counts(&[0]);
        sqlx::query("UPDATE audit_passes SET complete_at = '2026-01-01 00:00Z'")
            .execute(&database.pool)
            .await
            .unwrap();
        audit_in_rounds(
            &database,
            &client,
            "tidegate_audit_runs_total{outcome=\"different\"}",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_audit_says_what_it_covered_and_how_old_the_last_one_of_all_leases_is() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let (issuance, client) = Issuance::start().await;
        let campaign = giveaway.create("spring", &[100_000]).await;
        fill(&database, &issuance, campaign.number.get() as i32).await;
        let auditor = Auditor::new(database.store.clone(), client.clone(), Tracing::disabled());
        let whole = audit(&auditor, "spring").await.coverage;
        assert_eq!((whole.leases, whole.leases_left_out), (MANY as u64, 0));
        assert_eq!(whole.oldest_lease, Some(Uuid::from_u128(1)));
        assert_eq!((whole.is_complete, whole.last_complete_at), (true, None));

        let began = Timestamp::now_utc();
        let left_out = "tidegate_audit_leases_left_out{campaign_id=\"spring\"} 3000\n";
        let complete_at = audit_all_in_rounds(&database, &client, left_out).await;
        assert!(complete_at > began - Duration::from_secs(1));
        let kept = sqlx::query(
            "SELECT leases_compared, complete_leases, complete_is_final FROM audit_passes",
        )
        .fetch_one(&database.pool)
        .await
        .unwrap();
        assert_eq!(
            (kept.get::<i64, _>(0), kept.get::<i64, _>(1)),
            (2_000, MANY)
        );
        assert!(
            kept.get::<bool, _>(2),
            "it has closed and has nothing on lease"
        );
    })
    .await;
}

#[tokio::test]
async fn two_replicas_audit_in_turns_and_a_dead_one_loses_its_turn() {
    with_database(async |database| {
        let turn = Duration::from_millis(600);
        let take = async |auditor: &str| {
            let mut work = database.store.begin_read().await.unwrap();
            let taken = work.take_audit_turn(auditor, turn).await;
            work.end(taken).await.unwrap()
        };
        assert!(take("one").await);
        assert!(!take("two").await);
        assert!(take("one").await, "its own turn it keeps");
        sleep(turn + Duration::from_millis(50)).await;
        assert!(take("two").await, "the first is taken for dead");
        assert!(!take("one").await, "one that was held still has lost it");
        let mut work = database.store.begin_read().await.unwrap();
        let ended = work.end_audit_turn("two").await;
        work.end(ended).await.unwrap();
        assert!(take("one").await, "given up at once");
    })
    .await;
}
