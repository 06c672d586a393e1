//! The door among callers that mean harm, or only ask too much.

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use tidegate_client::{Bearer, Refusal, claim_of, later, never, soon};
use tidegate_e2e::Suite;
use tidegate_local::{credentials::Scope, stack::Service};
use tidegate_proto::gateway::v1::LeaveQueueRequest;
use tonic::Status;

const SHOPPER_RATE: &str = "TIDEGATE_SHOPPER_RATE_PER_SECOND";

/// A suite with an open campaign, whose gateways have one setting of their own.
async fn suite_with(setting: &str, value: &str) -> Result<Suite> {
    let suite = Suite::start_set(Service::Gateway, &[(setting, value)]).await?;
    suite.open("tea", 1_000).await?;
    Ok(suite)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_asks_without_end_is_slowed_down_and_others_are_not() -> Result<()> {
    let suite = suite_with("TIDEGATE_CALLER_RATE_PER_SECOND", "50").await?;
    let greedy = Bearer::sign(suite.stack.credentials(), "greedy-bot", &Scope::CHATBOT)?;
    let greedy = suite.with(greedy);
    let claims = (0..500).map(|number| greedy.told(claim_of("tea", &format!("g-{number}"), "r-1")));
    let told = join_all(claims).await;
    let slowed = told.iter().filter(|told| **told == later("OVERLOADED"));
    assert!(slowed.count() > 200, "{told:?}");
    assert!(!told.contains(&never("OVERLOADED")));
    for number in 0..20 {
        suite.claim("tea", &format!("s-{number}"), "r-1").await?;
    }
    suite.end().await
}

const RPCS_OF_A_SHOPPER: &str = "ClaimCoupon GetClaim WatchClaim LeaveQueue ListCoupons GetCoupon \
    CheckCoupon PlaceOrder GetOrder ListOrders WatchOrder CancelOrder";

/// Calls one RPC for a shopper. `code` and `order` are well-formed, and not the shopper's.
async fn ask(suite: &Suite, rpc: &str, code: &str, order: &str) -> Result<(), Status> {
    let leave = suite.request(LeaveQueueRequest {
        campaign_id: "tea".into(),
        shopper_id: "bot".into(),
        request_id: "r-1".into(),
        ticket: "none".into(),
    });
    match rpc {
        "ClaimCoupon" => suite.claim("tea", "bot", "r-1").await.map(drop),
        "GetClaim" => suite.look_up("tea", "bot", "r-1").await.map(drop),
        "WatchClaim" => suite.watch_claim("tea", "bot", "r-1").await.map(drop),
        "LeaveQueue" => suite.claims().leave_queue(leave).await.map(drop),
        "ListCoupons" => suite.coupons("bot", 1).await.map(drop),
        "GetCoupon" => suite.get_coupon("bot", code).await.map(drop),
        "CheckCoupon" => suite.check("bot", code).await.map(drop),
        "PlaceOrder" => suite.order("bot", "o-1", code).await.map(drop),
        "GetOrder" => suite.get_order("bot", order).await.map(drop),
        "ListOrders" => suite.list_orders("bot", 1).await.map(drop),
        "WatchOrder" => suite.watch_order("bot", order).await.map(drop),
        _ => suite.cancel_order("bot", order).await.map(drop),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_shopper_asks_counts_towards_how_often_it_may_ask() -> Result<()> {
    let suite = suite_with(SHOPPER_RATE, "1").await?;
    let code = suite.coupon("tea", "alice").await?;
    let order = uuid::Uuid::now_v7().to_string();
    for rpc in RPCS_OF_A_SHOPPER.split(' ') {
        let slowed = soon(async || {
            // Whatever may be asked at once is used up.
            for _ in 0..10 {
                let _ = suite.coupons("bot", 1).await;
            }
            let refusal = ask(&suite, rpc, &code, &order).await.err();
            let reason = refusal.map(|status| Refusal::of(&status).reason);
            ensure!(reason.as_deref() == Some("OVERLOADED"), "{reason:?}");
            Ok(())
        });
        slowed.await.context(rpc)?;
    }
    suite.end().await
}
