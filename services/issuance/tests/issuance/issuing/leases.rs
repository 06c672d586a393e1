use futures_util::future::join_all;
use tidegate_issuance::{
    lane_work::{Claim, Claimed},
    store::{MIGRATIONS, leases::Installed},
};
use tidegate_pg::DatabaseUnusable;
use tidegate_telemetry::Registry;
use tidegate_test_kit::{TestDatabase, metrics_page};
use tidegate_types::Lanes;

use crate::lane::{TestLane, Writer, claim, counts};

#[tokio::test]
async fn an_overdrawn_lease_yields_none_of_the_batchs_share_and_other_tiers_are_served() {
    let lane = TestLane::create().await;
    let lease = lane.lease(&[(0, 5), (1, 8)]).await;
    let writer = lane.writer();
    // The book says more than the database: six of tier 0 where there are five.
    writer.hold(1, lease, &[(0, 6), (1, 8)]);
    let names: Vec<_> = (0..14).map(|number| format!("s-{number:02}")).collect();
    // All are handed in before the writer runs, and so are one batch.
    let outcomes = join_all(names.iter().map(|name| writer.claim(claim(name, "r-1")))).await;
    let (mut of_tier_one, mut refused) = (0, 0);
    for outcome in outcomes {
        match outcome {
            Ok(Claimed::NoStock) => refused += 1,
            Ok(Claimed::Issued(issued)) => {
                assert_eq!(issued.coupon.tier.get(), 1);
                of_tier_one += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((of_tier_one, refused), (8, 6));
    assert_eq!(lane.unbalanced().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_in_the_middle_of_commits_tells_exactly_what_was_issued() {
    let lane = TestLane::create().await;
    for round in 0..10 {
        let lease = lane.lease(&[(0, 10_000)]).await;
        let writer = lane.writer();
        writer.hold(1, lease, &[(0, 10_000)]);
        // The first claim of each round makes sure that commits are under way when the seal comes.
        writer
            .claim_coupon(claim(&format!("first-{round}"), "r-1"))
            .await;
        let claims = join_all((0..300).map(async |number| {
            let mut issued = 0u64;
            for request in ["r-1", "r-2", "r-3"] {
                let wanted = Claim {
                    limit: 3,
                    ..claim(&format!("s-{round}-{number}"), request)
                };
                issued += u64::from(matches!(writer.claim(wanted).await, Ok(Claimed::Issued(_))));
            }
            issued
        }));
        let (told, used) = tokio::join!(claims, lane.seal(lease));
        let told = told.iter().sum::<u64>() + 1;
        assert_eq!(used, counts(&[(0, told)]), "round {round}");
    }
    assert_eq!(lane.unbalanced().await, []);
}

#[tokio::test]
async fn installing_twice_changes_nothing_and_tells_what_is_left() {
    let lane = TestLane::create().await;
    let lease = lane.lease(&[(0, 10), (1, 4)]).await;
    let writer = lane.writer();
    writer.hold(1, lease, &[(0, 10)]);
    writer.claim_coupon(claim("ann", "r-1")).await;
    let again = lane.install(lease, &[(0, 10), (1, 4)]).await;
    assert_eq!(again, Installed::Before(counts(&[(0, 9), (1, 4)])));
    lane.seal(lease).await;
    let sealed = lane.install(lease, &[(0, 10), (1, 4)]).await;
    assert_eq!(sealed, Installed::Before(counts(&[(0, 0), (1, 0)])));
    assert_eq!(lane.unbalanced().await, []);
}

#[tokio::test]
async fn a_database_made_with_other_lanes_is_refused() {
    let database = TestDatabase::migrated(&MIGRATIONS).await;
    let fix = async |count: u16| {
        let lanes = Lanes::new(count).unwrap();
        database.open().fix_lanes(lanes).await
    };
    fix(4).await.unwrap();
    fix(4).await.unwrap();
    match fix(8).await {
        Err(DatabaseUnusable::OtherLanes { fixed, configured }) => {
            assert_eq!((fixed, configured), (4, 8));
        }
        other => panic!("{other:?}"),
    }
}

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
