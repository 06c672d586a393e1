//! Orders at their peak: how many a second, what one costs, and how long it takes below the peak.

mod ceiling;
mod closed_loop;
mod coupons;
mod database_work;
mod open_loop;
mod report;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use tidegate_local::{
    credentials::{Identity, Scope, Token},
    replay::{campaign, door::Door},
    stack::{Service, Stack, StackOptions},
};

use crate::{
    arguments::Timing,
    caller::{Caller, Gateway},
    crowd::{CAMPAIGN_ID, Crowd},
    machine::Machine,
    processor_time::ProcessorTime,
    results, suite, tell,
};
use closed_loop::{Errand, Visits};
use coupons::Wallet;
use database_work::DatabaseWork;
use report::{Point, Report};

pub use coupons::{CouponOwner, accepted, claim, order};

const STOCK: (u64, u64) = (50_000_000, 1_000_000);
/// Room for whatever comes.
const ORDERS_PER_SLOT: u32 = 10_000;
const CONNECTIONS: usize = 4;
/// Of the peak, offered at random moments.
const LOADS: [f64; 2] = [0.5, 0.9];
const WARM_UP: Duration = Duration::from_secs(3);
/// For each of those at a time, so that nobody asks more often than one shopper may.
const ORDERERS_AT_FULL_STORE: usize = 40;
/// More orders a second than any machine takes that this runs on.
const MOST_ORDERS_PER_SECOND: usize = 9_000;

/// What can be asked for.
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

/// Measures everything and reports it in `folder`.
pub async fn run(options: &Options, folder: &Path, crowd: &Crowd) -> Result<()> {
    let scene = Scene::open(options, &folder.join("stack"), crowd).await?;
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
    caller: Arc<Caller>,
    crowd: &'run Crowd,
    timing: Timing,
}

impl<'run> Scene<'run> {
    async fn open(options: &Options, folder: &Path, crowd: &'run Crowd) -> Result<Self> {
        let stack = Stack::start(StackOptions {
            reset: true,
            issuance_replicas: 1,
            gateway_replicas: 1,
            lanes: options.lanes,
            say: tell,
            ..StackOptions::new(folder)
        })
        .await?;
        let staff = suite::staff(&stack)?;
        staff.create_campaign(CAMPAIGN_ID, STOCK).await?;
        staff.upsert_stores(ORDERS_PER_SLOT).await?;
        let token = stack
            .credentials()
            .sign(&Token::new("load", &Scope::CHATBOT))?;
        let channel = stack.channel(Some(Identity::Chatbot), "gateway-0")?;
        campaign::wait_until_known(&Door::new(vec![channel], &token)?, CAMPAIGN_ID).await?;
        let gateways: Vec<_> = stack
            .addresses(Service::Gateway)
            .into_iter()
            .map(Gateway)
            .collect();
        let threads = crowd.threads();
        let caller =
            Caller::connect(&gateways, CONNECTIONS, stack.credentials(), &token, threads).await?;
        Ok(Self {
            caller: Arc::new(caller),
            stack,
            crowd,
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
        suite::staff(&self.stack)?.upsert_stores(1).await?;
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
        let visits = Visits {
            errand,
            caller: Arc::clone(&self.caller),
            wallet: Arc::new(wallet),
        };
        let parts = suite::parts(&self.stack)?;
        let look = async || {
            let work = DatabaseWork::read(&self.stack).await?;
            Ok((work, ProcessorTime::read(&parts)?))
        };
        let stretch = visits.run(shoppers, self.timing, self.crowd, look).await?;
        Ok(Point::new(errand, shoppers, stretch))
    }

    async fn below_the_peak(&self, load: f64, per_second: f64) -> Result<Point> {
        let seconds = self.timing.warm_up + self.timing.measured;
        let coupons = (1.2 * per_second * seconds.as_secs_f64()) as usize;
        let wallet = self.wallet(&format!("load-{load}"), coupons).await;
        tell(&format!("Measuring orders at {load} of the peak."));
        let parts = suite::parts(&self.stack)?;
        let look = async || {
            let work = DatabaseWork::read(&self.stack).await?;
            Ok((work, ProcessorTime::read(&parts)?))
        };
        let arriving = open_loop::run(
            &self.caller,
            wallet,
            per_second,
            self.timing,
            self.crowd,
            look,
        );
        Ok(Point::below_the_peak(load, arriving.await?))
    }

    async fn wallet(&self, round: &str, coupons: usize) -> Wallet {
        if coupons > 0 {
            tell(&format!("Claiming {coupons} coupons to order with."));
        }
        Wallet::fill(&self.caller, round, coupons, self.crowd).await
    }
}
