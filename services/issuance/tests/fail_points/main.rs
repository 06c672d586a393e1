//! Each fail point of a test build does the wrong it is named after. They are set for the whole
//! process, so these tests have one of their own, and take turns in it.

// All of it is test code; an unwrap here says what the test expects.
#![allow(clippy::unwrap_used)]

#[path = "../issuance/database.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod database;
#[path = "../issuance/lane.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod lane;

use fail::FailScenario;
use lane::{KEY_ID, TestLane, answered, campaign_of, claim, lease_holder, shopper_of, tier_of};
use sqlx::Connection as _;
use tidegate_issuance::store::{
    coupons::{IssueRow, issue},
    leases::{LeaseToSeal, seal},
};
use tidegate_types::{RequestId, Timestamp};
use uuid::Uuid;

async fn sealed(lane: &TestLane) -> Uuid {
    let id = lane.lease(&[(0, 10)]).await;
    let lease = LeaseToSeal {
        id,
        campaign: campaign_of(1),
        lease_holder: lease_holder(),
    };
    let answered = seal(&lane.pool, lane::lane(), &[lease]).await.unwrap();
    assert!(answered[0].was_installed);
    id
}

/// Whether a replica that believes that much is left of the lease issues a coupon from it.
async fn is_spendable(lane: &TestLane, lease: Uuid) -> bool {
    let writer = lane.writer();
    writer.hold(1, lease, &[(0, 10)]);
    answered(writer.claim(claim("ann", "r-1")).await).is_ok()
}

#[tokio::test]
async fn acknowledging_before_the_commit_turns_off_the_wait_for_the_disk() {
    let points = FailScenario::setup();
    fail::cfg("acknowledge-before-commit", "return").unwrap();
    let lane = TestLane::create().await;
    let lease = lane.lease(&[(0, 10)]).await;
    let now = Timestamp::now_utc();
    let row = IssueRow {
        shopper: &shopper_of("ann"),
        campaign: campaign_of(1),
        request_id: &RequestId::parse("r-1").unwrap(),
        requested_tier: None,
        assigned: Some((lease, tier_of(0))),
        limit: 1,
        valid_until: now,
        traceparent: None,
    };
    let mut connection = lane.pool.acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let issued = issue(&mut transaction, (lane::lane(), KEY_ID), now, &[row]).await;
    issued.unwrap();
    let setting: String = sqlx::query_scalar("SHOW synchronous_commit")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(setting, "off");
    points.teardown();
}

#[tokio::test]
async fn spending_without_the_fence_spends_from_a_sealed_lease() {
    let points = FailScenario::setup();
    fail::cfg("spend-without-fence", "return").unwrap();
    let lane = TestLane::create().await;
    let lease = sealed(&lane).await;
    assert!(is_spendable(&lane, lease).await);
    points.teardown();
}

#[tokio::test]
async fn a_lease_of_which_a_seal_was_only_answered_can_still_be_spent() {
    let points = FailScenario::setup();
    let lane = TestLane::create().await;
    let lease = sealed(&lane).await;
    assert!(!is_spendable(&lane, lease).await);
    fail::cfg("seal-nothing", "return").unwrap();
    let lease = sealed(&lane).await;
    assert!(is_spendable(&lane, lease).await);
    points.teardown();
}
