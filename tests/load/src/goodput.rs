//! Flat goodput: what is left of the peak when ten times as many come, with the waiting room and
//! without.

mod costs;
mod figures;
mod plot;
mod real;
mod real_report;
mod report;
mod series;
mod staircase;

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use clap::Args;
use tokio::runtime::Handle;

use crate::{
    arguments::Timing,
    closed_loop::{CAMPAIGN_ID, Outcomes, claims},
    processor_time::ProcessorTime,
    results,
    shoppers::journey::Manner,
    stage::Stage,
    suite, tell,
};
use report::{Peak, Report};
use series::{AS_TOLD, AT_ONCE, AT_ONCE_AND_GONE, BUSY_LOAD, Series, Setting};
use staircase::Staircase;

/// More than a run can take.
const STOCK: (u64, u64) = (50_000_000, 1_000_000);
/// Without a waiting room the low loads say nothing that the peak has not said.
const LOADS_WITHOUT: [f64; 3] = [1.0, 2.0, 10.0];
const REAL_LOADS: [f64; 4] = [BUSY_LOAD, 1.0, 2.0, 3.0];
const LOADS: [f64; 7] = [0.2, 0.5, BUSY_LOAD, 1.0, 2.0, 5.0, 10.0];
/// Shoppers at a time, each of whom sends when the one before has the answer: several commits full,
/// so that the next one is never short of claims, and few enough to be refused nothing.
const SHOPPERS_AT_THE_PEAK: u32 = 64;
const PEAK: Timing = Timing {
    warm_up: Duration::from_secs(2),
    measured: Duration::from_secs(10),
};

#[derive(Debug, Args)]
pub struct Options {
    /// How long a shopper waits for the coupon; who is told that the shortest wait is more than
    /// half of what is left of that gives the place up.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(3..=600))]
    pub patience_seconds: u64,
    /// Of the second and the third crowd, the share that sends again at once, without a ticket,
    /// whatever the answer: of the second all do as told then, and of the third these are gone.
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub at_once_share: f64,
    /// The loads to offer, as multiples of the peak, in this order. What is asked of others is then
    /// not known.
    #[arg(long, value_delimiter = ',', default_values_t = LOADS)]
    pub loads: Vec<f64>,
    /// Leave out what the suite does without its waiting room.
    #[arg(long)]
    pub no_comparison: bool,
    /// Measure the suite as it is delivered, without the ceiling: claims with their orders.
    #[arg(long, conflicts_with_all = ["loads", "no_comparison", "at_once_share"])]
    pub real: bool,
    /// The loads of that, as multiples of what a closed loop of claims with their orders reaches.
    #[arg(long, value_delimiter = ',', default_values_t = REAL_LOADS, requires = "real")]
    pub real_loads: Vec<f64>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be between 0 and 1".to_owned()),
    }
}

pub async fn run(options: &Options, folder: &Path, threads: &Handle) -> Result<()> {
    if options.real {
        return real::run(options, folder, threads).await;
    }
    let mut stage = Stage::open(&folder.join("stack"), 1).await?;
    let campaign_number = stage.campaign(CAMPAIGN_ID, STOCK).await?;
    stage.set_waiting_room(false).await?;
    let peak = measure_peak(&stage, threads, "peak-before").await?;
    tell(&format!("The peak is {:.0} claims/s.", peak.per_second));

    let crowds = crowds(options);
    let mut all = Vec::new();
    let mut normal = None;
    // The waiting room comes last, so that it also meets whatever a flood without it has left
    // behind.
    let rooms: &[bool] = if options.no_comparison {
        &[true]
    } else {
        &[false, true]
    };
    for &waiting_room in rooms {
        stage.set_waiting_room(waiting_room).await?;
        for crowd_kind in crowds {
            tell(&format!(
                "Measuring a crowd that sends again {}, {} waiting room.",
                crowd_kind.name,
                if waiting_room { "with a" } else { "without a" }
            ));
            let loads: &[f64] = if waiting_room {
                &options.loads
            } else {
                &LOADS_WITHOUT
            };
            let setting = Setting {
                caller: stage.caller(threads).await?,
                campaign_id: CAMPAIGN_ID,
                patience: Duration::from_secs(options.patience_seconds),
                parts: suite::parts(&stage.stack)?,
                threads,
                normal: normal.or(Some(peak.p99)),
                waiting_room,
            };
            let staircase = Staircase::new(loads, peak.per_second);
            let round = format!("{}-{waiting_room}", crowd_kind.round);
            let (series, busy) = series::measure(crowd_kind, round, &staircase, setting).await?;
            normal = busy;
            all.push(series);
        }
    }
    tell("Measuring what a refusal costs.");
    let caller = stage.caller(threads).await?;
    let served = (&peak.processor, peak.issued, peak.seconds);
    let costs = costs::measure(&stage, &caller, threads, &folder.join("echo"), served).await?;
    stage.set_waiting_room(false).await?;
    let peak_after = measure_peak(&stage, threads, "peak-after").await?;
    let told_in_series: u64 = all.iter().map(|series: &Series| series.coupons_told).sum();
    let coupons_told = peak.coupons_told + peak_after.coupons_told + told_in_series;
    let coupons_kept = suite::coupons_kept(&stage.stack, campaign_number).await?;
    stage.close().await?;
    ensure!(
        coupons_kept >= coupons_told,
        "Shoppers were given {coupons_told} coupons and the database has {coupons_kept}: what is measured is not durable."
    );
    let report = Report::new(
        options,
        (peak, peak_after),
        all,
        costs,
        (coupons_told, coupons_kept),
    );
    results::write(folder, "goodput", &report, &report::text(&report))?;
    results::write_plot(folder, "goodput", &plot::draw(&report))
}

fn crowds(options: &Options) -> [series::Crowd; 3] {
    let crowd = |name, round, impatient, at_once_share| series::Crowd {
        name,
        impatient,
        at_once_share,
        round,
    };
    let share = options.at_once_share;
    [
        crowd(AS_TOLD, "told", Manner::AsTold, 0.0),
        crowd(AT_ONCE, "once", Manner::AtOnceThenAsTold, share),
        crowd(AT_ONCE_AND_GONE, "gone", Manner::AtOnce, share),
    ]
}

/// What can be served under the ceiling, by a closed loop that never offers more.
async fn measure_peak(stage: &Stage, threads: &Handle, round: &str) -> Result<Peak> {
    tell("Measuring the peak under the ceiling.");
    let parts = suite::parts(&stage.stack)?;
    let caller = stage.caller(threads).await?;
    let look = async || ProcessorTime::read(&parts);
    let at_a_time = SHOPPERS_AT_THE_PEAK;
    let stretch = claims(&caller, threads, round, at_a_time, PEAK, look).await?;
    let outcomes = Outcomes::of(&stretch.ends, stretch.seconds);
    ensure!(
        outcomes.issued > 0,
        "No coupon was given while the peak was measured: {:?}",
        outcomes.refused
    );
    Ok(Peak {
        per_second: outcomes.per_second,
        p99: Duration::from_secs_f64(outcomes.latency_ms.p99 / 1_000.0),
        processor: stretch.after.since(&stretch.before, outcomes.issued),
        issued: outcomes.issued,
        seconds: outcomes.seconds,
        coupons_told: outcomes.issued_ever,
    })
}
