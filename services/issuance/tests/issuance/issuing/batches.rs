use std::sync::Arc;

use tokio::task::JoinSet;

use crate::lane::{claim, stocked};

/// On a worker of its own, as services run: there a task that is woken goes before the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn claims_that_are_ready_at_one_time_go_in_one_commit() {
    let (lane, writer, _) = stocked(&[(0, 100)]).await;
    let writer = Arc::new(writer);
    // Until the writer has its connection and waits.
    writer.claim_coupon(claim("first", "r-1")).await;
    let all_at_once = tokio::spawn(async move {
        let mut claims = JoinSet::new();
        for shopper in 0..8 {
            let writer = Arc::clone(&writer);
            claims.spawn(async move {
                let claim = claim(&format!("s-{shopper}"), "r-1");
                writer.claim_coupon(claim).await;
            });
        }
        claims.join_all().await;
    });
    all_at_once.await.unwrap();
    let commits: i64 = sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM coupons")
        .fetch_one(&lane.pool)
        .await
        .unwrap();
    assert_eq!(commits, 2, "the first, and the others");
}
