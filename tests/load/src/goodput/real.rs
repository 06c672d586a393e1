//! A flood of the suite as it is delivered: claims with their orders, and no ceiling but the
//! machine.
//!
//! Whoever comes costs processor time, also who is only told to wait, and the machine that serves
//! them bears that as well. So goodput is held against what the machine could serve beside as many
//! bare answers over gRPC, which is measured in the same run.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use tidegate_client::Caller;
use tidegate_local::stack::Stack;
use tokio::runtime::Handle;

use super::{
    Options,
    figures::{Figures, Recovery},
    real_report::{Peak, Point, Report},
    series,
    staircase::Staircase,
};
use crate::{
    arguments::Timing,
    closed_loop::{self, CAMPAIGN_ID, Outcomes},
    echo_process,
    machine::Machine,
    orders::{Errand, Errands, Wallet},
    processor_time::{Part, ProcessorTime, Spent, Whose},
    results,
    shoppers::{Scene, arrivals::Arrivals, come, journey::Journey, journey::Manner},
    stage::{CONNECTIONS, Stage},
    suite, tell,
};

const STOCK: (u64, u64) = (50_000_000, 1_000_000);
/// Room for whatever comes.
const ORDERS_PER_SLOT: u32 = 10_000;
/// Commits are full with so many, and nobody has to queue.
const SHOPPERS_AT_THE_PEAK: u32 = 1_000;
const PEAK: Timing = Timing {
    warm_up: Duration::from_secs(3),
    measured: Duration::from_secs(10),
};
/// How long it takes to choose a store.
const ORDERS_AFTER: Duration = Duration::from_secs(2);
/// The last ones' orders and calls end within this after their patience.
const LAST_CALLS: Duration = Duration::from_secs(5);

pub async fn run(options: &Options, folder: &Path, threads: &Handle) -> Result<()> {
    let stage = Stage::as_delivered(&folder.join("stack")).await?;
    let campaign_number = stage.campaign(CAMPAIGN_ID, STOCK).await?;
    suite::put_stores(&stage.staff, ORDERS_PER_SLOT).await?;
    let caller = stage.caller(threads).await?;
    let parts = suite::parts(&stage.stack)?;
    let peak = measure_peak(&caller, threads, &parts).await?;
    let echo_us = measure_echo(&stage.stack, threads).await?;
    tell(&format!(
        "The peak is {:.0} claims with their orders a second.",
        peak.per_second
    ));
    let staircase = Staircase::new(&options.real_loads, peak.per_second);
    let patience = Duration::from_secs(options.patience_seconds);
    let (journeys, spent) = flood(&caller, threads, &parts, &staircase, patience).await?;
    let points = staircase.steps.iter().zip(spent).map(|(step, processor)| {
        let figures = Figures::of(&journeys, &step.window, patience);
        Point::new(step, &journeys, figures, processor, (&peak, echo_us))
    });
    let points = points.collect();
    let recovery = Recovery::of(&journeys, staircase.flood_ends(), patience, None);
    let with_coupon = journeys.iter().filter(|journey| journey.has_coupon());
    let coupons_told = peak.given_ever + with_coupon.count() as u64;
    let coupons_kept = suite::coupons_kept(&stage.stack, campaign_number).await?;
    let report = Report::new(
        Machine::this(),
        (peak, echo_us),
        points,
        recovery.in_time_seconds,
        (coupons_told, coupons_kept),
    );
    stage.close().await?;
    ensure!(
        coupons_kept >= coupons_told,
        "Shoppers were given {coupons_told} coupons and the database has {coupons_kept}: what is measured is not durable."
    );
    results::write(folder, "goodput-real", &report, &report.to_string())
}

/// What can be served by a closed loop, each of whom claims and orders.
async fn measure_peak(caller: &Arc<Caller>, threads: &Handle, parts: &[Part]) -> Result<Peak> {
    tell("Measuring the peak of claims with their orders.");
    let errands = Errands {
        errand: Errand::Pair,
        caller: Arc::clone(caller),
        wallet: Arc::new(Wallet::default()),
    };
    let errand_of = move |place, visit| errands.clone().run(place, visit);
    let look = async || ProcessorTime::read(parts);
    let stretch = closed_loop::run(threads, SHOPPERS_AT_THE_PEAK, PEAK, errand_of, look).await?;
    let outcomes = Outcomes::of(&stretch.ends, stretch.seconds);
    ensure!(
        outcomes.issued > 0,
        "No order was accepted while the peak was measured: {:?}",
        outcomes.refused
    );
    Ok(Peak {
        per_second: outcomes.per_second,
        given_ever: outcomes.issued_ever,
        processor: stretch.after.since(&stretch.before, outcomes.issued),
    })
}

/// Microseconds of processor time for a bare answer of gRPC, with what its caller takes.
async fn measure_echo(stack: &Stack, threads: &Handle) -> Result<f64> {
    tell("Measuring bare answers.");
    let credentials = stack.credentials();
    let (child, address) = echo_process::start(credentials.folder()).await?;
    let process = child.id().context("the echo has ended")?;
    let gateways = [address];
    let caller = suite::caller_at(&gateways, credentials, suite::SUBJECT, CONNECTIONS, threads);
    let caller = caller.await?;
    let mut parts = Part::of_this_process().to_vec();
    parts.push(Part::new("echo", Whose::Process(process)));
    let look = async || ProcessorTime::read(&parts);
    let at_a_time = SHOPPERS_AT_THE_PEAK;
    let stretch = closed_loop::claims(&caller, threads, "echo", at_a_time, PEAK, look).await?;
    let answered = stretch.ends.good.len() as u64;
    ensure!(answered > 0, "The echo answered nobody.");
    Ok(stretch.after.since(&stretch.before, answered).all_us_each())
}

async fn flood(
    caller: &Arc<Caller>,
    threads: &Handle,
    parts: &[Part],
    staircase: &Staircase,
    patience: Duration,
) -> Result<(Vec<Journey>, Vec<Spent>)> {
    tell("Letting the crowd come.");
    let scene = Scene {
        orders_after: Some(ORDERS_AFTER),
        ..Scene::new(caller, CAMPAIGN_ID, "real", patience)
    };
    let (began, arrivals) = (scene.began, Arrivals::new(staircase.stretches(), 1));
    let at_most = staircase.ends() + patience + ORDERS_AFTER + LAST_CALLS;
    let coming = come(scene, arrivals, |_| Manner::AsTold, at_most, threads);
    let (journeys, spent) = tokio::join!(coming, series::watch(staircase, began, parts));
    Ok((journeys?, spent?))
}
