use futures_util::future::join_all;

use super::*;
use crate::domain::{OpeningHours, StoreZone};

/// The last step of the schema before orders could owe their coupons.
const BEFORE_OWING: i64 = 4;
/// That before stores had time zones: they had a fixed offset.
const BEFORE_ZONES: i64 = 5;
/// That before coupons were known by their shopper as well.
const BEFORE_SHOPPERS: i64 = 6;
const VALID: &str = "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid = 'orders_one_paid_per_coupon_of_shopper'::regclass";

/// A database with the schema as it was up to a step.
async fn migrated_to(version: i64) -> (TestDatabase, Database) {
    let database = TestDatabase::create().await;
    let mut migrator = migrations();
    let steps = migrator.migrations.iter();
    let steps = steps.filter(|step| step.version <= version);
    migrator.migrations = steps.cloned().collect();
    let opened = open(&database);
    opened.migrate(&migrator).await.unwrap();
    (database, opened)
}

#[tokio::test]
async fn several_processes_that_migrate_at_once_take_turns() {
    let database = TestDatabase::create().await;
    let migrating = (0..4).map(|_| {
        let opened = open(&database);
        async move { opened.migrate(&migrations()).await }
    });
    for migrated in join_all(migrating).await {
        migrated.unwrap();
    }
    assert_eq!(database.number(VALID).await, 1);
}

#[tokio::test]
async fn an_index_whose_build_was_cut_off_is_built_anew() {
    let (database, opened) = migrated_to(BEFORE_SHOPPERS).await;
    // As a build leaves it that ends with its process.
    let unfinished = "
        CREATE INDEX orders_one_paid_per_coupon_of_shopper ON orders (lane);
        UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'orders_one_paid_per_coupon_of_shopper'::regclass";
    database.execute(unfinished).await;
    opened.migrate(&migrations()).await.unwrap();
    assert_eq!(database.number(VALID).await, 1);
}

