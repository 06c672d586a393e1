use futures_util::future::join_all;
use tidegate_issuance::{
    domain::claim::Claim,
    lane_work::Claimed,
    store::{MIGRATIONS, leases::Installed},
};
use tidegate_pg::DatabaseUnusable;
use tidegate_test_kit::TestDatabase;
use tidegate_types::Lanes;

use crate::lane::{TestLane, claim, counts};

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
