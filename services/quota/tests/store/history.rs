//! What is over, on a real PostgreSQL and with an issuance behind gRPC.

use std::time::Duration;

use sqlx::{Connection as _, PgPool, Row as _};
use tidegate_quota::{
    domain::LeaseRequest, error::QuotaError, history::History, issuance::IssuanceClient,
};
use tidegate_types::{ReplicaId, Timestamp};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::{
    audit::Audits,
    giveaway::{Giveaway, closed, counts, open, request},
    issuance::{Issuance, Lease},
};

const RETENTION: Duration = Duration::from_secs(24 * 3_600);
/// Leases beyond what one round of an auditor compares first.
const MANY: i64 = 5_000;

fn history(giveaway: &Giveaway, client: IssuanceClient) -> History {
    History {
        store: giveaway.store.clone(),
        issuance: client,
        metrics: giveaway.metrics.clone(),
        retention: RETENTION,
    }
}

/// A settled lease of which three of five were used, at quota and at issuance.
async fn settled(giveaway: &Giveaway, issuance: &Issuance) -> LeaseRequest {
    let campaign = giveaway.read("spring").await.number;
    let asked = request(campaign, &[], 5);
    assert_eq!(giveaway.acquire(&asked).await.granted, counts(&[5]));
    issuance.install(asked.lease_id, 3, counts(&[5]), counts(&[3]));
    let used = issuance.seal(asked.lease_id);
    giveaway.settle(asked.lease_id, &used).await.unwrap();
    asked
}

#[tokio::test]
async fn an_archived_lease_still_counts_in_the_audit() {
    let (giveaway, _) = Giveaway::of(&[100]).await;
    let (issuance, client) = Issuance::start().await;
    let lease = settled(&giveaway, &issuance).await.lease_id;
    let history = history(&giveaway, client.clone());
    history.archive(closed()).await.unwrap();
    assert_eq!(giveaway.database.count("lease_tiers").await, 0);
    let archived = "leases WHERE archived_used = '{3}' AND wanted = '{}'";
    assert_eq!(giveaway.database.count(archived).await, 1);

    let auditor = Audits::new(&giveaway, &client);
    let report = auditor.audit_spring().await;
    assert_eq!(report.differences, []);
    let tier = report.tiers[0];
    assert_eq!((tier.at.settled, tier.coupons), (3, 3));
    assert_eq!(report.coverage.leases, 1);

    // Neither the sums nor the lease itself may say otherwise.
    issuance.state().leases.get_mut(&lease).unwrap().used = counts(&[4]);
    let found = auditor.audit_spring().await.differences;
    assert_eq!(found[0].kind.name(), "settled_lease");
    issuance.state().leases.get_mut(&lease).unwrap().used = counts(&[3]);
    let other = "UPDATE archived_lease_sums SET used = 4";
    giveaway.database.execute(other).await;
    let found = auditor.audit_spring().await.differences;
    assert_eq!(found[0].kind.name(), "stock");
}

#[tokio::test]
async fn an_archived_lease_answers_a_repeated_request_as_it_did_and_takes_no_other() {
    let (giveaway, _) = Giveaway::of(&[100]).await;
    let (issuance, client) = Issuance::start().await;
    let asked = settled(&giveaway, &issuance).await;
    let history = history(&giveaway, client);
    history.archive(closed()).await.unwrap();
    let before = giveaway.read("spring").await.stock;
    assert_eq!(giveaway.acquire(&asked).await.granted, counts(&[5]));
    let other = LeaseRequest {
        holder: ReplicaId::parse("issuance-1").unwrap(),
        ..asked.clone()
    };
    let refused = giveaway.acquire_at(&other, open()).await;
    refused!(refused, QuotaError::LeaseIdTaken);
    giveaway.give_back(asked.lease_id, &[3]).await;
    let refused = giveaway.settle(asked.lease_id, &counts(&[4])).await;
    refused!(refused, QuotaError::LeaseSettledOtherwise);
    assert_eq!(giveaway.read("spring").await.stock, before);
}

