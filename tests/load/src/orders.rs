//! Orders at their peak: how many a second, what one costs, and how long it takes below the peak.

mod ceiling;
mod coupons;
mod database_work;
mod errands;
mod open_loop;
mod report;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use tidegate_client::{Caller, Staff};
use tidegate_local::stack::{Stack, StackOptions};
use tidegate_replay::collector::Collector;
use tokio::runtime::Handle;

use crate::{
    arguments::Timing,
    closed_loop::{self, CAMPAIGN_ID},
    machine::Machine,
    processor_time::{Part, ProcessorTime},
    results, suite, tell,
};
use database_work::DatabaseWork;
use report::{Point, Report};

pub use coupons::{CouponOwner, Wallet, accepted, is_pending, order};
pub use errands::{Errand, Errands};

const STOCK: (u64, u64) = (50_000_000, 1_000_000);
/// Room for whatever comes.
const ORDERS_PER_SLOT: u32 = 10_000;
const CONNECTIONS: usize = 4;
/// Full commits, and nobody has to queue.
const CLAIMS_AT_A_TIME: usize = 128;
/// Of the peak, offered at random moments.
const LOADS: [f64; 2] = [0.5, 0.9];
const WARM_UP: Duration = Duration::from_secs(3);
/// For each of those at a time, so that nobody asks more often than one shopper may.
const ORDERERS_AT_FULL_STORE: usize = 40;
/// More orders a second than any machine takes that this runs on.
const MOST_ORDERS_PER_SECOND: usize = 9_000;

#[derive(Debug, Args)]
pub struct Options {
    /// How long each figure is measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Shoppers at a time; each orders when the one before has an answer.
    #[arg(long, value_delimiter = ',', default_value = "64,512,2000", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub shoppers: Vec<u32>,
    /// Lanes of the databases.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub lanes: u16,
    /// Leave out all but orders in a closed loop.
    #[arg(long)]
    pub peak_only: bool,
}

pub async fn run(options: &Options, folder: &Path, threads: &Handle) -> Result<()> {
    let scene = Scene::open(options, &folder.join("stack"), threads).await?;
    tell("Measuring bare inserts of the rows of an order.");
    let ceiling = ceiling::measure(&scene.stack).await?;
    let mut points = Vec::new();
    for shoppers in options.shoppers.iter().collect::<BTreeSet<_>>() {
        points.push(scene.closed_loop(Errand::Order, *shoppers).await?);
    }
    if !options.peak_only {
        points.extend(scene.rest(&points).await?);
    }
    scene.stack.shutdown_and_remove().await?;
    let report = Report::new(Machine::this(), options.lanes, ceiling, points);
    results::write(folder, "orders", &report, &report.to_string())
}

/// A running suite with stores, and who orders there.
struct Scene<'run> {
    stack: Stack,
    _collector: Collector,
    staff: Staff,
    caller: Arc<Caller>,
    threads: &'run Handle,
    timing: Timing,
}

impl<'run> Scene<'run> {
    async fn open(options: &Options, folder: &Path, threads: &'run Handle) -> Result<Self> {
        let collector = Collector::start().await?;
        let stack = Stack::start(StackOptions {
            lanes: options.lanes,
            ..suite::options(folder, &collector)
        })
        .await?;
        let staff = suite::staff(&stack)?;
        staff.open(suite::terms(CAMPAIGN_ID, STOCK)).await?;
        suite::put_stores(&staff, ORDERS_PER_SLOT).await?;
        Ok(Self {
            caller: suite::caller(&stack, suite::SUBJECT, CONNECTIONS, threads).await?,
            stack,
            _collector: collector,
            staff,
            threads,
            timing: Timing {
                warm_up: WARM_UP,
                measured: Duration::from_secs(options.seconds),
            },
        })
    }

    /// What is not the peak itself: pairs, a full store, and loads below the peak.
    async fn rest(&self, peaks: &[Point]) -> Result<Vec<Point>> {
        let best = peaks
            .iter()
            .max_by(|left, right| left.per_second.total_cmp(&right.per_second))
            .context("no number of shoppers was asked for")?;
        let mut points = Vec::new();
        for load in LOADS {
            points.push(self.below_the_peak(load, load * best.per_second).await?);
        }
        points.push(self.closed_loop(Errand::Claim, best.shoppers).await?);
        points.push(self.closed_loop(Errand::Pair, best.shoppers).await?);
        // Every slot has room for one from now on.
        suite::put_stores(&self.staff, 1).await?;
        points.push(self.closed_loop(Errand::FullStore, best.shoppers).await?);
        Ok(points)
    }

    async fn closed_loop(&self, errand: Errand, shoppers: u32) -> Result<Point> {
        let seconds = (self.timing.warm_up + self.timing.measured).as_secs() as usize;
        let coupons = match errand {
            Errand::Order => seconds * MOST_ORDERS_PER_SECOND,
            Errand::FullStore => shoppers as usize * ORDERERS_AT_FULL_STORE,
            Errand::Claim | Errand::Pair => 0,
        };
        let wallet = self
            .wallet(&format!("{errand:?}-{shoppers}"), coupons)
            .await;
        tell(&format!("Measuring {errand} with {shoppers} at a time."));
        let errands = Errands {
            errand,
            caller: Arc::clone(&self.caller),
            wallet: Arc::new(wallet),
        };
        let errand_of = move |place, visit| errands.clone().run(place, visit);
        let parts = suite::parts(&self.stack)?;
        let look = async || self.look(&parts).await;
        let (threads, timing) = (self.threads, self.timing);
        let stretch = closed_loop::run(threads, shoppers, timing, errand_of, look).await?;
        Ok(Point::new(errand, shoppers, stretch))
    }

    async fn look(&self, parts: &[Part]) -> Result<(DatabaseWork, ProcessorTime)> {
        let work = DatabaseWork::read(&self.stack).await?;
        Ok((work, ProcessorTime::read(parts)?))
    }

    async fn below_the_peak(&self, load: f64, per_second: f64) -> Result<Point> {
        let seconds = self.timing.warm_up + self.timing.measured;
        let coupons = (1.2 * per_second * seconds.as_secs_f64()) as usize;
        let wallet = self.wallet(&format!("load-{load}"), coupons).await;
        tell(&format!("Measuring orders at {load} of the peak."));
        let parts = suite::parts(&self.stack)?;
        let look = async || self.look(&parts).await;
        let arriving = open_loop::run(
            &self.caller,
            wallet,
            per_second,
            self.timing,
            self.threads,
            look,
        );
        Ok(Point::below_the_peak(load, arriving.await?))
    }

    async fn wallet(&self, round: &str, coupons: usize) -> Wallet {
        if coupons > 0 {
            tell(&format!("Claiming {coupons} coupons to order with."));
        }
        let (caller, threads) = (&self.caller, self.threads);
        Wallet::fill(
            caller,
            CAMPAIGN_ID,
            round,
            coupons,
            CLAIMS_AT_A_TIME,
            threads,
        )
        .await
    }
}
