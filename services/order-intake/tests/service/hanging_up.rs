use std::time::Duration;

use futures_util::future::join_all;
use tidegate_auth::Identity;
use tidegate_rpc::refusal::reason_of;
use tokio::time::{sleep, timeout};

use crate::suite::{Suite, code, item, placed};

/// Far more than an HTTP/2 library takes for an attack.
const ROUNDS: usize = 30;
const CALLS: usize = 1_000;
/// Calls that were given up have left their places by then.
const CALM_WITHIN: Duration = Duration::from_secs(10);
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_hang_up_in_crowds_do_not_end_the_connection_of_the_others() {
    let suite = Suite::start().await;
    let order = placed(suite.place(item("alice", "r-1", &code(1))).await)
        .order
        .unwrap();
    let client = suite.orders(Identity::Gateway);
    let get = || {
        let mut client = client.clone();
        let message = tidegate_proto::order_intake::v1::GetOrderRequest {
            shopper_id: "alice".to_owned(),
            order_id: order.order_id.clone(),
        };
        async move { client.get_order(message).await }
    };
    for round in 0..ROUNDS {
        // Some give up before the server has seen their call, some while the answer is on its way.
        let patience = Duration::from_millis(5 * round as u64);
        let calls = join_all((0..CALLS).map(|_| timeout(patience, get()))).await;
        // Whom a busy service puts off is told so by the service; a connection that ended names no reason.
        for failed in calls.into_iter().flatten().filter_map(Result::err) {
            assert!(reason_of(&failed).is_some(), "{failed:?}");
        }
    }
    let answered = timeout(CALM_WITHIN, async {
        while let Err(failed) = get().await {
            assert!(reason_of(&failed).is_some(), "{failed:?}");
            sleep(ASKED_AGAIN_AFTER).await;
        }
    });
    assert!(answered.await.is_ok(), "nobody is answered any more");
}
