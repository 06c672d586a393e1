//! A flood of the suite as it is delivered: claims with their orders, and no ceiling but the
//! machine.
//!
//! Whoever comes costs processor time, also who is only told to wait, and the machine that serves
//! them bears that as well. So goodput is held against what the machine could serve beside as many
//! bare answers over gRPC, which is measured in the same run.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tidegate_client::Caller;
use tidegate_local::stack::StackOptions;

use super::{Options, STOCK, figures::Recovery, real_report::Report, staircase::Staircase};
use crate::{
    arguments::Timing,
    closed_loop::{CAMPAIGN_ID, nothing},
    echo_process::EchoProcess,
    orders::{Errand, Errands, Wallet},
    outcomes::Measured,
    report::write,
    shoppers::{
        Scene,
        journey::{Manner, coupons},
    },
    suite::{Site, Suite},
    tell,
};

/// Room for whatever comes.
const ORDERS_PER_SLOT: u32 = 10_000;
/// Commits are full with so many, and nobody has to queue.
const SHOPPERS_AT_THE_PEAK: u32 = 1_000;
const WARM_UP: Duration = Duration::from_secs(3);
/// As many as `deploy/local/run` starts.
const REPLICAS: u16 = 2;
/// How long it takes to choose a store.
const ORDERS_AFTER: Duration = Duration::from_secs(2);

pub async fn run(options: &Options, site: &Site) -> Result<()> {
    let suite = Suite::start(site, |defaults| StackOptions {
        issuance_replicas: REPLICAS,
        gateway_replicas: REPLICAS,
        ..defaults
    })
    .await?;
    // To the generator, or shoppers would come when they can and not when they are to.
    suite.stack.give_way();
    let campaign_number = suite.campaign(CAMPAIGN_ID, STOCK).await?;
    suite.put_stores(ORDERS_PER_SLOT).await?;
    let caller = suite.caller_over_streams().await?;
    let timing = Timing {
        warm_up: WARM_UP,
        measured: Duration::from_secs(options.real_seconds),
    };
    let peak = measure_peak(&suite, &caller, timing).await?;
    tell("Measuring bare answers.");
    let credentials = suite.stack.credentials();
    let echo = EchoProcess::start_over_streams(credentials, &suite.threads).await?;
    let echo_us = echo.measure(SHOPPERS_AT_THE_PEAK, timing).await?;
    let echo_us = echo_us.processor.all_us_each();
    drop(echo);
    let per_second = peak.outcomes.per_second;
    tell(&format!(
        "The peak is {per_second:.0} claims with their orders a second. Letting the crowd come."
    ));
    let staircase = Staircase::new(&options.real_loads, per_second, timing.measured);
    let patience = Duration::from_secs(options.patience_seconds);
    let scene = Scene {
        orders_after: Some(ORDERS_AFTER),
        ..Scene::new(&caller, CAMPAIGN_ID, "real", patience)
    };
    let (journeys, points) = staircase.climb(scene, |_| Manner::AsTold, &suite).await?;
    let recovery = Recovery::of(&journeys, staircase.flood_ends(), patience, None);
    let told = peak.outcomes.good_ever + coupons(&journeys);
    let report = Report {
        peak,
        echo_us,
        points,
        recovery_seconds: recovery.in_time_seconds,
        coupons: suite.coupons(campaign_number, told).await?,
    };
    suite.close().await?;
    write(&site.folder, "goodput-real", &report, &report.criteria())
}

/// What can be served by a closed loop, each of whom claims and orders.
async fn measure_peak(suite: &Suite, caller: &Arc<Caller>, timing: Timing) -> Result<Measured> {
    tell("Measuring the peak of claims with their orders.");
    let errands = Errands {
        errand: Errand::Pair,
        caller: Arc::clone(caller),
        wallet: Arc::new(Wallet::default()),
    };
    let crowd = suite.closed_loop(SHOPPERS_AT_THE_PEAK, timing)?;
    let errand_of = move |place, visit| errands.clone().run(place, visit);
    let (measured, _) = crowd.run(errand_of, nothing).await?;
    measured.of_something("the suite at its peak")
}
