use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _};
use tidegate_proto::{
    issuance::v1::{IssueItem, issue_result},
    r#type::v1::Reason,
};
use tokio::time::sleep;

use super::suite::{Issuance, claim_of, lane_of, new_order, serving};

/// What one call may carry, and as many as a lane's queue holds in these tests.
const CROWD: usize = 1_000;

/// A call is in the queue by then.
const STEP: Duration = Duration::from_millis(400);

/// Claims for so many shoppers of one lane; why each was refused that was.
async fn crowd(issuance: &Issuance, lane: u32) -> Vec<Reason> {
    let shoppers = (0..).map(|number| format!("crowd-{number}"));
    let of_lane = shoppers.filter(|shopper| lane_of(shopper) == lane);
    let items = of_lane.take(CROWD).map(|shopper| IssueItem {
        deadline_ms: 4_000,
        ..claim_of(&shopper)
    });
    let results = issuance.issue(items.collect()).await.results;
    let outcomes = results.into_iter().filter_map(|result| result.outcome);
    let refusals = outcomes.filter_map(|outcome| match outcome {
        issue_result::Outcome::Refused(refusal) => Some(refusal.reason()),
        issue_result::Outcome::Issued(_) => None,
    });
    refusals.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_fill_the_queue_leave_room_for_a_redemption() {
    let (suite, issuance) = serving().await;
    let code = issuance.code("ann").await;
    let (lane, order) = (lane_of("ann"), new_order());
    // Nothing commits meanwhile, so that the queue stays full.
    let mut database = suite.database.options().connect().await.unwrap();
    let mut stall = database.begin().await.unwrap();
    let lock = "LOCK TABLE coupons IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut *stall).await.unwrap();
    let redeeming = async {
        sleep(STEP).await;
        // The queue takes no more claims.
        let refused = crowd(&issuance, lane);
        let redeemed = async {
            sleep(STEP).await;
            issuance.redeem("ann", &code, &order).await
        };
        let end = async {
            sleep(2 * STEP).await;
            stall.rollback().await.unwrap();
        };
        let (refused, redeemed, ()) = tokio::join!(refused, redeemed, end);
        assert!(refused.contains(&Reason::QueueFull), "{refused:?}");
        redeemed
    };
    let (_, redeemed) = tokio::join!(crowd(&issuance, lane), redeeming);
    redeemed.unwrap();
    issuance.stop().await;
}
