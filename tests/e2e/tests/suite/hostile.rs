//! The door among callers that mean harm, or only ask too much.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use tidegate_client::{Bearer, CampaignTerms, claim_of, eventually, refused};
use tidegate_e2e::Suite;
use tidegate_local::{credentials::Scope, stack::Service};
use tidegate_proto::gateway::v1::{
    LeaveQueueRequest, ListOrdersRequest, WatchClaimRequest, WatchOrderRequest,
};
use tokio::net::{TcpSocket, TcpStream};
use tonic::Status;

const IDLE: usize = 1_000;
const SLOW_READERS: usize = 300;
/// How much slower than before the others may be served. All of it runs on one machine.
const MAX_SLOWDOWN: u32 = 20;
/// Below this, times are noise.
const NOISE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);

/// Not from where the others come, since one address may have only so many connections.
async fn connect_from_elsewhere(door: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 66], 0).into())?;
    socket.connect(door).await
}

/// The middle time of many looks into wallets, one after the other.
async fn pace(suite: &Suite) -> Result<Duration> {
    let mut times = Vec::new();
    for number in 0..51 {
        // Each its own shopper: one alone may not ask so often.
        let shopper = format!("reader-{number}");
        let began = Instant::now();
        suite.coupons(&shopper, 10).await?;
        times.push(began.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_and_idle_connections_leave_the_others_as_quick_as_before() -> Result<()> {
    // One shopper reads slowly in many places, and is not to be stopped by how often one may ask.
    let suite = Suite::start_set(
        Service::Gateway,
        &[("TIDEGATE_SHOPPER_RATE_PER_SECOND", "1000")],
    )
    .await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    staff.open(CampaignTerms::open("tea", 100)).await?;
    let code = suite.coupon("tea", "alice").await?;
    let order = suite.order("alice", "o-1", &code).await?;
    let before = pace(&suite).await?;

    let door = suite.stack.replica("gateway-0")?.grpc_address();
    let idle = join_all((0..IDLE).map(|_| connect_from_elsewhere(door))).await;
    let watch = WatchOrderRequest {
        shopper_id: "alice".into(),
        order_id: order.order_id.clone(),
    };
    let mut orders = suite.orders();
    let mut unread = Vec::new();
    for _ in 0..SLOW_READERS {
        unread.push(orders.watch_order(suite.request(watch.clone())).await?);
    }
    let during = pace(&suite).await?;
    let bound = before.max(NOISE) * MAX_SLOWDOWN;
    assert!(during < bound, "{during:?} a call, {before:?} before");
    assert!(idle.iter().all(Result::is_ok));
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopper_that_asks_without_end_is_slowed_down_and_others_are_not() -> Result<()> {
    let suite = Suite::start_set(
        Service::Gateway,
        &[("TIDEGATE_SHOPPER_RATE_PER_SECOND", "5")],
    )
    .await?;
    suite.staff()?.open(CampaignTerms::open("tea", 100)).await?;
    let claims = (0..200).map(|number| {
        let request_id = format!("r-{number}");
        let suite = &suite;
        async move { suite.claim("tea", "bot", &request_id).await }
    });
    let refusals = join_all(claims).await.into_iter().filter_map(Result::err);
    let refusals: Vec<_> = refusals.map(|status| refused(&status)).collect();
    let slowed: Vec<_> = refusals
        .iter()
        .filter(|told| told.reason == "OVERLOADED")
        .collect();
    assert!(slowed.len() > 100, "{refusals:?}");
    assert!(slowed.iter().all(|told| told.retry_after.is_some()));
    for number in 0..20 {
        suite.claim("tea", &format!("s-{number}"), "r-1").await?;
    }
    suite.end().await
}

const RPCS_OF_A_SHOPPER: [&str; 12] = [
    "ClaimCoupon",
    "GetClaim",
    "WatchClaim",
    "LeaveQueue",
    "ListCoupons",
    "GetCoupon",
    "CheckCoupon",
    "PlaceOrder",
    "GetOrder",
    "ListOrders",
    "WatchOrder",
    "CancelOrder",
];

/// The reason with which an answer refuses.
fn reason<T>(answer: Result<T, Status>) -> Option<String> {
    answer.err().map(|status| refused(&status).reason)
}

/// Calls one RPC for a shopper and tells why it was refused. `code` and `order` are well-formed,
/// and not the shopper's.
async fn ask(
    suite: &Suite,
    rpc: &str,
    shopper: &str,
    code: &str,
    order: &str,
) -> Result<Option<String>> {
    let (mut claims, mut orders) = (suite.claims(), suite.orders());
    let claim = claim_of("tea", shopper, "r-1");
    let (shopper_id, order_id) = (shopper.to_owned(), order.to_owned());
    macro_rules! call {
        ($client:ident.$method:ident($message:expr)) => {
            reason($client.$method(suite.request($message)).await)
        };
    }
    Ok(match rpc {
        "ClaimCoupon" => reason(suite.issue(claim).await),
        "GetClaim" => reason(suite.look_up("tea", shopper, "r-1").await),
        "WatchClaim" => call!(claims.watch_claim(WatchClaimRequest {
            campaign_id: claim.campaign_id,
            shopper_id,
            request_id: claim.request_id,
            ..WatchClaimRequest::default()
        })),
        "LeaveQueue" => call!(claims.leave_queue(LeaveQueueRequest {
            campaign_id: claim.campaign_id,
            shopper_id,
            request_id: claim.request_id,
            ticket: "none".into(),
        })),
        "ListCoupons" => reason(suite.coupons(shopper, 1).await),
        "GetCoupon" => reason(suite.get_coupon(shopper, code).await),
        "CheckCoupon" => reason(suite.check(shopper, code).await),
        "PlaceOrder" => reason(suite.order(shopper, "o-1", code).await),
        "GetOrder" => reason(suite.get_order(shopper, order).await),
        "ListOrders" => call!(orders.list_orders(ListOrdersRequest {
            shopper_id,
            page_size: 1,
            ..ListOrdersRequest::default()
        })),
        "WatchOrder" => call!(orders.watch_order(WatchOrderRequest {
            shopper_id,
            order_id,
        })),
        _ => reason(suite.cancel_order(shopper, order).await),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_shopper_asks_counts_towards_how_often_it_may_ask() -> Result<()> {
    let suite = Suite::start_set(
        Service::Gateway,
        &[("TIDEGATE_SHOPPER_RATE_PER_SECOND", "1")],
    )
    .await?;
    suite.staff()?.open(CampaignTerms::open("tea", 100)).await?;
    let code = suite.coupon("tea", "alice").await?;
    let order = uuid::Uuid::now_v7().to_string();
    for rpc in RPCS_OF_A_SHOPPER {
        let slowed = eventually(PATIENCE, || {
            let (suite, code, order) = (&suite, &code, &order);
            async move {
                // Whatever may be asked at once is used up.
                for _ in 0..10 {
                    let _ = suite.coupons("bot", 1).await;
                }
                let refused = ask(suite, rpc, "bot", code, order).await?;
                anyhow::ensure!(refused.as_deref() == Some("OVERLOADED"), "{refused:?}");
                Ok(())
            }
        });
        slowed.await.with_context(|| rpc)?;
    }
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_asks_without_end_is_slowed_down_and_others_are_not() -> Result<()> {
    let suite = Suite::start_set(
        Service::Gateway,
        &[("TIDEGATE_CALLER_RATE_PER_SECOND", "50")],
    )
    .await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 1_000))
        .await?;
    let greedy = Bearer::sign(suite.stack.credentials(), "greedy-bot", &Scope::CHATBOT)?;
    let greedy = suite.with(greedy);
    let claims = (0..500).map(|number| {
        let (greedy, shopper) = (&greedy, format!("greedy-{number}"));
        async move { greedy.claim("tea", &shopper, "r-1").await }
    });
    let refusals = join_all(claims).await.into_iter().filter_map(Result::err);
    let slowed = refusals
        .map(|status| refused(&status))
        .filter(|told| told.reason == "OVERLOADED" && told.retry_after.is_some());
    assert!(slowed.count() > 200);
    for number in 0..20 {
        suite.claim("tea", &format!("s-{number}"), "r-1").await?;
    }
    suite.end().await
}
