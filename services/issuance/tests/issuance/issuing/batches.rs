use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use tidegate_telemetry::Registry;

use crate::lane::{TestLane, Writer, answered, claim};

const SUBMITTERS: usize = 1_000;
const CLAIMS_EACH: usize = 5;
/// Far from 1, and far below what any machine shows.
const MIN_MEAN_BATCH: f64 = 20.0;

/// Claims and commits so far, as the metrics page tells them.
fn claims_and_commits(registry: &Registry) -> Result<(f64, f64)> {
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, registry)?;
    let value = |name: &str| -> Result<f64> {
        let mut values = page.lines().filter_map(|line| line.strip_prefix(name));
        let value = values
            .next()
            .with_context(|| format!("no {name}in:\n{page}"))?;
        Ok(value.parse()?)
    };
    Ok((
        value("tidegate_commit_batch_size_sum{queue=\"coupons\"} ")?,
        value("tidegate_commit_batch_size_count{queue=\"coupons\"} ")?,
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_per_commit_grow_with_load() {
    let lane = TestLane::create().await;
    let lease = lane.lease(&[(0, 10_000)]).await;

    let mut registry = Registry::default();
    let alone = Writer::start(lane.database.open().unwrap(), &mut registry);
    alone.hold(1, lease, &[(0, 50)]);
    for number in 0..50 {
        answered(alone.claim(claim(&format!("alone-{number}"), "r-1")).await).unwrap();
    }
    assert_eq!(claims_and_commits(&registry).unwrap(), (50.0, 50.0));

    let mut registry = Registry::default();
    let crowded = Writer::start(lane.database.open().unwrap(), &mut registry);
    crowded.hold(1, lease, &[(0, 9_000)]);
    join_all((0..SUBMITTERS).map(async |submitter| {
        for number in 0..CLAIMS_EACH {
            let shopper = format!("crowd-{submitter}-{number}");
            answered(crowded.claim(claim(&shopper, "r-1")).await).unwrap();
        }
    }))
    .await;
    let (claims, commits) = claims_and_commits(&registry).unwrap();
    assert_eq!(claims, (SUBMITTERS * CLAIMS_EACH) as f64);
    assert!(
        claims / commits >= MIN_MEAN_BATCH,
        "{commits} commits for {claims} claims"
    );
}
