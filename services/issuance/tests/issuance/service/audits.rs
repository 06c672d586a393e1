//! Audits that are given up, which must cost nobody else anything.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tidegate_proto::issuance::v1::CountCouponsRequest;
use tokio::time::{sleep, timeout};
use tonic::Request;

use crate::{
    flaky_path::FlakyPath,
    service::suite::{LANES, Suite, quota::CAMPAIGN, serving},
};

/// Far more than there are connections for audits, and for everything else.
const CALLS: u32 = 60;
/// How long each answer of the database is held up.
const ANSWER_DELAY: Duration = Duration::from_millis(10);
/// What a count keeps back from its deadline.
const COUNT_MARGIN: Duration = Duration::from_millis(100);

fn request(lane: u32) -> CountCouponsRequest {
    CountCouponsRequest {
        campaign_number: CAMPAIGN,
        lane,
        limit_per_shopper: 1,
        ..CountCouponsRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_that_their_callers_give_up_leave_no_connection_in_a_transaction() {
    let suite = Suite::start().await;
    let path = FlakyPath::to(&suite.database).await;
    let issuance = suite.issuance_over(&path).await;
    issuance.claim_in_the_end("ann").await;
    let fence = issuance.fence();
    fence.clone().count_coupons(request(0)).await.unwrap();
    // A count takes seven answers of the database: each of them is the one that is not waited for any more.
    path.delay(ANSWER_DELAY);
    for call in 0..CALLS {
        let patience = ANSWER_DELAY * (call % 9) + ANSWER_DELAY / 2;
        let mut request = Request::new(request(0));
        // Some are given up by their deadline, and some by their caller alone.
        if call % 2 == 0 {
            request.set_timeout(COUNT_MARGIN + patience);
        }
        let mut fence = fence.clone();
        let given_up = timeout(patience, fence.count_coupons(request)).await;
        drop(given_up);
    }
    path.delay(Duration::ZERO);

    // What is in the middle of its work now may end; what was forgotten in a transaction stays in it.
    sleep(Duration::from_secs(1)).await;
    let forgotten =
        "pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    assert_eq!(suite.database.count(forgotten).await, 0);
    issuance.claim_in_the_end("bob").await;
    for lane in 0..u32::from(LANES) {
        let counted = issuance.fence().count_coupons(request(lane)).await;
        counted.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audits_that_hang_keep_no_connection_from_claims_and_look_ups() {
    let (suite, issuance) = serving().await;
    let code = issuance.code("ann").await;
    let mut blocking = suite.database.options().connect().await.unwrap();
    let mut blocking = blocking.begin().await.unwrap();
    // No count gets past this, and nothing else reads it.
    let lock = "LOCK TABLE archived_lease_sums IN ACCESS EXCLUSIVE MODE";
    blocking.execute(lock).await.unwrap();
    let hanging: Vec<_> = (0..50)
        .map(|_| {
            let mut fence = issuance.fence();
            tokio::spawn(async move { fence.count_coupons(request(0)).await.is_err() })
        })
        .collect();
    sleep(Duration::from_millis(200)).await;
    for shopper in ["bob", "cem", "dan"] {
        issuance.claim_in_the_end(shopper).await;
        let checked = issuance.check("ann", &code);
        timeout(Duration::from_secs(1), checked).await.unwrap();
    }
    blocking.rollback().await.unwrap();
    for hung in hanging {
        let _ = hung.await.unwrap();
    }
}
