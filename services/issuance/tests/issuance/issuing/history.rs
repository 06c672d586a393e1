//! What is over: archived, forgotten, and never in anybody's way.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tidegate_issuance::{
    domain::fence::Fence,
    store::{
        fence::{CouponCount, CouponRange, count, inspect},
        history,
        leases::{Installed, mark_returned, unreturned},
    },
};
use tidegate_types::{LimitPerShopper, Timestamp};
use uuid::Uuid;

use crate::{
    issuing::seals::{seal, seal_all},
    lane::{TestLane, answered, campaign_of, claim, counts, install, lane, lanes, lease_holder},
    planner::{pages, run},
};

const LEASES: i64 = 50_000;
/// A few pages of an index and of its table.
const FEW_PAGES: u64 = 60;

pub async fn archive_all(lane_: &TestLane) -> i64 {
    let later = Timestamp::now_utc() + Duration::from_secs(1);
    history::archive(&lane_.pool, lane(), later, 1_000)
        .await
        .unwrap()
}

/// A lease of which two are used, returned and archived.
async fn archived(lane_: &TestLane) -> Uuid {
    let lease = lane_.lease(&[(0, 10), (2, 4)]).await;
    let writer = lane_.writer();
    writer.hold(1, lease, &[(0, 10)]);
    for shopper in ["ann", "bob"] {
        answered(writer.claim(claim(shopper, "r-1")).await).unwrap();
    }
    seal(&lane_.pool, lease).await.unwrap();
    assert_eq!(archive_all(lane_).await, 0, "it is not returned yet");
    mark_returned(&lane_.pool, lane(), lease, Timestamp::now_utc())
        .await
        .unwrap();
    assert_eq!(archive_all(lane_).await, 1);
    assert_eq!(archive_all(lane_).await, 0, "once");
    lease
}

async fn count_all(lane_: &TestLane) -> CouponCount {
    let range = CouponRange {
        campaign: campaign_of(1),
        lane: lane(),
        leases: Uuid::nil()..=Uuid::max(),
        limit: Some(LimitPerShopper::new(1u8).unwrap()),
    };
    count(&lane_.pool, &range, Duration::from_secs(10))
        .await
        .unwrap()
}