#[tokio::test]
async fn leases_are_forgotten_only_once_their_campaign_was_found_sound_and_can_grant_no_more() {
    let (giveaway, _) = Giveaway::of(&[100]).await;
    let (issuance, client) = Issuance::start().await;
    let asked = settled(&giveaway, &issuance).await;
    let history = history(&giveaway, client.clone());
    let past = closed() + RETENTION + Duration::from_secs(1);
    let leases = async || giveaway.database.count("leases").await;
    history.round(past).await.unwrap();
    assert_eq!(leases().await, 1, "nobody has audited it");
    let auditor = Audits::new(&giveaway, &client);
    let sound = "tidegate_audit_differences{campaign_id=\"spring\"} 0";
    auditor.run_until(sound).await;
    history.round(closed()).await.unwrap();
    assert_eq!(leases().await, 1, "its time is not over");

    // Another campaign, whose tiers are lost, would be retired before it.
    let lost = "INSERT INTO campaigns OVERRIDING SYSTEM VALUE
         SELECT (jsonb_populate_record(campaigns, jsonb_build_object('campaign_number', 99, 'campaign_id', 'lost', 'closes_at', closes_at - interval '1 second'))).* FROM campaigns;
         INSERT INTO audit_passes SELECT (jsonb_populate_record(audit_passes, '{\"campaign_number\": 99}')).* FROM audit_passes";
    giveaway.database.execute(lost).await;
    issuance.state().is_away = true;
    assert!(history.round(past).await.is_err());
    assert_eq!(leases().await, 1, "issuance could still install it");
    // Whatever the clock of a replica says.
    let refused = giveaway.acquire_one(asked.campaign, open()).await;
    refused!(refused, QuotaError::CampaignClosed);

    issuance.state().is_away = false;
    history.round(past).await.unwrap();
    assert_eq!(leases().await, 0);
    assert!(issuance.state().retired.contains(&asked.campaign.get()));
    let refused = giveaway.acquire_at(&asked, open()).await;
    refused!(refused, QuotaError::CampaignClosed);

    issuance.state().leases.clear();
    issuance.state().archived_used = counts(&[3]);
    let report = auditor.audit_spring().await;
    assert_eq!(report.differences, []);
    assert!(report.coverage.leases_forgotten && report.coverage.is_complete);
    issuance.state().archived_used = counts(&[2]);
    let found = auditor.audit_spring().await.differences;
    assert_eq!(found[0].kind.name(), "settled_lease");
}

/// Many leases that are settled, one coupon each, at quota and at issuance.
async fn fill(giveaway: &Giveaway, issuance: &Issuance) {
    let filled = format!(
        "WITH many AS (
            INSERT INTO leases (lease_id, campaign_number, lane, holder_id, wanted, wanted_of_any_tier, granted_at, settled_at, sealed_because, archived_granted, archived_used)
            SELECT lpad(to_hex(number), 32, '0')::uuid, 1, 3, 'issuance-0', '{{}}', 1, now(), now(), 'RETURNED', '{{1}}', '{{1}}' FROM generate_series(1, {MANY}) AS number
        ), summed AS (
            INSERT INTO archived_lease_sums (campaign_number, tier_number, leases, used) VALUES (1, 0, {MANY}, {MANY})
        )
        UPDATE tiers SET free = free - {MANY}, settled = settled + {MANY} WHERE campaign_number = 1"
    );
    giveaway.database.execute(&filled).await;
    let lease = Lease {
        lane: 3,
        is_sealed: true,
        granted: counts(&[1]),
        used: counts(&[1]),
    };
    let ids = (1..=MANY as u128).map(Uuid::from_u128);
    issuance.state().leases.extend(ids.map(|id| (id, lease)));
}

