use std::time::Duration;

use futures_util::future::join_all;
use tidegate_auth::Identity;
use tokio::time::timeout;
use tonic::Code;

use crate::suite::{Suite, code, item, placed};

/// Far more than an HTTP/2 library takes for an attack.
const ROUNDS: usize = 30;
const CALLS: usize = 1_000;

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
        for failed in calls.into_iter().flatten().filter_map(Result::err) {
            assert_ne!(failed.code(), Code::ResourceExhausted, "{failed:?}");
        }
    }
    let last = get().await;
    assert!(last.is_ok(), "{last:?}");
}