#[tokio::test]
async fn an_archived_lease_is_sealed_inspected_and_counted_as_before() {
    let lane_ = TestLane::create().await;
    let lease = archived(&lane_).await;
    let used = counts(&[(0, 2), (2, 0)]);
    let sealed = seal_all(&lane_.pool, &[lease]).await.unwrap();
    assert!(sealed[0].was_installed);
    assert_eq!(sealed[0].used, used);
    let stands = inspect(&lane_.pool, lane(), &[lease]).await.unwrap();
    let Fence::Sealed {
        granted,
        used: told,
    } = &stands[0]
    else {
        panic!("{stands:?}");
    };
    assert_eq!(granted, &counts(&[(0, 10), (2, 4)]).into_iter().collect());
    assert_eq!(told, &used.into_iter().collect());
    let counted = count_all(&lane_).await;
    assert_eq!(counted.coupons, counts(&[(0, 2), (2, 0)]));
    assert_eq!(
        (counted.mismatches, counted.on_live_leases),
        (vec![], counts(&[(0, 0), (2, 0)]))
    );
    assert_eq!(counted.archived_used, counts(&[(0, 2), (2, 0)]));
    let left: i64 = lane_.database.ask("SELECT count(*) FROM lease_tiers").await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_late_install_of_an_archived_lease_conflicts() {
    let lane_ = TestLane::create().await;
    let lease = archived(&lane_).await;
    let tombstone = Uuid::now_v7();
    seal(&lane_.pool, tombstone).await.unwrap();
    mark_returned(&lane_.pool, lane(), tombstone, Timestamp::now_utc())
        .await
        .unwrap();
    assert_eq!(archive_all(&lane_).await, 1);
    for late in [lease, tombstone] {
        let installed = install(&lane_.pool, late, &[(0, 10)]).await.unwrap();
        assert_eq!(installed, Installed::Before(Vec::new()));
        let writer = lane_.writer();
        writer.hold(1, late, &[(0, 10)]);
        assert!(answered(writer.claim(claim("cem", "r-1")).await).is_err());
    }
    assert_eq!(lane_.issued().await, 2);
}

#[tokio::test]
async fn leases_of_a_retired_campaign_are_forgotten_and_none_comes_back() {
    let lane_ = TestLane::create().await;
    let lease = archived(&lane_).await;
    let open = lane_.lease(&[(0, 10)]).await;
    let (pool, campaign) = (&lane_.pool, campaign_of(1));
    history::retire(pool, lane(), campaign).await.unwrap();
    assert_eq!(
        history::to_forget(pool, lane(), 10).await.unwrap(),
        [campaign]
    );
    assert_eq!(
        history::forget(pool, lane(), campaign, 10).await.unwrap(),
        1
    );
    history::mark_forgotten(pool, lane(), campaign)
        .await
        .unwrap();
    let waits = history::to_forget(pool, lane(), 10).await.unwrap();
    assert_eq!(waits, [campaign], "one is not archived yet");

    let late = install(pool, lease, &[(0, 10)]).await.unwrap();
    assert_eq!(late, Installed::Before(Vec::new()));
    assert_eq!(
        inspect(pool, lane(), &[lease]).await.unwrap(),
        [Fence::Unknown]
    );
    assert_eq!(
        count_all(&lane_).await.archived_used,
        counts(&[(0, 2), (2, 0)])
    );

    seal(pool, open).await.unwrap();
    mark_returned(pool, lane(), open, Timestamp::now_utc())
        .await
        .unwrap();
    archive_all(&lane_).await;
    assert_eq!(
        history::forget(pool, lane(), campaign, 10).await.unwrap(),
        1
    );
    history::mark_forgotten(pool, lane(), campaign)
        .await
        .unwrap();
    assert_eq!(history::to_forget(pool, lane(), 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_late_install_and_the_forgetting_of_its_lease_nothing_is_left_to_spend() {
    let lane_ = TestLane::create().await;
    for round in 0..100 {
        lane_
            .database
            .run("DELETE FROM retired_campaigns; DELETE FROM leases")
            .await;
        let tombstone = Uuid::now_v7();
        seal(&lane_.pool, tombstone).await.unwrap();
        mark_returned(&lane_.pool, lane(), tombstone, Timestamp::now_utc())
            .await
            .unwrap();
        archive_all(&lane_).await;
        let pool = lane_.pool.clone();
        let late = tokio::spawn(async move { install(&pool, tombstone, &[(0, 10)]).await });
        history::retire(&lane_.pool, lane(), campaign_of(1))
            .await
            .unwrap();
        history::forget(&lane_.pool, lane(), campaign_of(1), 10)
            .await
            .unwrap();
        let late = late.await.unwrap().unwrap();
        assert_eq!(late, Installed::Before(Vec::new()), "round {round}");
        let left: i64 = lane_.database.ask("SELECT count(*) FROM lease_tiers").await;
        assert_eq!(left, 0, "round {round}");
    }
}

/// Many leases that are over, half of them archived, among three that a start has to find.
async fn fill(lane_: &TestLane) -> Vec<Uuid> {
    let over = "INSERT INTO leases (lane, lease_id, campaign_number, holder_id, sealed, installed_at, returned_at, archived_granted, archived_used)
        SELECT 0, lpad(to_hex(number), 32, '0')::uuid, 1, 'issuance-0/0123abcd', TRUE, now(), now(),
            CASE WHEN number % 2 = 0 THEN '{10}'::bigint[] END, CASE WHEN number % 2 = 0 THEN '{1}'::bigint[] END
        FROM generate_series(1, $1) AS number";
    sqlx::query(over)
        .bind(LEASES)
        .execute(&lane_.pool)
        .await
        .unwrap();
    lane_.database.run("INSERT INTO lease_tiers (lane, lease_id, tier_number, granted, used, sealed) SELECT lane, lease_id, 0, 10, 1, TRUE FROM leases WHERE archived_used IS NULL").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(lane_.lease(&[(0, 10)]).await);
    }
    open
}

/// Four coupons of each, as claims leave them: in the order of their leases.
async fn coupons(pool: &PgPool) {
    sqlx::query("INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until)
        SELECT 0, md5(number::text), 1, 1, 'r-1', 0, lpad(to_hex(number / 4), 32, '0')::uuid, 1, now(), now() FROM generate_series(4, $1 * 4 + 3) AS number")
        .bind(LEASES)
        .execute(pool)
        .await
        .unwrap();
}

async fn connect(lane_: &TestLane) -> PgConnection {
    let database = lane_.database.open().unwrap();
    database.connect_writer().await.unwrap()
}

#[tokio::test]
async fn a_start_reads_only_open_leases() {
    let lane_ = TestLane::create().await;
    let open = fill(&lane_).await;
    let mut connection = connect(&lane_).await;
    let statement = include_str!("../../../queries/unreturned_leases.sql");
    run(
        &mut connection,
        &format!("PREPARE start (text, bigint) AS {statement}"),
    )
    .await
    .unwrap();
    for analysed in [false, true] {
        if analysed {
            run(&mut connection, "ANALYZE leases").await.unwrap();
        }
        let execute = "EXECUTE start ('issuance-0/89abcdef', 10000)";
        let touched = pages(&mut connection, execute).await;
        assert!(touched < FEW_PAGES, "{touched} pages, analysed: {analysed}");
    }
    let found = unreturned(&lane_.pool, lanes(), &lease_holder(), 10_000)
        .await
        .unwrap();
    let mut found: Vec<_> = found.into_iter().map(|(_, lease)| lease.id).collect();
    found.sort();
    assert_eq!(found, open);
}

#[tokio::test]
async fn a_batch_is_archived_without_reading_what_is_archived_already() {
    let lane_ = TestLane::create().await;
    fill(&lane_).await;
    let mut connection = connect(&lane_).await;
    let statement = include_str!("../../../queries/archive_leases.sql");
    run(
        &mut connection,
        &format!("PREPARE archive (smallint, timestamptz, bigint) AS {statement}; BEGIN"),
    )
    .await
    .unwrap();
    let execute = "EXECUTE archive (0::smallint, '2099-01-01 00:00Z', 100)";
    let touched = pages(&mut connection, execute).await;
    assert!(touched < 100 * 50, "{touched} pages for a hundred leases");
    run(&mut connection, "ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn a_range_of_leases_is_counted_without_reading_the_coupons_of_others() {
    let lane_ = TestLane::create().await;
    fill(&lane_).await;
    coupons(&lane_.pool).await;
    let mut connection = connect(&lane_).await;
    run(
        &mut connection,
        "SELECT brin_summarize_new_values('coupons_by_lease')",
    )
    .await
    .unwrap();
    let statement = include_str!("../../../queries/count_coupons.sql");
    run(&mut connection, &format!("PREPARE counting (smallint, integer, bigint, uuid, uuid) AS {statement}; BEGIN; SET LOCAL enable_bitmapscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL plan_cache_mode = force_custom_plan")).await.unwrap();
    for analysed in [false, true] {
        if analysed {
            run(
                &mut connection,
                "ANALYZE coupons; ANALYZE leases; ANALYZE lease_tiers",
            )
            .await
            .unwrap();
        }
        let (first, last) = (Uuid::from_u128(20_000), Uuid::from_u128(20_099));
        let execute = format!("EXECUTE counting (0::smallint, 1, 100, '{first}', '{last}')");
        let touched = pages(&mut connection, &execute).await;
        assert!(touched < 1_500, "{touched} pages, analysed: {analysed}");
    }
}

/// Pages of the coupons that were touched so far by connections that have ended: others tell late.
async fn coupon_pages(lane_: &TestLane) -> i64 {
    sqlx::query_scalar("SELECT heap_blks_read + heap_blks_hit FROM pg_statio_user_tables WHERE relname = 'coupons'")
        .fetch_one(&lane_.pool)
        .await
        .unwrap()
}

/// Ends a pool's one connection, and with that tells what it touched.
async fn end(pool: PgPool, lane_: &TestLane) {
    let ending: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&pool)
        .await
        .unwrap();
    pool.close().await;
    let is_there = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
    while sqlx::query_scalar(is_there)
        .bind(ending)
        .fetch_one(&lane_.pool)
        .await
        .unwrap()
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_small_campaign_is_counted_without_reading_the_coupons_of_a_large_one() {
    let lane_ = TestLane::create().await;
    fill(&lane_).await;
    let filling = lane_.database.open().unwrap().pool(1);
    // It would read the table too.
    sqlx::raw_sql("ALTER TABLE coupons SET (autovacuum_enabled = off)")
        .execute(&filling)
        .await
        .unwrap();
    coupons(&filling).await;
    // Its one lease is the newest.
    sqlx::raw_sql("INSERT INTO leases (lane, lease_id, campaign_number, holder_id, installed_at) VALUES (0, 'ffffffff-0000-0000-0000-000000000000', 2, 'issuance-0/0123abcd', now());
        INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until)
        VALUES (0, 'alice', 2, 1, 'r-1', 0, 'ffffffff-0000-0000-0000-000000000000', 1, now(), now())")
        .execute(&filling)
        .await
        .unwrap();
    sqlx::raw_sql("SELECT brin_summarize_new_values('coupons_by_lease')")
        .execute(&filling)
        .await
        .unwrap();
    end(filling, &lane_).await;
    let range = CouponRange {
        campaign: campaign_of(2),
        lane: lane(),
        leases: Uuid::nil()..=Uuid::max(),
        limit: LimitPerShopper::new(1u8).ok(),
    };
    let counting = lane_.database.open().unwrap().pool(1);
    let before = coupon_pages(&lane_).await;
    let counted = count(&counting, &range, Duration::from_secs(10)).await;
    assert_eq!(counted.unwrap().coupons, counts(&[(0, 1)]));
    end(counting, &lane_).await;
    let touched = coupon_pages(&lane_).await - before;
    assert!(touched < 100, "{touched} pages");
}
