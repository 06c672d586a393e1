use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_telemetry::Registry;
use tokio::time::sleep;

use crate::{
    database::APPLICATION,
    flaky_path::FlakyPath,
    lane::{TestLane, Writer, answered, claim},
};

const SUBMITTERS: usize = 400;
const STOCK: u64 = 1_000_000;
const KILLS: usize = 12;
/// Between two attempts to meet the writer while it commits.
const PAUSE: Duration = Duration::from_millis(3);

/// Ends the writer's connection if it is issuing coupons right now.
async fn kill_writer(lane: &TestLane) -> Result<bool> {
    let killed: i64 = sqlx::query_scalar(
        "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = $1 AND state = 'active' AND query LIKE '%WITH items AS%' AND pid <> pg_backend_pid()",
    )
    .bind(APPLICATION)
    .fetch_one(&lane.pool)
    .await?;
    Ok(killed > 0)
}

/// Coupons of shoppers that have one claim only must be one each.
async fn duplicates(lane: &TestLane) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM (SELECT FROM coupons GROUP BY shopper_id HAVING count(*) > 1) AS twice")
        .fetch_one(&lane.pool)
        .await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_killed_while_committing_lose_no_claim_and_make_no_duplicate() {
    let lane = TestLane::create().await.unwrap();
    let lease = lane.lease(&[(0, STOCK)]).await.unwrap();
    let writer = lane.writer().unwrap();
    writer.hold(1, lease, &[(0, STOCK)]);
    let enough = AtomicBool::new(false);
    let claims = join_all((0..SUBMITTERS).map(async |submitter| {
        let mut answers = 0;
        while !enough.load(Ordering::Relaxed) {
            let shopper = format!("s-{submitter}-{answers}");
            answered(writer.claim(claim(&shopper, "r-1")).await).unwrap();
            answers += 1;
        }
        answers
    }));
    let killer = async {
        let mut kills = 0;
        while kills < KILLS {
            kills += usize::from(kill_writer(&lane).await.unwrap());
            sleep(PAUSE).await;
        }
        enough.store(true, Ordering::Relaxed);
    };
    let (answers, ()) = tokio::join!(claims, killer);
    let answers: i64 = answers.iter().sum();
    assert_eq!(lane.issued().await.unwrap(), answers);
    assert_eq!(duplicates(&lane).await.unwrap(), 0);
    assert_eq!(lane.unbalanced().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_killed_inside_the_statement_is_answered_with_a_coupon_all_the_same() {
    let lane = TestLane::create().await.unwrap();
    let lease = lane.lease(&[(0, 10)]).await.unwrap();
    let writer = lane.writer().unwrap();
    writer.hold(1, lease, &[(0, 10)]);
    // The statement waits for the lease's row, and so is certainly under way when its connection ends.
    let mut blocked = lane.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM lease_tiers FOR UPDATE")
        .execute(&mut *blocked)
        .await
        .unwrap();
    let (done, ()) = tokio::join!(writer.claim(claim("ann", "r-1")), async {
        while !kill_writer(&lane).await.unwrap() {
            sleep(PAUSE).await;
        }
        blocked.rollback().await.unwrap();
    });
    let (coupon, _) = answered(done).unwrap();
    assert_eq!(coupon.slot.get(), 1);
    assert_eq!(lane.issued().await.unwrap(), 1);
    assert_eq!(lane.unbalanced().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_committed_but_whose_answer_was_lost_is_answered_with_its_one_coupon() {
    let lane = TestLane::create().await.unwrap();
    let lease = lane.lease(&[(0, 100)]).await.unwrap();
    let path = FlakyPath::to(&lane.database).await.unwrap();
    let writer = Writer::start(path.open(&lane.database).unwrap(), &mut Registry::default());
    writer.hold(1, lease, &[(0, 100)]);
    for round in 0..20 {
        // The statement has been prepared by then, so that its one answer is that of the commit.
        answered(writer.claim(claim(&format!("before-{round}"), "r-1")).await).unwrap();
        path.lose_the_next_answer();
        let (_, replayed) =
            answered(writer.claim(claim(&format!("lost-{round}"), "r-1")).await).unwrap();
        assert!(!path.is_losing());
        assert!(
            replayed,
            "the first attempt was not committed, so the answer was lost too early"
        );
    }
    assert_eq!(lane.issued().await.unwrap(), 40);
    assert_eq!(duplicates(&lane).await.unwrap(), 0);
    assert_eq!(lane.unbalanced().await.unwrap(), []);
}
