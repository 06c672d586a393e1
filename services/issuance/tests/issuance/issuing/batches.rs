use futures_util::future::join_all;
use tidegate_telemetry::Registry;
use tidegate_test_kit::metrics_page;

use crate::lane::{TestLane, Writer, claim};

const SUBMITTERS: usize = 1_000;
const CLAIMS_EACH: usize = 5;
/// Far from 1, and far below what any machine shows.
const MIN_MEAN_BATCH: f64 = 20.0;

/// Claims and commits so far, as the metrics page tells them.
fn claims_and_commits(registry: &Registry) -> (f64, f64) {
    let page = metrics_page(registry);
    let value = |of: &str| -> f64 {
        let name = format!("tidegate_commit_batch_size_{of}{{queue=\"coupons\"}} ");
        let value = page.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap().parse().unwrap()
    };
    (value("sum"), value("count"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_per_commit_grow_with_load() {
    let lane = TestLane::create().await;
    let lease = lane.lease(&[(0, 10_000)]).await;

    let mut registry = Registry::default();
    let alone = Writer::start(lane.database.open(), &mut registry);
    alone.hold(1, lease, &[(0, 50)]);
    for number in 0..50 {
        alone
            .claim_coupon(claim(&format!("alone-{number}"), "r-1"))
            .await;
    }
    assert_eq!(claims_and_commits(&registry), (50.0, 50.0));

    let mut registry = Registry::default();
    let crowded = Writer::start(lane.database.open(), &mut registry);
    crowded.hold(1, lease, &[(0, 9_000)]);
    join_all((0..SUBMITTERS).map(async |submitter| {
        for number in 0..CLAIMS_EACH {
            let shopper = format!("crowd-{submitter}-{number}");
            crowded.claim_coupon(claim(&shopper, "r-1")).await;
        }
    }))
    .await;
    let (claims, commits) = claims_and_commits(&registry);
    assert_eq!(claims, (SUBMITTERS * CLAIMS_EACH) as f64);
    assert!(
        claims / commits >= MIN_MEAN_BATCH,
        "{commits} commits for {claims} claims"
    );
}