#[tokio::test]
async fn an_audit_says_what_it_covered_and_a_lease_that_disagrees_is_found_however_old_it_is() {
    let (giveaway, _) = Giveaway::of(&[100_000]).await;
    let (issuance, client) = Issuance::start().await;
    fill(&giveaway, &issuance).await;
    let audits = Audits::new(&giveaway, &client);
    let whole = audits.audit_spring().await.coverage;
    assert_eq!((whole.leases, whole.leases_left_out), (MANY as u64, 0));
    let oldest = Uuid::from_u128(1);
    assert_eq!(whole.oldest_lease, Some(oldest));
    assert_eq!((whole.is_complete, whole.last_complete_at), (true, None));

    let began = Timestamp::now_utc();
    let audits = Audits::new(&giveaway, &client);
    // An auditor rests between its pages, so a pass over all leases may take some rounds.
    let rounds = async {
        loop {
            let left_out = "tidegate_audit_leases_left_out{campaign_id=\"spring\"} 3000\n";
            let shown = audits.run_until(left_out).await;
            let sound = "tidegate_audit_differences{campaign_id=\"spring\"} 0\n";
            assert!(shown.contains(sound), "{shown}");
            for age in [
                "age_milliseconds ",
                "complete_age_seconds{campaign_id=\"spring\"} ",
            ] {
                assert!(shown.contains(&format!("tidegate_audit_{age}")), "{shown}");
            }
            if let Some(complete_at) = audits.audit_spring().await.coverage.last_complete_at {
                return complete_at;
            }
        }
    };
    let complete_at = timeout(Duration::from_secs(120), rounds).await.unwrap();
    assert!(complete_at > began - Duration::from_secs(1));
    let newest = issuance.state().inspections[0].clone();
    assert_eq!(newest[0], Uuid::from_u128(MANY as u128), "newest first");
    let kept =
        "SELECT array[leases_compared, complete_leases, complete_is_final::int] FROM audit_passes";
    let kept: Vec<i64> = giveaway.database.ask(kept).await;
    let expected = [2_000, MANY, 1];
    assert_eq!(kept, expected, "it has closed and has nothing on lease");

    issuance.state().leases.get_mut(&oldest).unwrap().used = counts(&[0]);
    let old = "UPDATE audit_passes SET complete_at = '2026-01-01 00:00Z'";
    giveaway.database.execute(old).await;
    let runs = "tidegate_audit_runs_total{outcome=\"different\"}";
    audits.run_until(runs).await;
}

#[tokio::test]
async fn two_replicas_audit_in_turns_and_a_dead_one_loses_its_turn() {
    let giveaway = Giveaway::start().await;
    let store = &giveaway.store;
    let turn = Duration::from_millis(600);
    let take = async |auditor: &str| {
        let taken = store.read(async |work| work.take_audit_turn(auditor, turn).await);
        taken.await.unwrap()
    };
    assert!(take("one").await);
    assert!(!take("two").await);
    assert!(take("one").await, "its own turn it keeps");
    sleep(turn + Duration::from_millis(50)).await;
    assert!(take("two").await, "the first is taken for dead");
    assert!(!take("one").await, "one that was held still has lost it");
    let ended = store.read(async |work| work.end_audit_turn("two").await);
    ended.await.unwrap();
    assert!(take("one").await, "given up at once");
}

/// The pages that a statement touches, and its plan.
async fn pages(pool: &PgPool, (types, statement, arguments): (&str, &str, &str)) -> (u64, String) {
    let mut connection = pool.acquire().await.unwrap().detach();
    let prepare = format!("PREPARE measured ({types}) AS {statement}; BEGIN");
    sqlx::raw_sql(&prepare)
        .execute(&mut connection)
        .await
        .unwrap();
    let explain = format!(
        "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE measured ({arguments})"
    );
    let plan = sqlx::raw_sql(&explain).fetch_all(&mut connection).await;
    let plan: Vec<String> = plan.unwrap().iter().map(|row| row.get(0)).collect();
    connection.close().await.unwrap();
    let mut lines = plan.iter();
    let buffers = lines.find_map(|line| line.trim().strip_prefix("Buffers: "));
    let touched = buffers.unwrap().split([' ', '=']);
    let touched = touched.filter_map(|word| word.parse::<u64>().ok()).sum();
    (touched, plan.join("\n"))
}

#[tokio::test]
async fn neither_books_nor_readings_of_holders_read_what_is_archived() {
    let (giveaway, campaign) = Giveaway::of(&[100_000]).await;
    let (issuance, _) = Issuance::start().await;
    fill(&giveaway, &issuance).await;
    giveaway.acquire(&request(campaign.number, &[], 5)).await;
    let later = "'2099-01-01 00:00Z', 100";
    macro_rules! statement {
        ($types:literal, $name:literal, $arguments:expr) => {
            (
                $types,
                include_str!(concat!("../../queries/", $name, ".sql")),
                $arguments,
            )
        };
    }
    let statements = [
        statement!("integer", "audit_books", "1"),
        statement!("integer", "read_lending", "1"),
        statement!("integer", "read_update_facts", "1"),
        statement!("integer[]", "read_standings", "ARRAY[1]"),
        statement!("bigint", "read_holders", "100"),
        statement!("timestamptz, bigint", "archive_leases", later),
        statement!("timestamptz, bigint", "campaigns_to_retire", later),
    ];
    for analysed in [false, true] {
        if analysed {
            giveaway.database.execute("ANALYZE").await;
        }
        for statement in statements {
            let (pages, plan) = pages(&giveaway.pool, statement).await;
            assert!(pages < 60, "{pages} pages, analysed: {analysed}\n{plan}");
        }
    }
}
