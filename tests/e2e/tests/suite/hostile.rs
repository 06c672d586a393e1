//! The door among callers that mean harm, or only ask too much.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use tidegate_client::{Bearer, Refusal, Told, claim_of, later, never, refused, soon};
use tidegate_e2e::Suite;
use tidegate_local::{credentials::Scope, stack::Service};
use tidegate_proto::gateway::v1::LeaveQueueRequest;
use tokio::net::{TcpSocket, TcpStream};
use tonic::{Code, Status};

const IDLE: usize = 1_000;
const SLOW_READERS: usize = 300;
/// How much slower than before the others may be served. All of it runs on one machine.
const MAX_SLOWDOWN: u32 = 20;
/// Below this, times are noise.
const NOISE: Duration = Duration::from_millis(10);
const SHOPPER_RATE: &str = "TIDEGATE_SHOPPER_RATE_PER_SECOND";

/// A suite with an open campaign, whose gateways have one setting of their own.
async fn suite_with(setting: &str, value: &str) -> Result<Suite> {
    let suite = Suite::start_set(Service::Gateway, &[(setting, value)]).await?;
    suite.open("tea", 1_000).await?;
    Ok(suite)
}

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
    let suite = suite_with(SHOPPER_RATE, "1000").await?;
    suite.staff.make_store().await?;
    let code = suite.coupon("tea", "alice").await?;
    let order = suite.order("alice", "o-1", &code).await?;
    let before = pace(&suite).await?;

    let door = suite.stack.replica("gateway-0")?.grpc_address();
    let idle = join_all((0..IDLE).map(|_| connect_from_elsewhere(door))).await;
    let mut unread = Vec::new();
    for _ in 0..SLOW_READERS {
        unread.push(suite.watch_order("alice", &order.order_id).await?);
    }
    let during = pace(&suite).await?;
    let bound = before.max(NOISE) * MAX_SLOWDOWN;
    assert!(during < bound, "{during:?} a call, {before:?} before");
    assert!(idle.iter().all(Result::is_ok));
    suite.end().await
}

/// Most of many claims at one moment are told to come back, and others are served.
async fn slows_down<Claims>(suite: Suite, claims: Claims, at_least: usize) -> Result<()>
where
    Claims: IntoIterator<Item: Future<Output = Told>>,
{
    let told = join_all(claims).await;
    let slowed = told.iter().filter(|told| **told == later("OVERLOADED"));
    assert!(slowed.count() > at_least, "{told:?}");
    assert!(!told.contains(&never("OVERLOADED")));
    for number in 0..20 {
        suite.claim("tea", &format!("s-{number}"), "r-1").await?;
    }
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopper_that_asks_without_end_is_slowed_down_and_others_are_not() -> Result<()> {
    let suite = suite_with(SHOPPER_RATE, "5").await?;
    let gateway = suite.gateways[0].clone();
    let claims =
        (0..200).map(|number| gateway.told(claim_of("tea", "bot", &format!("r-{number}"))));
    slows_down(suite, claims, 100).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_asks_without_end_is_slowed_down_and_others_are_not() -> Result<()> {
    let suite = suite_with("TIDEGATE_CALLER_RATE_PER_SECOND", "50").await?;
    let greedy = Bearer::sign(suite.stack.credentials(), "greedy-bot", &Scope::CHATBOT)?;
    let greedy = suite.with(greedy);
    let claims = (0..500).map(|number| greedy.told(claim_of("tea", &format!("g-{number}"), "r-1")));
    slows_down(suite, claims, 200).await
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
    for rpc in RPCS_OF_A_SHOPPER {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_asked_for_only_where_the_deadline_leaves_time_for_it() -> Result<()> {
    let suite = suite_with(SHOPPER_RATE, "1").await?;
    for (deadline_ms, is_asked_for) in [(300, false), (8_000, true)] {
        let deadline = Duration::from_millis(deadline_ms);
        let hasty = suite.within(deadline);
        let told = loop {
            let told = refused(hasty.claim("none", "ann", "r-1").await);
            if told.code == Code::Unavailable {
                break told;
            }
        };
        assert_eq!(told.reason, "OVERLOADED");
        let after = told.retry_after.unwrap();
        let pushback: i64 = told.pushback.unwrap().parse()?;
        if is_asked_for {
            assert_eq!(u128::try_from(pushback), Ok(after.as_millis()));
        } else {
            assert_eq!(pushback, -1);
            assert!(after > deadline, "{after:?}");
        }
    }
    suite.end().await
}
