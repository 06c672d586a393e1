use tidegate_types::{ReplicaId, Timestamp};

use super::*;
use crate::{
    audit::Auditor,
    domain::{OrderAudit, RetentionPeriod},
};

async fn audit(fixture: &Fixture) -> OrderAudit {
    let auditor = Auditor {
        store: fixture.store.clone(),
        issuance: Arc::default(),
        period: RetentionPeriod::days(30),
    };
    auditor.audit(Timestamp::now_utc(), soon()).await.unwrap()
}

/// Orders of every lane whose coupon pays for another one as well.
async fn paid_twice(fixture: &Fixture) -> usize {
    let mut found = 0;
    for lane in fixture.store.lanes().all() {
        let newest = OrderId(Uuid::max());
        let page = fixture.store.audit_orders(lane, newest, 500).await.unwrap();
        found += page.iter().filter(|order| order.is_paid_twice).count();
    }
    found
}

/// Two paid orders of two shoppers.
async fn two_orders(fixture: &Fixture) -> [Order; 2] {
    let first = fixture.placed(&draft("alice", "r-1")).await;
    let second = with_code(draft("bob", "r-1"), OTHER_CODE);
    let second = fixture.placed(&second).await;
    for order in [&first, &second] {
        fixture.settle(order, accept()).await;
    }
    [first, second]
}

#[tokio::test]
async fn a_slot_above_capacity_and_one_that_is_booked_otherwise_are_found() {
    let fixture = Fixture::start().await;
    two_orders(&fixture).await;
    fixture
        .database
        .execute("UPDATE store_slots SET booked = booked + 1")
        .await;
    let found = audit(&fixture).await;
    assert_eq!(found.slots_over_capacity, 0);
    assert_eq!(found.slots_booked_otherwise, found.slots);
    let more = "ALTER TABLE store_slots DROP CONSTRAINT store_slots_within_capacity; UPDATE store_slots SET booked = booked - 1, capacity_when_booked = 0";
    fixture.database.execute(more).await;
    let found = audit(&fixture).await;
    assert_eq!(found.slots_over_capacity, found.slots);
    assert_eq!(found.slots_booked_otherwise, 0);
}

#[tokio::test]
async fn a_coupon_that_pays_for_two_orders_is_found_however_that_came_to_be() {
    let fixture = Fixture::start().await;
    two_orders(&fixture).await;
    let second = with_code(draft("alice", "r-2"), "ABCDEFGH01234567");
    let second = fixture.placed(&second).await;
    fixture.settle(&second, accept()).await;
    assert_eq!(paid_twice(&fixture).await, 0);
    // The index that keeps that from happening is gone.
    let twice = format!(
        "DROP INDEX orders_one_paid_per_coupon_of_shopper; UPDATE orders SET coupon_code = '{CODE}' WHERE shopper_id = 'alice'"
    );
    fixture.database.execute(&twice).await;
    assert_eq!(paid_twice(&fixture).await, 2);
}

#[tokio::test]
async fn one_replica_audits_at_a_time_and_one_that_is_gone_loses_its_turn() {
    let fixture = Fixture::start().await;
    let store = &fixture.store;
    let [one, other] =
        ["order-intake-0", "order-intake-1"].map(|name| ReplicaId::parse(name).unwrap());
    let turn = Duration::from_millis(300);
    assert!(store.take_audit_turn(&one, turn).await.unwrap());
    assert!(store.take_audit_turn(&one, turn).await.unwrap());
    assert!(!store.take_audit_turn(&other, turn).await.unwrap());
    tokio::time::sleep(turn * 2).await;
    assert!(store.take_audit_turn(&other, turn).await.unwrap());
}

#[tokio::test]
async fn an_audit_that_has_little_time_says_that_it_left_something_out() {
    let fixture = Fixture::start().await;
    two_orders(&fixture).await;
    let auditor = Auditor {
        store: fixture.store.clone(),
        issuance: Arc::default(),
        period: RetentionPeriod::days(30),
    };
    let found = auditor.audit(Timestamp::now_utc(), Instant::now()).await;
    assert!(!found.unwrap().is_complete);
}
