use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use tidegate_telemetry::Registry;
use tidegate_test_kit::APPLICATION;
use tokio::time::{sleep, timeout};

use crate::{
    flaky_path::FlakyPath,
    lane::{TestLane, Writer, claim, stocked},
};

const SUBMITTERS: usize = 400;
const STOCK: u64 = 1_000_000;
const KILLS: usize = 12;
/// Between two attempts to meet the writer while it commits.
const PAUSE: Duration = Duration::from_millis(3);

/// How many connections of the service there are of which this is so.
async fn connections(lane: &TestLane, count: &str, of: &str) -> i64 {
    let mine = "datname = current_database() AND pid <> pg_backend_pid()";
    let query = format!(
        "SELECT {count} FROM pg_stat_activity WHERE {mine} AND application_name = '{APPLICATION}' AND {of}"
    );
    let counted = sqlx::query_scalar(&query).fetch_one(&lane.pool).await;
    counted.unwrap()
}

/// Ends the writer's connection if it is issuing coupons right now.
async fn kill_writer(lane: &TestLane) -> bool {
    let killed = "count(*) FILTER (WHERE pg_terminate_backend(pid))";
    let issuing = "state = 'active' AND query LIKE '%WITH items AS%'";
    connections(lane, killed, issuing).await > 0
}

/// Shoppers with several coupons, who all have one claim only.
const TWICE: &str = "(SELECT FROM coupons GROUP BY shopper_id HAVING count(*) > 1) AS twice";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_killed_while_committing_lose_no_claim_and_make_no_duplicate() {
    let (lane, writer, _) = stocked(&[(0, STOCK)]).await;
    let enough = AtomicBool::new(false);
    let claims = join_all((0..SUBMITTERS).map(async |submitter| {
        let mut answers = 0;
        while !enough.load(Ordering::Relaxed) {
            let shopper = format!("s-{submitter}-{answers}");
            writer.claim_coupon(claim(&shopper, "r-1")).await;
            answers += 1;
        }
        answers
    }));
    let killer = async {
        let mut kills = 0;
        while kills < KILLS {
            kills += usize::from(kill_writer(&lane).await);
            sleep(PAUSE).await;
        }
        enough.store(true, Ordering::Relaxed);
    };
    let (answers, ()) = tokio::join!(claims, killer);
    let answers: i64 = answers.iter().sum();
    assert_eq!(lane.issued().await, answers);
    assert_eq!(lane.database.count(TWICE).await, 0);
    assert_eq!(lane.unbalanced().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_given_up_while_it_begins_is_not_left_open() {
    let lane = TestLane::create().await;
    let path = FlakyPath::to(&lane.database).await;
    let pool = path.open(&lane.database).pool(1);
    drop(tidegate_pg::begin(&pool).await.unwrap());
    path.delay(Duration::from_millis(10));
    for patience_ms in 0..40 {
        let patience = Duration::from_millis(patience_ms);
        let _ = timeout(patience, tidegate_pg::begin(&pool)).await;
        drop(pool.acquire().await.unwrap());
        let open = connections(&lane, "count(*)", "state LIKE 'idle in transaction%'").await;
        assert_eq!(open, 0, "given up after {patience_ms} ms");
    }
}

#[tokio::test]
async fn a_writer_commits_nothing_on_a_server_that_would_lose_it_and_goes_on_once_it_is_mended() {
    let (lane, writer, _) = stocked(&[(0, 10)]).await;
    writer.claim_coupon(claim("s-1", "r-1")).await;
    let alter = async |what: &str| {
        let options = lane.database.options();
        let name = options.get_database().unwrap();
        let statement = format!("ALTER DATABASE {name} {what}");
        lane.database.execute(&statement).await;
    };
    alter("SET synchronous_commit = 'remote_write'").await;
    // Another server takes over: every connection ends.
    lane.database.lose_connections().await;
    let mut second = pin!(writer.claim_coupon(claim("s-2", "r-1")));
    assert!(timeout(Duration::from_secs(1), &mut second).await.is_err());
    alter("RESET synchronous_commit").await;
    second.await;
    assert_eq!(lane.issued().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_committed_but_whose_answer_was_lost_is_answered_with_its_one_coupon() {
    let lane = TestLane::create().await;
    let lease = lane.lease(&[(0, 100)]).await;
    let path = FlakyPath::to(&lane.database).await;
    let writer = Writer::start(path.open(&lane.database), &mut Registry::default());
    writer.hold(1, lease, &[(0, 100)]);
    for round in 0..20 {
        // The statement has been prepared by then, so that its one answer is that of the commit.
        writer
            .claim_coupon(claim(&format!("before-{round}"), "r-1"))
            .await;
        path.lose_the_next_answer();
        let (_, replayed) = writer
            .claim_coupon(claim(&format!("lost-{round}"), "r-1"))
            .await;
        assert!(!path.is_losing());
        assert!(
            replayed,
            "the first attempt was not committed, so the answer was lost too early"
        );
    }
    assert_eq!(lane.issued().await, 40);
    assert_eq!(lane.database.count(TWICE).await, 0);
    assert_eq!(lane.unbalanced().await, []);
}
