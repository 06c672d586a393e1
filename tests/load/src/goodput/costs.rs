//! What a refusal costs beside a served claim: processor time of the whole suite, without what it
//! takes to stand idle.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tidegate_client::Caller;
use tidegate_local::credentials::Credentials;
use time::OffsetDateTime;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use crate::{
    echo_process,
    processor_time::{Part, ProcessorTime, Spent, Whose},
    shoppers::{
        Scene,
        arrivals::{Arrivals, Stretch},
        come,
        journey::{End, Manner},
    },
    stage::{CONNECTIONS, Stage},
    suite,
};

/// A campaign with one coupon of either tier.
const CAMPAIGN_ID: &str = "sold-out";
const STOCK: (u64, u64) = (1, 1);
/// Who takes the coupons, and then whom the suite has time to find out that there are no more.
const FIRST: Stretch = Stretch {
    length: Duration::from_secs(3),
    per_second: 20.0,
};
/// Enough for a figure that ticks of a hundredth of a second do not blur.
const REFUSED: Stretch = Stretch {
    length: Duration::from_secs(4),
    per_second: 5_000.0,
};
const IDLE: Duration = Duration::from_secs(2);
const AT_MOST: Duration = Duration::from_secs(30);
const SOLD_OUT: &str = "BUDGET_EXHAUSTED";
/// Of this process, not of the suite.
const NOT_OF_THE_SUITE: [&str; 3] = ["load generator", "trace collector", "interrupts"];

#[derive(Debug, Clone, Copy, Serialize)]
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

/// Measures refusals. `served` is the time that so many coupons took at the peak, in so many
/// seconds.
pub async fn measure(
    stage: &Stage,
    caller: &Arc<Caller>,
    threads: &Handle,
    echo_folder: &Path,
    served: (&Spent, u64, f64),
) -> Result<Costs> {
    stage.campaign(CAMPAIGN_ID, STOCK).await?;
    let parts = suite::parts(&stage.stack)?;
    refuse(caller, threads, "first", FIRST).await?;
    let before = ProcessorTime::read(&parts)?;
    sleep(IDLE).await;
    let idle = ProcessorTime::read(&parts)?.since(&before, 1);
    let before = ProcessorTime::read(&parts)?;
    let began = Instant::now();
    let refused = refuse(caller, threads, "later", REFUSED).await?;
    let seconds = began.elapsed().as_secs_f64();
    let spent = ProcessorTime::read(&parts)?.since(&before, 1);
    ensure!(
        refused > 0,
        "Nobody was refused with {SOLD_OUT} although nothing is left: what a refusal costs cannot be measured."
    );
    let idle_share = suite_seconds(&idle) / IDLE.as_secs_f64();
    let each = |spent: f64, seconds: f64, count: u64| {
        1e6 * (spent - idle_share * seconds) / count.max(1) as f64
    };
    let (served, issued, served_seconds) = served;
    let gateway = spent.seconds.iter();
    let gateway: f64 = gateway
        .filter(|(part, _)| part.starts_with("gateway"))
        .map(|(_, seconds)| seconds)
        .sum();
    Ok(Costs {
        idle_share,
        served_us: each(suite_seconds(served), served_seconds, issued),
        refused_us: each(suite_seconds(&spent), seconds, refused),
        refused_by_gateway_us: 1e6 * gateway / refused as f64,
        echo_us: echo(threads, echo_folder).await?,
    })
}

async fn echo(threads: &Handle, folder: &Path) -> Result<f64> {
    let credentials = Credentials::load_or_make(folder, OffsetDateTime::now_utc())?;
    let (child, address) = echo_process::start(folder).await?;
    let process = child.id().context("the echo has ended")?;
    let parts = [Part::new("echo", Whose::Process(process))];
    let gateways = [address];
    let caller = suite::caller_at(
        &gateways,
        &credentials,
        suite::SUBJECT,
        CONNECTIONS,
        threads,
    );
    let caller = caller.await?;
    let before = ProcessorTime::read(&parts)?;
    let ends = come_through(
        &caller,
        threads,
        (crate::closed_loop::CAMPAIGN_ID, "echo"),
        REFUSED,
    )
    .await?;
    let answered = ends.iter().filter(|end| **end == End::Coupon).count() as u64;
    let spent = ProcessorTime::read(&parts)?.since(&before, 1);
    ensure!(
        answered > 0,
        "The echo answered nobody: what a bare answer costs cannot be measured."
    );
    let seconds: f64 = spent.seconds.get("echo").copied().unwrap_or_default();
    Ok(1e6 * seconds / answered as f64)
}

/// How many of those who came were told that nothing is left.
async fn refuse(
    caller: &Arc<Caller>,
    threads: &Handle,
    round: &str,
    stretch: Stretch,
) -> Result<u64> {
    let ends = come_through(caller, threads, (CAMPAIGN_ID, round), stretch).await?;
    let sold_out = End::Refused(SOLD_OUT.to_owned());
    let refused = ends.into_iter().filter(|end| *end == sold_out);
    Ok(refused.count() as u64)
}

async fn come_through(
    caller: &Arc<Caller>,
    threads: &Handle,
    (campaign_id, round): (&str, &str),
    stretch: Stretch,
) -> Result<Vec<End>> {
    let scene = Scene::new(caller, campaign_id, round, AT_MOST);
    let arrivals = Arrivals::new(vec![stretch], 2);
    let journeys = come(scene, arrivals, |_| Manner::AsTold, AT_MOST, threads).await;
    let journeys = journeys.context("the crowd did not come through")?;
    Ok(journeys.into_iter().map(|journey| journey.end).collect())
}

fn suite_seconds(spent: &Spent) -> f64 {
    spent
        .seconds
        .iter()
        .filter(|(part, _)| !NOT_OF_THE_SUITE.contains(&part.as_str()))
        .map(|(_, seconds)| seconds)
        .sum()
}
