//! What is over: archived, forgotten, and never in anybody's way.

use std::time::Duration;

use sqlx::PgPool;
use tidegate_issuance::{
    domain::fence::Fence,
    store::{
        fence::{CouponCount, CouponRange, count, inspect},
        history,
        leases::{Installed, unreturned},
    },
};
use tidegate_test_kit::until;
use tidegate_types::{LimitPerShopper, Timestamp};
use uuid::Uuid;

use crate::{
    lane::{TestLane, campaign_of, claim, counts, lanes, lease_holder, only_lane},
    planner::{pages, run},
};

const LEASES: i64 = 50_000;
/// A few pages of an index and of its table.
const FEW_PAGES: u64 = 60;

pub async fn archive_all(lane: &TestLane) -> i64 {
    let later = Timestamp::now_utc() + Duration::from_secs(1);
    history::archive(&lane.pool, only_lane(), later, 1_000)
        .await
        .unwrap()
}

/// A lease of which two are used, returned and archived.
async fn archived(lane: &TestLane) -> Uuid {
    let lease = lane.lease(&[(0, 10), (2, 4)]).await;
    let writer = lane.writer();
    writer.hold(1, lease, &[(0, 10)]);
    for shopper in ["ann", "bob"] {
        writer.claim_coupon(claim(shopper, "r-1")).await;
    }
    lane.seal(lease).await;
    assert_eq!(archive_all(lane).await, 0, "it is not returned yet");
    lane.mark_returned(lease).await;
    assert_eq!(archive_all(lane).await, 1);
    assert_eq!(archive_all(lane).await, 0, "once");
    lease
}

async fn count_of(campaign: u32, pool: &PgPool) -> CouponCount {
    let range = CouponRange {
        campaign: campaign_of(campaign),
        lane: only_lane(),
        leases: Uuid::nil()..=Uuid::max(),
        limit: LimitPerShopper::new(1u8).ok(),
    };
    let counted = count(pool, &range, Duration::from_secs(10)).await;
    counted.unwrap()
}

#[tokio::test]
async fn the_coupons_of_an_archived_lease_are_counted_as_before() {
    let lane = TestLane::create().await;
    archived(&lane).await;
    let expected = CouponCount {
        coupons: counts(&[(0, 2), (2, 0)]),
        on_live_leases: counts(&[(0, 0), (2, 0)]),
        archived_used: counts(&[(0, 2), (2, 0)]),
        ..CouponCount::default()
    };
    assert_eq!(count_of(1, &lane.pool).await, expected);
    assert_eq!(lane.database.count("lease_tiers").await, 0);
}

#[tokio::test]
async fn leases_of_a_retired_campaign_are_forgotten_and_none_comes_back() {
    let lane = TestLane::create().await;
    let lease = archived(&lane).await;
    let open = lane.lease(&[(0, 10)]).await;
    let (pool, campaign) = (&lane.pool, campaign_of(1));
    history::retire(pool, only_lane(), campaign).await.unwrap();
    // Forgets the one lease that is archived, and tells which campaigns are left to forget.
    let forget = async || {
        let forgotten = history::forget(pool, only_lane(), campaign, 10).await;
        assert_eq!(forgotten.unwrap(), 1);
        let marked = history::mark_forgotten(pool, only_lane(), campaign).await;
        marked.unwrap();
        let left = history::to_forget(pool, only_lane(), 10).await;
        left.unwrap()
    };
    let first = history::to_forget(pool, only_lane(), 10).await.unwrap();
    assert_eq!(first, [campaign]);
    assert_eq!(forget().await, [campaign], "one is not archived yet");

    let late = lane.install(lease, &[(0, 10)]).await;
    assert_eq!(late, Installed::Before(Vec::new()));
    let inspected = inspect(pool, only_lane(), &[lease]).await.unwrap();
    assert_eq!(inspected, [Fence::Unknown]);
    let counted = count_of(1, pool).await;
    assert_eq!(counted.archived_used, counts(&[(0, 2), (2, 0)]));

    lane.seal(open).await;
    lane.mark_returned(open).await;
    archive_all(&lane).await;
    assert_eq!(forget().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_late_install_and_the_forgetting_of_its_lease_nothing_is_left_to_spend() {
    let lane = TestLane::create().await;
    for round in 0..100 {
        let fresh = "DELETE FROM retired_campaigns; DELETE FROM leases";
        lane.database.execute(fresh).await;
        let tombstone = Uuid::now_v7();
        lane.seal(tombstone).await;
        lane.mark_returned(tombstone).await;
        archive_all(&lane).await;
        let late = tokio::spawn({
            let lane = lane.clone();
            async move { lane.install(tombstone, &[(0, 10)]).await }
        });
        let (pool, campaign) = (&lane.pool, campaign_of(1));
        let retired = history::retire(pool, only_lane(), campaign).await;
        retired.unwrap();
        let forgotten = history::forget(pool, only_lane(), campaign, 10).await;
        forgotten.unwrap();
        let late = late.await.unwrap();
        assert_eq!(late, Installed::Before(Vec::new()), "round {round}");
        let left = lane.database.count("lease_tiers").await;
        assert_eq!(left, 0, "round {round}");
    }
}

/// Many leases that are over, half of them archived, among three that a start has to find.
async fn fill(lane: &TestLane) -> Vec<Uuid> {
    let over = format!(
        "INSERT INTO leases (lane, lease_id, campaign_number, holder_id, sealed, installed_at, returned_at, archived_granted, archived_used)
         SELECT 0, lpad(to_hex(number), 32, '0')::uuid, 1, 'issuance-0/0123abcd', TRUE, now(), now(),
             CASE WHEN number % 2 = 0 THEN '{{10}}'::bigint[] END, CASE WHEN number % 2 = 0 THEN '{{1}}'::bigint[] END
         FROM generate_series(1, {LEASES}) AS number;
         INSERT INTO lease_tiers (lane, lease_id, tier_number, granted, used, sealed)
         SELECT lane, lease_id, 0, 10, 1, TRUE FROM leases WHERE archived_used IS NULL"
    );
    lane.database.execute(&over).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(lane.lease(&[(0, 10)]).await);
    }
    open
}

/// Four coupons of each, as claims leave them: in the order of their leases.
async fn coupons(lane: &TestLane) {
    // Autovacuum would read the table too.
    let statements = format!(
        "ALTER TABLE coupons SET (autovacuum_enabled = off);
         INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until)
         SELECT 0, md5(number::text), 1, 1, 'r-1', 0, lpad(to_hex(number / 4), 32, '0')::uuid, 1, now(), now() FROM generate_series(4, {LEASES} * 4 + 3) AS number"
    );
    lane.database.execute(&statements).await;
}

