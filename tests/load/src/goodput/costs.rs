//! What a refusal costs beside a served claim: processor time of the whole suite, without what it
//! takes to stand idle.

use std::{slice, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tidegate_client::Caller;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use crate::{
    closed_loop,
    echo_process::EchoProcess,
    outcomes::Measured,
    processor_time::ProcessorTime,
    shoppers::{
        Scene,
        arrivals::Arrivals,
        come,
        journey::{Manner, count_ends},
    },
    suite::{CONNECTIONS, Suite},
};

/// A campaign with one coupon of either tier.
const CAMPAIGN_ID: &str = "sold-out";
const STOCK: (u64, u64) = (1, 1);
/// Who takes the coupons, and then whom the suite has time to find out that there are no more.
const FIRST: (f64, Duration) = (20.0, Duration::from_secs(3));
/// Enough for a figure that ticks of a hundredth of a second do not blur.
const REFUSED: (f64, Duration) = (5_000.0, Duration::from_secs(4));
const IDLE: Duration = Duration::from_secs(2);
const AT_MOST: Duration = Duration::from_secs(30);
const SOLD_OUT: &str = "BUDGET_EXHAUSTED";

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Costs {
    /// Seconds of processor time in a second without calls.
    pub idle_share: f64,
    /// Of a claim that ends with a coupon, at the peak.
    pub served_us: f64,
    /// Of a claim that is refused because nothing is left.
    pub refused_us: f64,
    /// Of that, in the gateway.
    pub refused_by_gateway_us: f64,
    /// Of an answer by a server that gives the same to each claim and does nothing else.
    pub echo_us: f64,
}

/// Measures refusals beside what was served at the peak.
pub async fn measure(suite: &Suite, peak: &Measured) -> Result<Costs> {
    suite.campaign(CAMPAIGN_ID, STOCK).await?;
    let parts = suite.parts()?;
    let (caller, threads) = (suite.caller().await?, &suite.threads);
    let refuse = |round, crowd| ending(SOLD_OUT, &caller, threads, (CAMPAIGN_ID, round), crowd);
    refuse("first", FIRST).await?;
    let before = ProcessorTime::read(&parts)?;
    sleep(IDLE).await;
    let idle = ProcessorTime::read(&parts)?.since(&before, 1);
    let before = ProcessorTime::read(&parts)?;
    let began = Instant::now();
    let refused = refuse("later", REFUSED).await?;
    let seconds = began.elapsed().as_secs_f64();
    let spent = ProcessorTime::read(&parts)?.since(&before, 1);
    let idle_share = idle.suite_seconds() / IDLE.as_secs_f64();
    let each = |spent: f64, seconds: f64, count: u64| {
        1e6 * (spent - idle_share * seconds) / count.max(1) as f64
    };
    let gateways = spent.seconds.iter();
    let gateways = gateways.filter(|(part, _)| part.starts_with("gateway"));
    let gateways: f64 = gateways.map(|(_, seconds)| seconds).sum();
    let (served, outcomes) = (peak.processor.suite_seconds(), &peak.outcomes);
    Ok(Costs {
        idle_share,
        served_us: each(served, outcomes.seconds, outcomes.good),
        refused_us: each(spent.suite_seconds(), seconds, refused),
        refused_by_gateway_us: 1e6 * gateways / refused as f64,
        echo_us: echo(suite).await?,
    })
}

async fn echo(suite: &Suite) -> Result<f64> {
    let (credentials, threads) = (suite.stack.credentials(), &suite.threads);
    let echo = EchoProcess::start(credentials, CONNECTIONS, threads).await?;
    let parts = slice::from_ref(&echo.part);
    let before = ProcessorTime::read(parts)?;
    let of_round = (closed_loop::CAMPAIGN_ID, "echo");
    let answered = ending("coupon", &echo.caller, threads, of_round, REFUSED).await?;
    let spent = ProcessorTime::read(parts)?.since(&before, answered);
    Ok(spent.us_each.get("echo").copied().unwrap_or_default())
}

/// How many of those who came ended so.
async fn ending(
    wanted: &str,
    caller: &Arc<Caller>,
    threads: &Handle,
    (campaign_id, round): (&str, &str),
    (per_second, length): (f64, Duration),
) -> Result<u64> {
    let scene = Scene::new(caller, campaign_id, round, AT_MOST);
    let arrivals = Arrivals::steady(per_second, length, 2);
    let journeys = come(scene, arrivals, |_| Manner::AsTold, AT_MOST, threads).await;
    let ends = count_ends(&journeys.context("the crowd did not come through")?);
    let count = ends.get(wanted).copied().unwrap_or_default();
    ensure!(
        count > 0,
        "Nobody's end was {wanted}: what that costs cannot be measured. There were {ends:?}."
    );
    Ok(count)
}
