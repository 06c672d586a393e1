//! The door among callers that mean harm, or only ask too much.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use tidegate_e2e::{CampaignTerms, Suite, claim_of, eventually, order_of, refused, with_token};
use tidegate_local::{
    credentials::{Scope, Token},
    stack::Service,
};
use tidegate_proto::gateway::v1::{
    CancelOrderRequest, GetClaimRequest, GetCouponRequest, GetOrderRequest, LeaveQueueRequest,
    ListCouponsRequest, ListOrdersRequest, WatchClaimRequest, WatchOrderRequest,
    claim_service_client::ClaimServiceClient,
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

async fn with_gateway_setting(name: &str, value: &str) -> Result<Suite> {
    Suite::start_with(|options| {
        let setting = (Service::Gateway, name.to_owned(), Some(value.to_owned()));
        options.variables.push(setting);
    })
    .await
}

/// Not from where the others come, since one address may have only so many connections.
async fn connect_from_elsewhere(door: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 66], 0).into())?;
    socket.connect(door).await
}

/// The middle time of many looks into wallets, one after the other.
async fn pace(suite: &Suite) -> Result<Duration> {
    let (mut wallet, mut times) = (suite.wallet()?, Vec::new());
    for number in 0..51 {
        let message = ListCouponsRequest {
            // Each its own shopper: one alone may not ask so often.
            shopper_id: format!("reader-{number}"),
            page_size: 10,
            ..ListCouponsRequest::default()
        };
        let began = Instant::now();
        wallet.list_coupons(suite.request(message)).await?;
        times.push(began.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_and_idle_connections_leave_the_others_as_quick_as_before() -> Result<()> {
    // One shopper reads slowly in many places, and is not to be stopped by how often one may ask.
    let suite = with_gateway_setting("TIDEGATE_SHOPPER_RATE_PER_SECOND", "1000").await?;
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
    let mut orders = suite.orders()?;
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
    let suite = with_gateway_setting("TIDEGATE_SHOPPER_RATE_PER_SECOND", "5").await?;
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

fn look_of(shopper: &str) -> ListCouponsRequest {
    ListCouponsRequest {
        shopper_id: shopper.into(),
        page_size: 1,
        ..ListCouponsRequest::default()
    }
}

/// Calls one RPC for a shopper and tells why it was refused. `code` and `order` are well-formed, and not the shopper's.
async fn ask(
    suite: &Suite,
    rpc: &str,
    shopper: &str,
    code: &str,
    order: &str,
) -> Result<Option<String>> {
    let mut claims = ClaimServiceClient::new(suite.door("gateway-0")?);
    let (mut wallet, mut orders) = (suite.wallet()?, suite.orders()?);
    let (campaign_id, request_id) = ("tea".to_owned(), "r-1".to_owned());
    let (shopper_id, order_id) = (shopper.to_owned(), order.to_owned());
    macro_rules! call {
        ($client:ident.$method:ident($message:expr)) => {
            reason($client.$method(suite.request($message)).await)
        };
    }
    Ok(match rpc {
        "ClaimCoupon" => reason(suite.claim("tea", shopper, "r-1").await),
        "GetClaim" => call!(claims.get_claim(GetClaimRequest {
            campaign_id,
            shopper_id,
            request_id,
        })),
        "WatchClaim" => call!(claims.watch_claim(WatchClaimRequest {
            campaign_id,
            shopper_id,
            request_id,
            ..WatchClaimRequest::default()
        })),
        "LeaveQueue" => call!(claims.leave_queue(LeaveQueueRequest {
            campaign_id,
            shopper_id,
            request_id,
            ticket: "none".into(),
        })),
        "ListCoupons" => call!(wallet.list_coupons(look_of(shopper))),
        "GetCoupon" => call!(wallet.get_coupon(GetCouponRequest {
            shopper_id,
            coupon_code: code.into(),
        })),
        "CheckCoupon" => reason(suite.check(shopper, code).await),
        "PlaceOrder" => reason(suite.place(order_of(shopper, "o-1", code)).await),
        "GetOrder" => call!(orders.get_order(GetOrderRequest {
            shopper_id,
            order_id,
        })),
        "ListOrders" => call!(orders.list_orders(ListOrdersRequest {
            shopper_id,
            page_size: 1,
            ..ListOrdersRequest::default()
        })),
        "WatchOrder" => call!(orders.watch_order(WatchOrderRequest {
            shopper_id,
            order_id,
        })),
        _ => call!(orders.cancel_order(CancelOrderRequest {
            shopper_id,
            order_id,
        })),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_shopper_asks_counts_towards_how_often_it_may_ask() -> Result<()> {
    let suite = with_gateway_setting("TIDEGATE_SHOPPER_RATE_PER_SECOND", "1").await?;
    suite.staff()?.open(CampaignTerms::open("tea", 100)).await?;
    let code = suite.coupon("tea", "alice").await?;
    let order = uuid::Uuid::now_v7().to_string();
    for rpc in RPCS_OF_A_SHOPPER {
        let slowed = eventually(PATIENCE, || {
            let (suite, code, order) = (&suite, &code, &order);
            async move {
                // Whatever may be asked at once is used up.
                for _ in 0..10 {
                    let look = suite.request(look_of("bot"));
                    let _ = suite.wallet()?.list_coupons(look).await;
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
    let suite = with_gateway_setting("TIDEGATE_CALLER_RATE_PER_SECOND", "50").await?;
    suite
        .staff()?
        .open(CampaignTerms::open("tea", 1_000))
        .await?;
    let greedy = Token::new("greedy-bot", &Scope::CHATBOT);
    let greedy = suite.stack.credentials().sign(&greedy)?;
    let door = ClaimServiceClient::new(suite.door("gateway-0")?);
    let claims = (0..500).map(|number| {
        let mut door = door.clone();
        let claim = claim_of("tea", &format!("greedy-{number}"), "r-1");
        let request = with_token(claim, &greedy);
        async move { door.claim_coupon(request).await }
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

#[tokio::test(flavor = "multi_thread")]
async fn after_the_sell_out_strangers_are_answered_at_the_door_and_holders_get_their_coupon()
-> Result<()> {
    let suite = Suite::start().await?;
    suite.staff()?.open(CampaignTerms::open("tea", 5)).await?;
    let suite_of = &suite;
    for number in 0..5 {
        let shopper = format!("s-{number}");
        // The last coupons may be on their way from one replica to the other.
        eventually(PATIENCE, || suite_of.claim("tea", &shopper, "r-1")).await?;
    }
    let asked = async || -> Result<f64> {
        let mut sum = 0.0;
        for issuance in ["issuance-0", "issuance-1"] {
            let name = "grpc_server_handled_total";
            sum += suite.metric(issuance, name, "IssueCoupons").await?;
        }
        Ok(sum)
    };
    let mut round = 0;
    eventually(PATIENCE, || {
        round += 1;
        let (suite, asked) = (&suite, &asked);
        async move {
            let before = asked().await?;
            for number in 0..10 {
                let late = format!("late-{round}-{number}");
                let told = suite.claim("tea", &late, "r-1").await;
                let told = told.err().map(|status| refused(&status).reason);
                anyhow::ensure!(told.as_deref() == Some("BUDGET_EXHAUSTED"), "{told:?}");
            }
            let after = asked().await?;
            anyhow::ensure!(before == after, "issuance was asked");
            Ok(())
        }
    })
    .await?;
    for number in 0..5 {
        let again = suite.claim("tea", &format!("s-{number}"), "r-1").await?;
        assert!(again.replayed, "{number}: {again:?}");
    }
    suite.end().await
}
