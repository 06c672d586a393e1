//! Orders at their peak: how many a second, what one costs, and how long it takes below the peak.

mod ceiling;
mod coupons;
mod database_work;
mod errands;
mod figures;

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context, Result};
use clap::Args;
use tidegate_client::{Caller, framed};
use tidegate_local::stack::StackOptions;
use tokio::time::{Instant, sleep_until};

use crate::{
    arguments::Timing,
    closed_loop::CAMPAIGN_ID,
    open_loop,
    outcomes::Measured,
    processor_time::ProcessorTime,
    report,
    shoppers::arrivals::Arrivals,
    suite::{Site, Suite, store_id},
    tell,
};
use database_work::DatabaseWork;
use figures::{Figures, Point};

pub use coupons::{CouponOwner, Wallet, accepted, is_pending, order};
pub use errands::{Errand, Errands};

const STOCK: (u64, u64) = (50_000_000, 1_000_000);
/// Room for whatever comes.
const ORDERS_PER_SLOT: u32 = 10_000;
/// Full commits, and nobody has to queue.
const CLAIMS_AT_A_TIME: usize = 128;
/// Of the peak, offered at random moments.
const LOADS: [f64; 2] = [0.5, 0.9];
const SEED: u64 = 17;
const WARM_UP_SECONDS: u64 = 3;
/// For each of those at a time, so that nobody asks more often than one shopper may.
const ORDERERS_AT_FULL_STORE: u64 = 40;
/// More orders a second than any machine takes that this runs on.
const MOST_ORDERS_PER_SECOND: u64 = 9_000;

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

pub async fn run(options: &Options, site: &Site) -> Result<()> {
    let lanes = options.lanes;
    let suite = Suite::start(site, |defaults| StackOptions { lanes, ..defaults }).await?;
    // To the generator, or what it takes to be scheduled would count as the suite's.
    suite.stack.give_way();
    suite.campaign(CAMPAIGN_ID, STOCK).await?;
    suite.put_stores(ORDERS_PER_SLOT).await?;
    let scene = Scene {
        caller: suite.caller().await?,
        suite,
        timing: Timing::of_seconds(WARM_UP_SECONDS, options.seconds),
    };
    tell("Measuring bare inserts of the rows of an order.");
    let ceiling_per_second = ceiling::measure(&scene.suite.stack).await?;
    let mut points = Vec::new();
    for shoppers in options.shoppers.iter().collect::<BTreeSet<_>>() {
        points.push(scene.closed_loop(Errand::Order, *shoppers).await?);
    }
    if !options.peak_only {
        points.extend(scene.rest(&points).await?);
    }
    scene.suite.close().await?;
    let figures = Figures {
        lanes,
        ceiling_per_second,
        points,
    };
    report::write(&site.folder, "orders", &figures, &[])
}

/// A running suite with stores, and who orders there.
struct Scene {
    suite: Suite,
    caller: Arc<Caller>,
    timing: Timing,
}

impl Scene {
    /// What is not the peak itself: pairs, a full store, and loads below the peak.
    async fn rest(&self, peaks: &[Point]) -> Result<Vec<Point>> {
        let rate = |point: &Point| point.measured.outcomes.per_second;
        let best = peaks
            .iter()
            .max_by(|left, right| rate(left).total_cmp(&rate(right)))
            .context("no number of shoppers was asked for")?;
        let mut points = Vec::new();
        for load in LOADS {
            points.push(self.below_the_peak(load, load * rate(best)).await?);
        }
        points.push(self.closed_loop(Errand::Claim, best.shoppers).await?);
        points.push(self.closed_loop(Errand::Pair, best.shoppers).await?);
        // Every slot has room for one from now on.
        self.suite.put_stores(1).await?;
        points.push(self.closed_loop(Errand::FullStore, best.shoppers).await?);
        Ok(points)
    }

    async fn closed_loop(&self, errand: Errand, shoppers: u32) -> Result<Point> {
        let seconds = (self.timing.warm_up + self.timing.measured).as_secs();
        let coupons = match errand {
            Errand::Order => seconds * MOST_ORDERS_PER_SECOND,
            Errand::FullStore => u64::from(shoppers) * ORDERERS_AT_FULL_STORE,
            Errand::Claim | Errand::Pair => 0,
        };
        let round = format!("{errand:?}-{shoppers}");
        let wallet = self.wallet(&round, coupons).await;
        tell(&format!("Measuring {errand} with {shoppers} at a time."));
        let errands = Errands {
            errand,
            caller: Arc::clone(&self.caller),
            wallet: Arc::new(wallet),
        };
        let errand_of = move |place, visit| errands.clone().run(place, visit);
        let crowd = self.suite.closed_loop(shoppers, self.timing)?;
        let look = async || DatabaseWork::read(&self.suite.stack).await;
        let (measured, [before, after]) = crowd.run(errand_of, look).await?;
        Ok(Point {
            errand,
            shoppers,
            load: None,
            database: after.since(&before, &measured.outcomes),
            measured,
        })
    }

    /// Orders that come at random moments.
    async fn below_the_peak(&self, load: f64, per_second: f64) -> Result<Point> {
        let length = self.timing.warm_up + self.timing.measured;
        let coupons = (1.2 * per_second * length.as_secs_f64()) as u64;
        let wallet = self.wallet(&format!("load-{load}"), coupons).await;
        tell(&format!("Measuring orders at {load} of the peak."));
        let (parts, caller) = (self.suite.parts()?, Arc::clone(&self.caller));
        let look = async || -> Result<_> {
            let database = DatabaseWork::read(&self.suite.stack).await?;
            Ok((Instant::now(), database, ProcessorTime::read(&parts)?))
        };
        let look_at = async |moment: Instant| {
            sleep_until(moment).await;
            look().await
        };
        let errand = move |number| {
            let body = framed(&order(&wallet.take()?, store_id(number)));
            let caller = Arc::clone(&caller);
            Some(async move { accepted(caller.call(body).await) })
        };
        let (begins, warm_up) = (Instant::now(), self.timing.warm_up);
        let arrivals = Arrivals::steady(per_second, length, SEED);
        let coming = open_loop::run(&self.suite.threads, begins, warm_up, arrivals, errand);
        let looking = async {
            let before = look_at(begins + warm_up).await?;
            Ok((before, look_at(begins + length).await?))
        };
        let (ends, (before, after)) = tokio::try_join!(coming, looking)?;
        let outcomes = ends.in_seconds(after.0.duration_since(before.0).as_secs_f64());
        Ok(Point {
            errand: Errand::Order,
            shoppers: 0,
            load: Some(load),
            database: after.1.since(&before.1, &outcomes),
            measured: Measured {
                processor: after.2.since(&before.2, outcomes.good),
                outcomes,
            },
        })
    }

    async fn wallet(&self, round: &str, coupons: u64) -> Wallet {
        if coupons > 0 {
            tell(&format!("Claiming {coupons} coupons to order with."));
        }
        let (caller, threads) = (&self.caller, &self.suite.threads);
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
