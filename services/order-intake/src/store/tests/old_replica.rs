use tidegate_types::Timestamp;

use super::*;

/// The schema as replicas of the version before know it.
const VERSION_BEFORE: i64 = 4;

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
    assert!(
        fixture
            .note_release(&order)
            .await
            .coupon_released_at
            .is_some()
    );
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
    let database = TestDatabase::create().await;
    let opened = Database::parse(&database.url(), "migration").unwrap();
    let mut old = migrations();
    let steps = old.migrations.iter();
    let steps = steps.filter(|step| step.version <= VERSION_BEFORE);
    old.migrations = steps.cloned().collect();
    opened.migrate(&old).await.unwrap();
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
    let store = open(&opened, Lanes::new(1u16).unwrap());
    store
        .make_days(today + time::Duration::days(1), 2)
        .await
        .unwrap();
    let owing = "SELECT sum(substr(request_id, 3)::bigint)::bigint FROM orders WHERE owes_coupon";
    assert_eq!(database.number(owing).await, 1 + 5);
}
