use futures_util::future::join_all;
use sqlx::migrate::Migrator;

use super::*;

/// The schema before coupons were known by their shopper as well.
const BEFORE: i64 = 6;
const VALID: &str = "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid = 'orders_one_paid_per_coupon_of_shopper'::regclass";

fn up_to(version: i64) -> Migrator {
    let mut migrator = migrations();
    let steps = migrator.migrations.iter();
    let steps = steps.filter(|step| step.version <= version);
    migrator.migrations = steps.cloned().collect();
    migrator
}

#[tokio::test]
async fn several_processes_that_migrate_at_once_take_turns() {
    let database = TestDatabase::create().await;
    let migrating = (0..4).map(|_| {
        let url = database.url();
        async move {
            let opened = Database::parse(&url, "migration").unwrap();
            opened.migrate(&migrations()).await
        }
    });
    for migrated in join_all(migrating).await {
        migrated.unwrap();
    }
    assert_eq!(database.number(VALID).await, 1);
}

#[tokio::test]
async fn an_index_whose_build_was_cut_off_is_built_anew() {
    let database = TestDatabase::create().await;
    let opened = Database::parse(&database.url(), "migration").unwrap();
    opened.migrate(&up_to(BEFORE)).await.unwrap();
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
    let database = TestDatabase::create().await;
    let opened = Database::parse(&database.url(), "migration").unwrap();
    opened.migrate(&up_to(BEFORE)).await.unwrap();
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
