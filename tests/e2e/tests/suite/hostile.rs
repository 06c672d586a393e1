//! The door among callers that mean harm, or only ask too much.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_e2e::{CampaignTerms, Suite, claim_of, eventually, refused, with_token};
use tidegate_local::{
    credentials::{Scope, Token},
    stack::Service,
};
use tidegate_proto::gateway::v1::{
    ListCouponsRequest, WatchOrderRequest, claim_service_client::ClaimServiceClient,
};
use tokio::net::TcpStream;

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
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    staff.open(CampaignTerms::open("tea", 100)).await?;
    let code = suite.coupon("tea", "alice").await?;
    let order = suite.order("alice", "o-1", &code).await?;
    let before = pace(&suite).await?;

    let door = suite.stack.replica("gateway-0")?.grpc_address();
    let idle = join_all((0..IDLE).map(|_| TcpStream::connect(door))).await;
    let watch = WatchOrderRequest {
        shopper_id: "alice".into(),
        order_id: order.order_id.clone(),
    };
    let mut orders = suite.orders()?;
    let mut unread = Vec::new();
    for _ in 0..SLOW_READERS {
        if let Ok(stream) = orders.watch_order(suite.request(watch.clone())).await {
            unread.push(stream);
        }
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