#[tokio::test]
async fn orders_go_on_while_the_index_of_paid_coupons_is_built() {
    let (database, opened) = migrated_to(BEFORE_SHOPPERS).await;
    // Somebody's long transaction, which a concurrent build waits for, and a plain one is behind.
    let mut writer = opened.connect_writer().await.unwrap();
    let mut writing = sqlx::Connection::begin(&mut writer).await.unwrap();
    let write = "INSERT INTO stores (store_id, display_name, area) VALUES ('s-2', 'tea', 'west')";
    sqlx::query(write).execute(&mut *writing).await.unwrap();
    let lock = "LOCK TABLE orders IN ROW EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *writing).await.unwrap();
    let building = {
        let opened = opened.clone();
        tokio::spawn(async move { opened.migrate(&migrations()).await })
    };
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%CREATE UNIQUE INDEX%' AND datname = current_database()";
    while database.number(waits).await == 0 {
        assert!(!building.is_finished(), "it did not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    database
        .execute("SET lock_timeout = '2s'; UPDATE orders SET updated_at = now()")
        .await;
    writing.commit().await.unwrap();
    building.await.unwrap().unwrap();
    assert_eq!(database.number(VALID).await, 1);
}

#[tokio::test]
async fn stores_with_a_fixed_offset_get_a_zone_that_is_as_far_ahead_and_hours_on_every_day() {
    let (database, opened) = migrated_to(BEFORE_ZONES).await;
    let offsets = [0, 480, 345, -300, 720, -720, 840, -90, 20];
    for offset in offsets {
        let insert = format!(
            "INSERT INTO stores (store_id, display_name, area, opens_at_minute, closes_at_minute, utc_offset_minutes)
             VALUES ('at{offset}', 'tea', 'west', {}, 1260, {offset})",
            if offset == 0 { 1_260 } else { 540 }
        );
        database.execute(&insert).await;
    }
    opened.migrate(&migrations()).await.unwrap();
    let store = process(&opened, Lanes::new(1u16).unwrap(), ORDERS_TO_COME);
    let mut zones = Vec::new();
    for offset in offsets {
        let kept = store.get_store(&store_id(&format!("at{offset}"))).await;
        let kept = kept.unwrap();
        zones.push(kept.zone.name().to_owned());
        let days = if offset == 0 { 0 } else { 7 };
        assert_eq!(kept.hours.weekly().count(), days, "{offset}");
        assert_eq!(kept.hours == OpeningHours::default(), offset == 0);
    }
    assert_eq!(
        zones,
        [
            "UTC",
            "Asia/Shanghai",
            "Asia/Kathmandu",
            "Etc/GMT+5",
            "Etc/GMT-12",
            "Etc/GMT+12",
            "Etc/GMT-14",
            "Etc/GMT+2",
            "UTC"
        ]
    );
    let noon = time::macros::datetime!(2026-07-01 12:00 UTC);
    for (zone, offset) in zones.iter().zip(offsets).take(7) {
        let shown = StoreZone::parse(zone).unwrap().shown(noon);
        assert_eq!(i32::from(shown.offset().whole_minutes()), offset, "{zone}");
    }
}

#[tokio::test]
async fn what_a_replica_of_the_version_before_cancels_is_released_once() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    let cancel = "UPDATE orders SET state = 7, updated_at = now()";
    fixture.database.execute(cancel).await;
    let id = order.standing.order_id;
    assert_eq!(fixture.owing().await, [id]);
    let oldest = fixture.store.oldest_unfinished().await.unwrap();
    assert_eq!(oldest, Some(order.standing.created_at));
    let old_keys = async || {
        let (first, last) = (OrderId(Uuid::nil()), OrderId(Uuid::max()));
        let keys = fixture.store.old_keys(fixture.lane, first, last, 10).await;
        keys.unwrap().len()
    };
    assert_eq!(old_keys().await, 0);
    let released = fixture.note_release(&order).await;
    assert!(released.coupon_released_at.is_some());
    assert!(fixture.owing().await.is_empty());
    assert_eq!(fixture.store.oldest_unfinished().await.unwrap(), None);
    assert_eq!(old_keys().await, 1);
}

#[tokio::test]
async fn what_a_replica_of_the_version_before_releases_is_not_released_again() {
    let fixture = Fixture::start().await;
    let order = fixture.placed(&draft("alice", "r-1")).await;
    fixture.settle(&order, Move::Cancel).await;
    assert_eq!(fixture.owing().await, [order.standing.order_id]);
    let release = "UPDATE orders SET coupon_released_at = now()";
    fixture.database.execute(release).await;
    assert!(fixture.owing().await.is_empty());
    assert_eq!(fixture.store.oldest_unfinished().await.unwrap(), None);
}

#[tokio::test]
async fn an_order_that_was_rejected_just_before_the_new_version_came_owes_its_coupon() {
    let (database, opened) = migrated_to(BEFORE_OWING).await;
    for (number, state, because, days) in [
        (1, 3, "'COUPON_EXPIRED'", 0),
        (2, 3, "'COUPON_NOT_FOUND'", 0),
        (3, 3, "'COUPON_REVOKED'", 0),
        (4, 3, "'COUPON_EXPIRED'", 5),
        (5, 7, "NULL", 5),
    ] {
        let insert = format!(
            "WITH placed AS (
                 INSERT INTO orders (lane, shopper_id, request_id, order_id, store_id, area, state, rejected_because, rejection_metadata, coupon_code, content_hash, created_at, updated_at)
                 VALUES (0, 'alice', 'r-{number}', gen_random_uuid(), 's-1', 'west', {state}, {because}, CASE WHEN {because} IS NOT NULL THEN '{{}}'::jsonb END, '{number:016}', sha256(''), now(), now())
                 RETURNING order_id
             )
             INSERT INTO order_events (happened_on, lane, position, order_id, shopper_id, store_id, area, state, rejected_because, placed_on, happened_at)
             SELECT current_date - {days}, 0, {number}, order_id, 'alice', 's-1', 'west', {state}, {because}, current_date, now() FROM placed"
        );
        database.execute(&insert).await;
    }
    opened.migrate(&migrations()).await.unwrap();
    let today = Timestamp::now_utc().date();
    let store = process(&opened, Lanes::new(1u16).unwrap(), ORDERS_TO_COME);
    let tomorrow = today + time::Duration::days(1);
    store.make_days(tomorrow, 2).await.unwrap();
    let owing = "SELECT sum(substr(request_id, 3)::bigint)::bigint FROM orders WHERE owes_coupon";
    assert_eq!(database.number(owing).await, 1 + 5);
}
