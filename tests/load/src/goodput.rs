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

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::{
    arguments::Timing,
    closed_loop::{CAMPAIGN_ID, nothing},
    outcomes::Measured,
    report::{write, write_file},
    shoppers::journey::Manner,
    suite::{Site, Suite},
    tell,
};
use report::Report;
use series::{AS_TOLD, AT_ONCE, AT_ONCE_AND_GONE, BUSY_LOAD, Crowd};
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
const PEAK: Timing = Timing::of_seconds(2, 10);
/// So long that one stall of the disk does not decide.
const MEASURED_SECONDS: u64 = 10;

#[derive(Debug, Args)]
pub struct Options {
    /// How long a shopper waits for the coupon, and again for the order. A claim says half of what is
    /// left of it, so that who would wait longer is told so at once.
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
    /// For how long the peak of that and each of its loads is measured.
    #[arg(long, default_value_t = MEASURED_SECONDS, requires = "real", value_parser = clap::value_parser!(u64).range(2..=600))]
    pub real_seconds: u64,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be between 0 and 1".to_owned()),
    }
}

pub async fn run(options: &Options, site: &Site) -> Result<()> {
    if options.real {
        return real::run(options, site).await;
    }
    let mut suite = Suite::slowed(site, 1).await?;
    let campaign_number = suite.campaign(CAMPAIGN_ID, STOCK).await?;
    suite.set_waiting_room(false).await?;
    let peak = measure_peak(&suite, "peak-before").await?;
    let per_second = peak.outcomes.per_second;
    tell(&format!("The peak is {per_second:.0} claims/s."));
    let patience = Duration::from_secs(options.patience_seconds);
    let p99_ms = peak.outcomes.p99_ms;
    let mut normal = p99_ms.map(|p99_ms| Duration::from_secs_f64(p99_ms / 1_000.0));
    let mut series = Vec::new();
    // The waiting room comes last, so that it also meets whatever a flood without it has left
    // behind.
    for waiting_room in [false, true] {
        let loads = match (waiting_room, options.no_comparison) {
            (true, _) => &options.loads[..],
            (false, false) => &LOADS_WITHOUT,
            (false, true) => continue,
        };
        suite.set_waiting_room(waiting_room).await?;
        let measured = Duration::from_secs(MEASURED_SECONDS);
        let staircase = Staircase::new(loads, per_second, measured);
        for crowd in crowds(options.at_once_share) {
            tell(&format!(
                "Measuring a crowd that sends again {}, {} a waiting room.",
                crowd.name,
                if waiting_room { "with" } else { "without" }
            ));
            let came = crowd.come(&suite, &staircase, (waiting_room, patience), &mut normal);
            series.push(came.await?);
        }
    }
    tell("Measuring what a refusal costs.");
    let costs = costs::measure(&suite, &peak).await?;
    suite.set_waiting_room(false).await?;
    let peak_after = measure_peak(&suite, "peak-after").await?;
    let told = series.iter().map(|series| series.coupons_told).sum::<u64>();
    let told = told + peak.outcomes.good_ever + peak_after.outcomes.good_ever;
    let report = Report {
        patience_seconds: options.patience_seconds,
        at_once_share: options.at_once_share,
        peak_per_second: f64::midpoint(per_second, peak_after.outcomes.per_second),
        peak,
        peak_after,
        series,
        costs,
        coupons: suite.coupons(campaign_number, told).await?,
    };
    suite.close().await?;
    write(&site.folder, "goodput", &report, &report.criteria())?;
    write_file(&site.folder, "goodput.svg", &plot::draw(&report))
}

fn crowds(at_once_share: f64) -> [Crowd; 3] {
    let crowd = |name, round, impatient, at_once_share| Crowd {
        name,
        impatient,
        at_once_share,
        round,
    };
    [
        crowd(AS_TOLD, "told", Manner::AsTold, 0.0),
        crowd(AT_ONCE, "once", Manner::AtOnceThenAsTold, at_once_share),
        crowd(AT_ONCE_AND_GONE, "gone", Manner::AtOnce, at_once_share),
    ]
}

/// What can be served under the ceiling, by a closed loop that never offers more.
async fn measure_peak(suite: &Suite, round: &str) -> Result<Measured> {
    tell("Measuring the peak under the ceiling.");
    let crowd = suite.closed_loop(SHOPPERS_AT_THE_PEAK, PEAK)?;
    let caller = suite.caller().await?;
    let (measured, _) = crowd.claims(&caller, round, nothing).await?;
    measured.of_something("the suite at its peak")
}