const SUMMARIZE: &str = "SELECT brin_summarize_new_values('coupons_by_lease')";

#[tokio::test]
async fn a_start_reads_only_open_leases() {
    let lane = TestLane::create().await;
    let open = fill(&lane).await;
    let mut connection = lane.connect().await;
    let statement = include_str!("../../../queries/unreturned_leases.sql");
    let prepare = format!("PREPARE start (text, bigint) AS {statement}");
    run(&mut connection, &prepare).await;
    for analysed in [false, true] {
        if analysed {
            run(&mut connection, "ANALYZE leases").await;
        }
        let execute = "EXECUTE start ('issuance-0/89abcdef', 10000)";
        let touched = pages(&mut connection, execute).await;
        assert!(touched < FEW_PAGES, "{touched} pages, analysed: {analysed}");
    }
    let found = unreturned(&lane.pool, lanes(), &lease_holder(), 10_000).await;
    let found = found.unwrap().into_iter();
    let mut found: Vec<_> = found.map(|(_, lease)| lease.id).collect();
    found.sort();
    assert_eq!(found, open);
}

#[tokio::test]
async fn a_batch_is_archived_without_reading_what_is_archived_already() {
    let lane = TestLane::create().await;
    fill(&lane).await;
    let mut connection = lane.connect().await;
    let statement = include_str!("../../../queries/archive_leases.sql");
    let prepare = format!("PREPARE archive (smallint, timestamptz, bigint) AS {statement}; BEGIN");
    run(&mut connection, &prepare).await;
    let execute = "EXECUTE archive (0::smallint, '2099-01-01 00:00Z', 100)";
    let touched = pages(&mut connection, execute).await;
    assert!(touched < 100 * 50, "{touched} pages for a hundred leases");
}

#[tokio::test]
async fn a_range_of_leases_is_counted_without_reading_the_coupons_of_others() {
    let lane = TestLane::create().await;
    fill(&lane).await;
    coupons(&lane).await;
    lane.database.execute(SUMMARIZE).await;
    let mut connection = lane.connect().await;
    let statement = include_str!("../../../queries/count_coupons.sql");
    let prepare = format!(
        "PREPARE counting (smallint, integer, bigint, uuid, uuid) AS {statement}; BEGIN;
         SET LOCAL enable_bitmapscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL plan_cache_mode = force_custom_plan"
    );
    run(&mut connection, &prepare).await;
    for analysed in [false, true] {
        if analysed {
            run(&mut connection, "ANALYZE coupons, leases, lease_tiers").await;
        }
        let (first, last) = (Uuid::from_u128(20_000), Uuid::from_u128(20_099));
        let execute = format!("EXECUTE counting (0::smallint, 1, 100, '{first}', '{last}')");
        let touched = pages(&mut connection, &execute).await;
        assert!(touched < 1_500, "{touched} pages, analysed: {analysed}");
    }
}

/// Pages of the coupons that were touched so far, once whoever touched them has ended: others tell late.
async fn coupon_pages(lane: &TestLane) -> i64 {
    let others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let have_ended = async || lane.database.count(others).await == 0;
    until("the others have ended", have_ended).await;
    let touched = "SELECT heap_blks_read + heap_blks_hit FROM pg_statio_user_tables WHERE relname = 'coupons'";
    lane.database.ask(touched).await
}

#[tokio::test]
async fn a_small_campaign_is_counted_without_reading_the_coupons_of_a_large_one() {
    let lane = TestLane::create().await;
    fill(&lane).await;
    lane.pool.close().await;
    coupons(&lane).await;
    // Its one lease is the newest.
    let newest = "INSERT INTO leases (lane, lease_id, campaign_number, holder_id, installed_at) VALUES (0, 'ffffffff-0000-0000-0000-000000000000', 2, 'issuance-0/0123abcd', now());
        INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until)
        VALUES (0, 'alice', 2, 1, 'r-1', 0, 'ffffffff-0000-0000-0000-000000000000', 1, now(), now())";
    lane.database.execute(newest).await;
    lane.database.execute(SUMMARIZE).await;
    let before = coupon_pages(&lane).await;
    let counting = lane.database.open().pool(1);
    let counted = count_of(2, &counting).await;
    assert_eq!(counted.coupons, counts(&[(0, 1)]));
    counting.close().await;
    let touched = coupon_pages(&lane).await - before;
    assert!(touched < 100, "{touched} pages");
}
