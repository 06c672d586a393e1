//! Nobody reads the orders of another shopper.

use tidegate_auth::Identity;
use tidegate_proto::order_intake::v1::{GetOrderRequest, WatchOrderRequest};
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason;
use tonic::{Response, Status};

use crate::suite::{Suite, code, item, lane_of};

fn heard<T>(answer: Result<Response<T>, Status>) -> Result<T, Reason> {
    let answer = answer.map(Response::into_inner);
    answer.map_err(|status| reason_of(&status).unwrap())
}

#[tokio::test]
async fn nobody_reads_or_watches_another_shopper_s_order_by_its_id() {
    let suite = Suite::start().await;
    let order = suite.order(item("alice", "r-1", &code(1))).await;
    // In another lane nobody would look for it anyway.
    assert_eq!(lane_of("eve"), lane_of("alice"));
    let mut gateway = suite.orders(Identity::Gateway);
    let read = GetOrderRequest {
        shopper_id: "eve".to_owned(),
        order_id: order.order_id.clone(),
    };
    let read = heard(gateway.get_order(read).await);
    let watch = WatchOrderRequest {
        shopper_id: "eve".to_owned(),
        order_id: order.order_id,
    };
    let watched = heard(gateway.watch_order(watch).await);
    let told = [read.err(), watched.err()];
    assert_eq!(told, [Some(Reason::OrderNotFound); 2]);
}
