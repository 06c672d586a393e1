use tidegate_rpc::client::Replicas;
use tidegate_types::ReplicaId;

use super::*;
use crate::{
    audit::Auditor,
    domain::{OrderAudit, RetentionPeriod},
    issuance::Issuance,
    metrics::Metrics,
    store::SlotPosition,
};

/// What an audit finds of the slots.
async fn audit_slots(fixture: &Fixture) -> OrderAudit {
    let last = SlotPosition::LAST;
    let page = fixture.store.audit_slots(&last, 500).await;
    let (slots, next) = page.unwrap();
    assert_eq!(next, None, "they fit a page");
    let mut audit = OrderAudit::default();
    for slot in &slots {
        audit.slot(slot, Timestamp::UNIX_EPOCH);
    }
    audit
}

/// Orders whose coupon pays for another one as well.
async fn paid_twice(fixture: &Fixture) -> usize {
    let newest = PagePosition::NEWEST.order_id;
    let page = fixture.store.audit_orders(fixture.lane, newest, 500);
    let orders = page.await.unwrap().into_iter();
    orders.filter(|order| order.is_paid_twice).count()
}

#[tokio::test]
async fn a_slot_above_capacity_and_one_that_is_booked_otherwise_are_found() {
    let fixture = Fixture::start().await;
    fixture.orders(2).await;
    let more = "UPDATE store_slots SET booked = booked + 1";
    fixture.database.execute(more).await;
    let found = audit_slots(&fixture).await;
    assert_eq!(found.slots_over_capacity, 0);
    assert!(found.slots > 0 && found.slots_booked_otherwise == found.slots);
    let less = "ALTER TABLE store_slots DROP CONSTRAINT store_slots_within_capacity; UPDATE store_slots SET booked = booked - 1, capacity_when_booked = 0";
    fixture.database.execute(less).await;
    let found = audit_slots(&fixture).await;
    assert_eq!(found.slots_over_capacity, found.slots);
    assert_eq!(found.slots_booked_otherwise, 0);
}

#[tokio::test]
async fn a_coupon_that_pays_for_two_orders_is_found_however_that_came_to_be() {
    let fixture = Fixture::start().await;
    for order in fixture.orders(3).await {
        fixture.settle(&order, accept()).await;
    }
    assert_eq!(paid_twice(&fixture).await, 0);
    // The index that keeps that from happening is gone.
    let twice = format!(
        "DROP INDEX orders_one_paid_per_coupon_of_shopper; UPDATE orders SET coupon_code = '{CODE}' WHERE request_id <> 'r-0'"
    );
    fixture.database.execute(&twice).await;
    assert_eq!(paid_twice(&fixture).await, 2);
}

#[tokio::test]
async fn one_replica_audits_at_a_time_and_one_that_is_gone_loses_its_turn() {
    let fixture = Fixture::start().await;
    let [one, other] =
        ["order-intake-0", "order-intake-1"].map(|name| ReplicaId::parse(name).unwrap());
    let turn = Duration::from_millis(300);
    let takes = async |replica| fixture.store.take_audit_turn(replica, turn).await.unwrap();
    assert!(takes(&one).await && takes(&one).await && !takes(&other).await);
    tokio::time::sleep(turn * 2).await;
    assert!(takes(&other).await);
}

/// An audit of slots, and of orders that are undecided, of which issuance is asked nothing.
async fn audit_until(fixture: &Fixture, deadline: Instant) -> OrderAudit {
    let issuance = Issuance {
        lanes: fixture.store.lanes(),
        replicas: Replicas::default(),
        metrics: Metrics::register(&mut Registry::default()),
    };
    let auditor = Auditor {
        store: fixture.store.clone(),
        issuance,
        period: RetentionPeriod::days(30),
    };
    auditor.audit(Timestamp::now_utc(), deadline).await.unwrap()
}

#[tokio::test]
async fn an_audit_that_runs_out_of_time_says_that_it_is_incomplete() {
    let fixture = Fixture::start().await;
    fixture.orders(2).await;
    // More than a page of slots.
    let slots = "INSERT INTO store_slots SELECT 's-1', now() + n * interval '1 day', 15, 0, 1 FROM generate_series(1, 600) AS n";
    fixture.database.execute(slots).await;
    let hurried = audit_until(&fixture, Instant::now()).await;
    // One page of slots is compared in any case.
    assert_eq!((hurried.slots, hurried.orders), (500, 0));
    assert!(!hurried.is_complete);
    let patient = audit_until(&fixture, soon()).await;
    assert!(patient.slots > 600 && patient.orders == 2);
    assert!(patient.is_complete);
}
