//! Each fail point of a test build does the wrong it is named after. They are set for the whole
//! process, so these tests have one of their own, and take turns in it.

// All of it is test code; an unwrap here says what the test expects.
#![allow(clippy::unwrap_used)]

#[path = "../issuance/lane.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod lane;

use fail::FailScenario;
use lane::{TestLane, claim, issue};
use sqlx::Connection as _;
use tidegate_issuance::lane_work::Claimed;
use uuid::Uuid;

/// Whether a replica that believes that much is left of a sealed lease issues a coupon from it.
async fn is_spendable_when_sealed(lane: &TestLane) -> bool {
    let lease: Uuid = lane.lease(&[(0, 10)]).await;
    assert!(lane.seal_all(&[lease]).await[0].was_installed);
    let writer = lane.writer();
    writer.hold(1, lease, &[(0, 10)]);
    let claimed = writer.claim(claim("ann", "r-1")).await;
    matches!(claimed, Ok(Claimed::Issued(_)))
}

#[tokio::test]
async fn acknowledging_before_the_commit_turns_off_the_wait_for_the_disk() {
    let points = FailScenario::setup();
    fail::cfg("acknowledge-before-commit", "return").unwrap();
    let lane = TestLane::create().await;
    let lease = lane.lease(&[(0, 10)]).await;
    let mut connection = lane.pool.acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let claims = [(claim("ann", "r-1"), Some((lease, 0)))];
    issue(&mut transaction, &claims).await;
    let setting: String = sqlx::query_scalar("SHOW synchronous_commit")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(setting, "off");
    points.teardown();
}

#[tokio::test]
async fn a_sealed_lease_is_spent_from_without_the_fence_and_when_its_seal_was_only_answered() {
    let points = FailScenario::setup();
    let lane = TestLane::create().await;
    assert!(!is_spendable_when_sealed(&lane).await);
    for point in ["spend-without-fence", "seal-nothing"] {
        lane.database.execute("DELETE FROM coupons").await;
        fail::cfg(point, "return").unwrap();
        assert!(is_spendable_when_sealed(&lane).await, "{point}");
        fail::remove(point);
    }
    points.teardown();
}
